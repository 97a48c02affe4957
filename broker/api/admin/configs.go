package admin

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/repeat"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Resource types of the config APIs (ConfigResource.Type).
const (
	topicResource         = 2
	brokerResource        = 4
	brokerLoggerResource  = 8
	clientMetricsResource = 16
)

// DescribeConfigs shows the properties of topics and of this broker, versions 0 to 4.
func (h *Handlers) DescribeConfigs(r *request.Request) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	if slices.ContainsFunc(req.Resources, undescribable) {
		for i := range req.Resources {
			resp.Resources = append(resp.Resources, described(&req.Resources[i]))
			resp.Resources[i].ErrorCode, resp.Resources[i].ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(status.InvalidRequestText)
		}
		r.Reply(resp)
		return
	}
	ctx, cancel := h.storeContext()
	defer cancel()
	own := h.ownConfigs(ctx, req)
	var guard repeat.Guard[describedResource]
	for i := range req.Resources {
		asked := &req.Resources[i]
		out := described(asked)
		named := describedResource{asked.ResourceType, asked.ResourceName}
		if guard.Refuse(named) {
			out.ErrorCode, out.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(repeat.Text)
			resp.Resources = append(resp.Resources, out)
			continue
		}
		entries, err := h.describe(ctx, asked, own)
		if err != nil {
			code, message := h.failed("DescribeConfigs", asked.ResourceName, err)
			out.ErrorCode = code
			if message != nil {
				out.ErrorMessage = message
			}
		}
		out.Configs = shown(req, asked, entries)
		guard.Answered(named, configsSize(out.Configs))
		resp.Resources = append(resp.Resources, out)
	}
	r.Reply(resp)
}

type describedResource struct {
	kind kmsg.ConfigResourceType
	name string
}

// ownConfigs reads the properties of all topics that req names at once. Where that fails, each is to be read on its own:
// there is no entry then.
func (h *Handlers) ownConfigs(ctx context.Context, req *kmsg.DescribeConfigsRequest) map[string]map[string]string {
	cluster := h.Cluster.Load()
	own := map[string]map[string]string{}
	var names []string
	for i := range req.Resources {
		asked := &req.Resources[i]
		if _, known := own[asked.ResourceName]; !known && asked.ResourceType == topicResource && cluster.Topic(asked.ResourceName) != nil {
			own[asked.ResourceName] = nil
			names = append(names, asked.ResourceName)
		}
	}
	if len(names) < 2 {
		return nil
	}
	configs, err := h.Store.TopicConfigs(ctx, names)
	if err != nil {
		return nil
	}
	for i, name := range names {
		own[name] = configs[i]
	}
	return own
}

// configsSize is about what properties take in a response.
func configsSize(configs []kmsg.DescribeConfigsResponseResourceConfig) (n int) {
	const fixed = 32
	for i := range configs {
		c := &configs[i]
		n += fixed*(1+len(c.ConfigSynonyms)) + len(c.Name)*(1+len(c.ConfigSynonyms))
		for _, text := range []*string{c.Value, c.Documentation} {
			if text != nil {
				n += len(*text)
			}
		}
	}
	return n
}

// described is the answer for one resource, without an error and without properties.
func described(asked *kmsg.DescribeConfigsRequestResource) kmsg.DescribeConfigsResponseResource {
	out := kmsg.NewDescribeConfigsResponseResource()
	out.ResourceType, out.ResourceName, out.ErrorMessage = asked.ResourceType, asked.ResourceName, kmsg.StringPtr("")
	return out
}

// undescribable reports whether there are no resources of that type, for which Kafka refuses all.
func undescribable(asked kmsg.DescribeConfigsRequestResource) bool {
	switch asked.ResourceType {
	case topicResource, brokerResource, brokerLoggerResource, clientMetricsResource:
		return false
	}
	return true
}

func (h *Handlers) describe(ctx context.Context, asked *kmsg.DescribeConfigsRequestResource, own map[string]map[string]string) ([]config.Entry, error) {
	switch asked.ResourceType {
	case topicResource:
		return h.describeTopic(ctx, asked.ResourceName, own)
	case brokerResource:
		return h.describeBroker(asked.ResourceName)
	case brokerLoggerResource:
		return h.describeLoggers(asked.ResourceName)
	}
	if asked.ResourceName == "" {
		return nil, status.New(kerr.InvalidRequest, "Client metrics subscription name must not be empty")
	}
	return nil, status.New(kerr.InvalidRequest, "Config type client-metrics is only supported on KRaft clusters")
}

func (h *Handlers) describeTopic(ctx context.Context, name string, known map[string]map[string]string) ([]config.Entry, error) {
	if err := topic.ValidateName(name); err != nil {
		return nil, status.New(kerr.InvalidTopicException, err.Error())
	}
	if h.Cluster.Load().Topic(name) == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	own, ok := known[name]
	if !ok {
		list, err := h.Store.TopicConfigs(ctx, []string{name})
		if err != nil {
			return nil, err
		}
		own = list[0]
	}
	cfg := h.Config()
	effective, err := cfg.Topic(own)
	if err != nil {
		return nil, err
	}
	return effective.Describe(cfg), nil
}

func (h *Handlers) describeBroker(name string) ([]config.Entry, error) {
	if name == "" {
		return h.Config().DescribeBrokerDefaults(), nil
	}
	if err := h.ownID(name, ", expected %d or empty string, but received %d"); err != nil {
		return nil, err
	}
	return h.Config().DescribeBroker(), nil
}

func (h *Handlers) ownID(name, text string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return status.New(kerr.InvalidRequest, "Broker id must be an integer, but it is: "+name)
	case int32(id) != h.BrokerID:
		return status.New(kerr.InvalidRequest, fmt.Sprintf("Unexpected broker id"+text, h.BrokerID, id))
	}
	return nil
}

// shown turns the entries asked for into the response's form. IsDefault, which versions above 0 do not have, is never set:
// Kafka's brokers have not done so since the source of a value took its place (KIP-226).
func shown(req *kmsg.DescribeConfigsRequest, asked *kmsg.DescribeConfigsRequestResource, entries []config.Entry) []kmsg.DescribeConfigsResponseResourceConfig {
	configs := make([]kmsg.DescribeConfigsResponseResourceConfig, 0, len(entries))
	for _, e := range entries {
		if len(asked.ConfigNames) > 0 && !slices.Contains(asked.ConfigNames, e.Name) {
			continue
		}
		out := kmsg.NewDescribeConfigsResponseResourceConfig()
		out.Name, out.Value, out.ReadOnly, out.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
		out.Source = kmsg.ConfigSource(e.Source)
		out.ConfigType = kmsg.ConfigType(e.Type)
		if req.IncludeSynonyms {
			for _, s := range e.Synonyms {
				synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
				synonym.Name, synonym.Value, synonym.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
				out.ConfigSynonyms = append(out.ConfigSynonyms, synonym)
			}
		}
		switch {
		case asked.ResourceType == brokerLoggerResource: // Kafka leaves the field as it is: empty, not null, asked for or not
			out.Documentation = kmsg.StringPtr("")
		case req.IncludeDocumentation && e.Doc != "":
			out.Documentation = &e.Doc
		}
		configs = append(configs, out)
	}
	return configs
}
