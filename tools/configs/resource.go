package configs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// sources are Kafka's names of where a value comes from.
var sources = map[kmsg.ConfigSource]string{
	kmsg.ConfigSourceDynamicTopicConfig:         "DYNAMIC_TOPIC_CONFIG",
	kmsg.ConfigSourceDynamicBrokerConfig:        "DYNAMIC_BROKER_CONFIG",
	kmsg.ConfigSourceDynamicDefaultBrokerConfig: "DYNAMIC_DEFAULT_BROKER_CONFIG",
	kmsg.ConfigSourceStaticBrokerConfig:         "STATIC_BROKER_CONFIG",
	kmsg.ConfigSourceDefaultConfig:              "DEFAULT_CONFIG",
	kmsg.ConfigSourceDynamicBrokerLoggerConfig:  "DYNAMIC_BROKER_LOGGER_CONFIG",
	kmsg.ConfigSourceClientMetricsConfig:        "DYNAMIC_CLIENT_METRICS_CONFIG",
}

type property = kmsg.DescribeConfigsResponseResourceConfig

// describeResources prints the configuration of one entity or, without a name, of all of its type.
func (c *command) describeResources(ctx context.Context) error {
	kind, names := c.types[0], c.names
	if len(names) > 0 {
		names = names[:1]
	} else {
		var err error
		if names, err = c.existing(ctx, kind); err != nil {
			return err
		}
	}
	for _, name := range names {
		switch {
		case name == "":
			fmt.Fprintf(c.env.Stdout, "Default configs for %s in the cluster are:\n", kind)
		case c.options.Has(all):
			fmt.Fprintf(c.env.Stdout, "All configs for %s %s are:\n", kind[:len(kind)-1], name)
		default:
			fmt.Fprintf(c.env.Stdout, "Dynamic configs for %s %s are:\n", kind[:len(kind)-1], name)
		}
		properties, err := c.properties(ctx, kind, name, true, c.options.Has(all))
		if err != nil {
			return err
		}
		for _, p := range properties {
			var synonyms []string
			for _, s := range p.ConfigSynonyms {
				synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", source(s.Source), s.Name, orNull(s.Value)))
			}
			fmt.Fprintf(c.env.Stdout, "  %s=%s sensitive=%t synonyms={%s}\n", p.Name, orNull(p.Value), p.IsSensitive, strings.Join(synonyms, ", "))
		}
	}
	return nil
}

func source(s kmsg.ConfigSource) string {
	if name, ok := sources[s]; ok {
		return name
	}
	return "UNKNOWN"
}

func orNull(text *string) string {
	if text == nil {
		return "null"
	}
	return *text
}

// existing returns the names of all entities of a type, in the order in which Kafka lists them.
func (c *command) existing(ctx context.Context, kind string) ([]string, error) {
	var names []string
	switch kind {
	case topics:
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = nil // all
		resp, err := c.admin.Metadata(ctx, "listTopics", req)
		if err != nil {
			return nil, throwable.InFuture(err)
		}
		for _, t := range resp.Topics {
			if t.Topic != nil {
				names = append(names, *t.Topic)
			}
		}
		javamap.Sort(names, -1, javamap.HashString)
	case clientMetrics:
		req := kmsg.NewPtrListConfigResourcesRequest() // in version 0 it is ListClientMetricsResources
		req.ResourceTypes = []int8{int8(kmsg.ConfigResourceTypeClientMetrics)}
		answer, err := c.admin.Call(ctx, "listClientMetricsResources", req)
		if err != nil {
			return nil, throwable.InFuture(err)
		}
		resp := answer.(*kmsg.ListConfigResourcesResponse)
		if err := throwable.FromCode(resp.ErrorCode, nil); err != nil {
			return nil, throwable.InFuture(err)
		}
		for _, r := range resp.ConfigResources {
			names = append(names, r.Name)
		}
	default: // brokers and their loggers
		_, live, err := c.admin.Cluster(ctx)
		if err != nil {
			return nil, throwable.InFuture(err)
		}
		for _, b := range live {
			names = append(names, strconv.Itoa(int(b.NodeID)))
		}
		names = append(names, "")
	}
	return names, nil
}

