package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// AlterConfigs replaces the whole configurations of topics, of this broker and of all brokers, versions 0 to 2.
// It is deprecated because two clients that do so undo what the other did.
func (h *Handlers) AlterConfigs(r *request.Request) {
	req := kmsg.NewPtrAlterConfigsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	all := make([]alteration, len(req.Resources))
	for i, asked := range req.Resources {
		a := &all[i]
		a.Resource = Resource{int8(asked.ResourceType), asked.ResourceName}
		for _, c := range asked.Configs {
			a.ops = append(a.ops, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: c.Name, Value: c.Value})
		}
	}
	for i, err := range h.alterAll("AlterConfigs", all, req.ValidateOnly) {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		out.ErrorCode, out.ErrorMessage = h.failed("AlterConfigs", all[i].String(), err)
		resp.Resources = append(resp.Resources, out)
	}
	r.Reply(resp)
}

// IncrementalAlterConfigs changes single properties of topics, of this broker and of all brokers, and levels of
// loggers, versions 0 and 1 (KIP-339, KIP-412). What is changed is read, edited and written without a look at its
// version, as in Kafka: of two changes at once one may be lost.
func (h *Handlers) IncrementalAlterConfigs(r *request.Request) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	all := make([]alteration, len(req.Resources))
	for i, asked := range req.Resources {
		all[i] = alteration{Resource: Resource{int8(asked.ResourceType), asked.ResourceName}, ops: asked.Configs, incremental: true}
	}
	for i, err := range h.alterAll("IncrementalAlterConfigs", all, req.ValidateOnly) {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = req.Resources[i].ResourceType, req.Resources[i].ResourceName
		out.ErrorCode, out.ErrorMessage = h.failed("IncrementalAlterConfigs", all[i].String(), err)
		resp.Resources = append(resp.Resources, out)
	}
	r.Reply(resp)
}

// alteration is what a request wants of one resource: properties in place of those that it has or, incremental,
// changes of them.
type alteration struct {
	Resource
	ops         []kmsg.IncrementalAlterConfigsRequestResourceConfig
	incremental bool
}

// alterAll makes alterations, with an error for each.
func (h *Handlers) alterAll(api string, all []alteration, validateOnly bool) []error {
	ctx, cancel := h.storeContext()
	defer cancel()
	times := map[Resource]int{}
	for i := range all {
		times[all[i].Resource]++
	}
	errs := make([]error, len(all))
	for i := range all {
		a := &all[i]
		if errs[i] = invalidRequest("Each resource must appear at most once."); times[a.Resource] == 1 {
			errs[i] = h.alter(ctx, a, validateOnly)
		}
		if errs[i] != nil && !status.Unexpected(errs[i]) {
			h.Logger.WithField("resource", a.String()).WithError(errs[i]).Info("Error processing " + api)
		}
	}
	return errs
}

func invalidRequest(text string) error { return status.New(kerr.InvalidRequest, text) }

func (h *Handlers) alter(ctx context.Context, a *alteration, validateOnly bool) error {
	if err := a.check(); err != nil {
		return err
	}
	switch a.Type {
	case topicResource:
		return h.alterTopic(ctx, a, validateOnly)
	case brokerResource:
		return h.alterBroker(ctx, a, validateOnly)
	case brokerLoggerResource:
		if a.incremental {
			return h.alterLoggers(a, validateOnly)
		}
	case clientMetricsResource:
		return invalidRequest("AlterConfigs is only supported for topics and brokers, but resource type is CLIENT_METRICS")
	}
	return invalidRequest(fmt.Sprintf("Unknown resource type %d", a.Type))
}

// check refuses properties that come twice or without a value (ConfigAdminManager.preprocess).
func (a *alteration) check() error {
	seen := map[string]bool{}
	var nulls []string
	for _, op := range a.ops {
		if seen[op.Name] {
			return invalidRequest("Error due to duplicate config keys")
		}
		seen[op.Name] = true
		if op.Value == nil && op.Op != kmsg.IncrementalAlterConfigOpDelete {
			nulls = append(nulls, op.Name)
		}
	}
	if len(nulls) > 0 {
		return invalidRequest("Null value not supported for : " + strings.Join(nulls, ", "))
	}
	return nil
}

