package topics

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// cluster is what Metadata says of live brokers and of topics.
type cluster struct {
	live   map[int32]bool
	topics []kmsg.MetadataResponseTopic // each with its partitions by number
}

func (c *command) describe(ctx context.Context) error {
	described, err := c.selected(ctx)
	if err != nil {
		return err
	}
	configs, err := c.configs(ctx, described.topics)
	if err != nil {
		return err
	}
	moves, err := c.reassignments(ctx, described.topics)
	if err != nil {
		return err
	}
	p := printer{out: c.env.Stdout, report: c.reports(), live: described.live}
	for _, t := range described.topics {
		if err := p.topic(t, configs[*t.Topic], moves); err != nil {
			return err
		}
	}
	return nil
}

// reports returns what the options restrict the output to.
func (c *command) reports() report {
	return report{
		underReplicated: c.options.Has(underReplicated),
		unavailable:     c.options.Has(unavailable),
		underMinISR:     c.options.Has(underMinISR),
		atMinISR:        c.options.Has(atMinISR),
		overridden:      c.options.Has(withOverrides),
	}
}

// selected returns the topics to describe, by --topic-id or else by --topic, in Kafka's order.
func (c *command) selected(ctx context.Context) (*cluster, error) {
	if _, _, err := c.options.Int32(partitionLimit); err != nil {
		return nil, err
	}
	text, err := c.options.Value(topicID)
	if err != nil {
		return nil, err
	}
	if c.options.Has(topicID) {
		id, err := parseID(text)
		if err != nil {
			return nil, err
		}
		if !id.IsZero() {
			return c.byID(ctx, id)
		}
	}
	names, err := c.existing(ctx)
	if err != nil {
		return nil, err
	}
	javamap.Sort(names, len(names), javamap.HashString)
	return c.metadata(ctx, names)
}

func (c *command) byID(ctx context.Context, id topic.ID) (*cluster, error) {
	all, err := c.all(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		if t.TopicID == id && t.Topic != nil {
			return c.metadata(ctx, []string{*t.Topic})
		}
	}
	if c.options.Has(ifExists) {
		return &cluster{}, nil
	}
	return nil, illegal("TopicId '%s' does not exist as expected", id)
}

// metadata returns the named topics in the given order. A topic that is gone is an error.
func (c *command) metadata(ctx context.Context, names []string) (*cluster, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.admin.Metadata(ctx, "describeTopics", req)
	if err != nil {
		return nil, err
	}
	found := &cluster{live: map[int32]bool{}}
	for _, broker := range resp.Brokers {
		found.live[broker.NodeID] = true
	}
	byName := map[string]kmsg.MetadataResponseTopic{}
	for _, t := range resp.Topics {
		if err := throwable.FromCode(t.ErrorCode, nil); err != nil {
			return nil, err
		}
		slices.SortFunc(t.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int {
			return cmp.Compare(a.Partition, b.Partition)
		})
		if t.Topic != nil {
			byName[*t.Topic] = t
		}
	}
	for _, name := range names {
		if t, ok := byName[name]; ok {
			found.topics = append(found.topics, t)
		}
	}
	return found, nil
}

// configs returns the settings of topics in the order in which Kafka prints them.
func (c *command) configs(ctx context.Context, topics []kmsg.MetadataResponseTopic) (map[string][]setting, error) {
	configs := map[string][]setting{}
	if len(topics) == 0 {
		return configs, nil
	}
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, t := range topics {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, *t.Topic
		req.Resources = append(req.Resources, r)
	}
	resp, err := c.admin.Call(ctx, "describeConfigs", req)
	if err != nil {
		return nil, err
	}
	for _, r := range resp.(*kmsg.DescribeConfigsResponse).Resources {
		if err := throwable.FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
			return nil, err
		}
		configs[r.ResourceName] = settingsOf(r.Configs)
	}
	return configs, nil
}

func settingsOf(configs []kmsg.DescribeConfigsResponseResourceConfig) []setting {
	var settings []setting
	for _, config := range configs {
		s := setting{name: config.Name, value: "null", own: config.Source != kmsg.ConfigSourceDefaultConfig && !config.IsDefault}
		if config.Value != nil {
			s.value = *config.Value
		}
		settings = append(settings, s)
	}
	javamap.Sort(settings, -1, func(s setting) int32 { return javamap.HashString(s.name) })
	return settings
}

// reassignments returns the moves of replicas going on. Brokers that cannot tell, or may not, tell none.
func (c *command) reassignments(ctx context.Context, topics []kmsg.MetadataResponseTopic) (map[topic.Partition]client.Reassignment, error) {
	var partitions []topic.Partition
	for _, t := range topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, topic.Partition{Topic: *t.Topic, Index: p.Partition})
		}
	}
	if partitions == nil {
		return nil, nil
	}
	moves, err := c.admin.Reassignments(ctx, partitions)
	return moves, ignorable(err)
}

// ignorable returns nil if err only means that the broker cannot or may not list reassignments.
func ignorable(err error) error {
	if err == nil {
		return nil
	}
	switch throwable.Code(err) {
	case kerr.UnsupportedVersion.Code, kerr.ClusterAuthorizationFailed.Code:
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return throwable.InRuntime(err)
}