// kinds are the types of resources, with the source of what is set for one dynamically; loggers show all.
var kinds = map[string]struct {
	resource kmsg.ConfigResourceType
	source   kmsg.ConfigSource
}{
	topics:        {kmsg.ConfigResourceTypeTopic, kmsg.ConfigSourceDynamicTopicConfig},
	brokers:       {kmsg.ConfigResourceTypeBroker, kmsg.ConfigSourceDynamicBrokerConfig},
	brokerLoggers: {kmsg.ConfigResourceTypeBrokerLogger, 0},
	clientMetrics: {kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigSourceClientMetricsConfig},
}

// properties returns the properties of an entity by name: all of them, or those that were set for it
// dynamically.
func (c *command) properties(ctx context.Context, kind, name string, synonyms, everything bool) ([]property, error) {
	wanted := kinds[kind].source
	switch {
	case kind == topics && name != "":
		if err := topic.ValidateName(name); err != nil {
			return nil, throwable.New(throwable.InvalidTopic, err.Error())
		}
	case kind == brokers && name == "":
		wanted = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	case (kind == brokers || kind == brokerLoggers) && name != "" && !isInteger(name):
		return nil, illegal("The entity name for %s must be a valid integer broker id, found: %s", kind, name)
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	described, err := c.admin.Describe(ctx, client.Resource{Type: kinds[kind].resource, Name: name}, synonyms)
	if err != nil {
		return nil, failed(err)
	}
	if !everything && wanted != 0 {
		described = slices.DeleteFunc(described, func(p property) bool { return p.Source != wanted })
	}
	slices.SortFunc(described, func(a, b property) int { return strings.Compare(a.Name, b.Name) })
	return described, nil
}

// alterResource changes the configuration of a topic, a broker, its loggers or client metrics.
func (c *command) alterResource(ctx context.Context, added map[string]string, deleted []string) error {
	kind, name := c.types[0], c.names[0]
	properties, err := c.properties(ctx, kind, name, kind == brokerLoggers, false)
	if err != nil {
		return err
	}
	old := map[string]*string{}
	for _, p := range properties {
		old[p.Name] = p.Value
	}
	unknown := without(deleted, old)
	if kind == brokerLoggers {
		if unknown = append(unknown, without(inOrder(added), old)...); len(unknown) > 0 {
			return invalid("Invalid broker logger(s): %s", strings.Join(unknown, ","))
		}
	}
	if len(unknown) > 0 {
		return invalid("Invalid config(s): %s", strings.Join(unknown, ","))
	}
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	resource := client.Resource{Type: kinds[kind].resource, Name: name}
	if kind == brokers {
		return c.replaceBroker(ctx, resource, old, added, deleted)
	}
	change := client.Change{Resource: resource}
	for _, key := range inOrder(added) {
		change.Settings = append(change.Settings, client.Setting{Name: key, Value: kmsg.StringPtr(added[key])})
	}
	for _, key := range deleted {
		change.Settings = append(change.Settings, client.Setting{Name: key})
	}
	return failed(c.admin.Alter(ctx, []client.Change{change}))
}

// replaceBroker writes the whole dynamic configuration of a broker or of all (AlterConfigs). Brokers do not
// tell passwords, so that these must be given again.
func (c *command) replaceBroker(ctx context.Context, r client.Resource, old map[string]*string, added map[string]string, deleted []string) error {
	for key, value := range added {
		old[key] = &value
	}
	for _, key := range deleted {
		delete(old, key)
	}
	hidden := map[string]string{}
	for key, value := range old {
		if value == nil {
			hidden[key] = ""
		}
	}
	if len(hidden) > 0 {
		return invalid("All sensitive broker config entries must be specified for --alter, missing entries: %s", scalaSet(inOrder(hidden)))
	}
	req := kmsg.NewPtrAlterConfigsRequest()
	resource := kmsg.NewAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = r.Type, r.Name
	for key, value := range old {
		config := kmsg.NewAlterConfigsRequestResourceConfig()
		config.Name, config.Value = key, value
		resource.Configs = append(resource.Configs, config)
	}
	req.Resources = append(req.Resources, resource)
	resp, err := c.admin.CallResource(ctx, "alterConfigs", r, req)
	if err != nil {
		return failed(err)
	}
	for _, altered := range resp.(*kmsg.AlterConfigsResponse).Resources {
		if err := throwable.FromCode(altered.ErrorCode, altered.ErrorMessage); err != nil {
			return failed(err)
		}
	}
	return nil
}