// alterTopic changes the properties of a topic (ZkAdminManager.alterTopicConfigs).
func (h *Handlers) alterTopic(ctx context.Context, a *alteration, validateOnly bool) error {
	if a.Name == "" {
		return invalidRequest("Default topic resources are not allowed.")
	}
	set := map[string]string{}
	if a.incremental {
		var err error
		set, err = h.Store.Config(ctx, a.Resource)
		if e, ok := errors.AsType[*InvalidPath](err); ok { // which Kafka takes for what it says of a value
			return a.invalidValue(e.Text)
		} else if err != nil {
			return err
		}
	}
	if err := applyOps(set, a.ops, config.LookupTopic); err != nil {
		return err
	}
	if h.Cluster.Load().Topic(a.Name) == nil {
		return status.New(kerr.UnknownTopicOrPartition, "The topic '"+a.Name+"' does not exist.")
	}
	if _, err := h.Store.Assignment(ctx, a.Name); errors.Is(err, ErrNoTopic) {
		return status.New(kerr.UnknownTopicOrPartition, "Topic '"+a.Name+"' does not exist.") // it has just been deleted
	} else if err != nil {
		return err
	}
	if err := h.Config().CheckTopic(set); err != nil {
		if e, ok := errors.AsType[*config.InvalidTopic](err); ok && e.Value {
			return a.invalidValue(e.Text)
		}
		return invalidConfig(err)
	}
	if validateOnly {
		return nil
	}
	h.Logger.WithField("resource", a.String()).WithField("config", config.Shown(set, config.LookupTopic)).Info("Updating configuration")
	return h.Store.ChangeConfig(ctx, a.Resource, set)
}

// invalidValue is the error for a value that is wrong by itself.
func (a *alteration) invalidValue(text string) error {
	return status.New(kerr.InvalidConfig, "Invalid config value for resource "+a.String()+": "+text)
}

// alterBroker changes the dynamic configuration of this broker or, without a name, of all (KIP-226). What the
// broker makes of it is checked here; it takes effect when the note of the change comes back.
func (h *Handlers) alterBroker(ctx context.Context, a *alteration, validateOnly bool) error {
	perBroker := a.Name != ""
	if perBroker {
		if err := h.thisNode(a.Name); err != nil {
			return err
		}
	}
	cfg := h.Config()
	set, foreign := map[string]string{}, map[string]string{}
	if a.incremental {
		stored, err := h.Store.Config(ctx, a.Resource)
		if err != nil {
			return err
		}
		valid := cfg.FromStore(stored, perBroker)
		set, foreign = valid.Set, valid.Unsupported
	}
	for _, op := range a.ops {
		if a.incremental && (op.Op < kmsg.IncrementalAlterConfigOpSet || op.Op > kmsg.IncrementalAlterConfigOpSubtract) {
			return invalidRequest(fmt.Sprintf("Unknown operations type %d", op.Op))
		}
		delete(foreign, op.Name)
	}
	if err := applyOps(set, a.ops, lookupBroker); err != nil {
		return err
	}
	if err := cfg.ValidateDynamic(set, perBroker); err != nil {
		return invalidRequest(err.Error())
	}
	if validateOnly {
		return nil
	}
	encoded, err := cfg.ToStore(set, perBroker)
	if err != nil {
		return a.invalidValue(err.Error())
	}
	maps.Copy(encoded, foreign)
	h.Logger.WithField("resource", a.String()).WithField("config", config.Shown(set, config.Lookup)).Info("Updating configuration")
	return h.Store.ChangeConfig(ctx, a.Resource, encoded)
}

// thisNode refuses to change what is not this broker's: only the broker itself can tell what is valid there.
func (h *Handlers) thisNode(name string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	switch {
	case err != nil:
		return invalidRequest("Node id must be an integer, but it is: " + name)
	case int32(id) != h.BrokerID:
		return invalidRequest(fmt.Sprintf("Unexpected broker id, expected %d, but received %s", h.BrokerID, name))
	}
	return nil
}

// lookupBroker finds a property that a file can have, by its own name.
func lookupBroker(name string) (*config.Property, bool) {
	p, ok := config.Lookup(name)
	return p, ok && p.Name == name && p.Scope != config.DynamicOnly
}
