package clients

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go"
)

// Admin administers a cluster. Its methods may be called from any goroutine. Each connects anew, and asks once: what fails
// because a broker has gone, or another one has become the controller, is an error.
type Admin struct {
	client *kafka.Client
}

// NewAdmin returns an Admin with the properties bootstrap.servers (required), client.id, and
// request.timeout.ms: 30000. It does not connect before it is asked something.
func NewAdmin(p Properties) (*Admin, error) {
	r := read(p)
	servers, id := r.servers(), r.text("client.id", "")
	timeout := r.millis("request.timeout.ms", 30_000, 1)
	if err := r.finish("admin"); err != nil {
		return nil, err
	}
	return &Admin{client: &kafka.Client{Addr: kafka.TCP(servers...), Timeout: timeout, Transport: &kafka.Transport{ClientID: id}}}, nil
}

// Close gives up the connections. An Admin that is asked something afterwards makes new ones.
func (a *Admin) Close() { a.client.Transport.(*kafka.Transport).CloseIdleConnections() }

// fresh returns the client, without what it remembers: its transport would answer questions for metadata by what it has
// read seconds ago, and send requests on connections whose broker has gone. Calls that are under way keep theirs.
func (a *Admin) fresh() *kafka.Client {
	a.Close()
	return a.client
}

// NewTopic describes a topic to be created.
type NewTopic struct {
	Name              string
	Partitions        int // -1: as the broker's num.partitions says
	ReplicationFactor int // -1: as the broker's default.replication.factor says
	Configs           map[string]string
}

// CreateTopics creates topics. The error joins what went wrong with each; it matches kafka-go's, such as
// kafka.TopicAlreadyExists.
func (a *Admin) CreateTopics(ctx context.Context, topics ...NewTopic) error {
	req := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		c := kafka.TopicConfig{Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: t.ReplicationFactor}
		for _, name := range slices.Sorted(maps.Keys(t.Configs)) {
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: t.Configs[name]})
		}
		req.Topics = append(req.Topics, c)
	}
	resp, err := a.fresh().CreateTopics(ctx, req)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	return joined("create topic", resp.Errors)
}

// DeleteTopics deletes topics; errors are as CreateTopics'.
func (a *Admin) DeleteTopics(ctx context.Context, names ...string) error {
	resp, err := a.fresh().DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	return joined("delete topic", resp.Errors)
}

// CreatePartitions raises a topic's number of partitions to total.
func (a *Admin) CreatePartitions(ctx context.Context, topic string, total int) error {
	resp, err := a.fresh().CreatePartitions(ctx, &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: int32(total)}},
	})
	if err != nil {
		return fmt.Errorf("create partitions: %w", err)
	}
	return joined("create partitions of topic", resp.Errors)
}

func joined(what string, byName map[string]error) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := byName[name]; err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", what, name, err))
		}
	}
	return errors.Join(errs...)
}

// PartitionInfo is what the cluster knows of a partition, by broker ids.
type PartitionInfo struct {
	Partition int
	Leader    int // -1: none
	Replicas  []int
	ISR       []int
}

// TopicInfo is what the cluster knows of a topic.
type TopicInfo struct {
	Name       string
	Internal   bool
	Partitions []PartitionInfo // by number
}

// DescribeTopics returns what is known of topics, of all if none is named.
func (a *Admin) DescribeTopics(ctx context.Context, names ...string) ([]TopicInfo, error) {
	resp, err := a.fresh().Metadata(ctx, &kafka.MetadataRequest{Topics: names})
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	var topics []TopicInfo
	var errs []error
	for _, t := range resp.Topics {
		if t.Error != nil {
			errs = append(errs, fmt.Errorf("describe topic %s: %w", t.Name, t.Error))
			continue
		}
		info := TopicInfo{Name: t.Name, Internal: t.Internal}
		for _, p := range t.Partitions {
			leader := p.Leader.ID
			if p.Leader.Host == "" {
				leader = -1
			}
			info.Partitions = append(info.Partitions, PartitionInfo{Partition: p.ID, Leader: leader, Replicas: ids(p.Replicas), ISR: ids(p.Isr)})
		}
		slices.SortFunc(info.Partitions, func(a, b PartitionInfo) int { return a.Partition - b.Partition })
		topics = append(topics, info)
	}
	slices.SortFunc(topics, func(a, b TopicInfo) int { return strings.Compare(a.Name, b.Name) })
	return topics, errors.Join(errs...)
}

func ids(brokers []kafka.Broker) []int {
	list := make([]int, len(brokers))
	for i, b := range brokers {
		list[i] = b.ID
	}
	return list
}

// Offsets are the bounds of a partition's log.
type Offsets struct {
	First int64
	End   int64 // of the next record
}

// ListOffsets returns the bounds of all partitions of topics.
func (a *Admin) ListOffsets(ctx context.Context, names ...string) (map[TopicPartition]Offsets, error) {
	partitions, err := a.partitions(ctx, names)
	if err != nil {
		return nil, err
	}
	return bounds(ctx, a.client, partitions)
}

// partitions returns the numbers of all partitions of topics.
func (a *Admin) partitions(ctx context.Context, topics []string) (map[string][]int, error) {
	known, err := a.DescribeTopics(ctx, topics...)
	if err != nil {
		return nil, err
	}
	partitions := map[string][]int{}
	for _, t := range known {
		for _, p := range t.Partitions {
			partitions[t.Name] = append(partitions[t.Name], p.Partition)
		}
	}
	return partitions, nil
}

// DescribeTopicConfigs returns the values of all properties of a topic, by name; those that are sensitive are "".
func (a *Admin) DescribeTopicConfigs(ctx context.Context, topic string) (map[string]string, error) {
	resp, err := a.fresh().DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources: []kafka.DescribeConfigRequestResource{{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}},
	})
	if err != nil {
		return nil, fmt.Errorf("describe configs of topic %s: %w", topic, err)
	}
	values := map[string]string{}
	for _, r := range resp.Resources {
		if r.Error != nil {
			return nil, fmt.Errorf("describe configs of topic %s: %w", topic, r.Error)
		}
		for _, e := range r.ConfigEntries {
			values[e.ConfigName] = e.ConfigValue
		}
	}
	return values, nil
}

// AlterTopicConfigs sets properties of a topic and leaves the others as they are; a nil value takes the topic's
// own away (IncrementalAlterConfigs).
func (a *Admin) AlterTopicConfigs(ctx context.Context, topic string, changes map[string]*string) error {
	resource := kafka.IncrementalAlterConfigsRequestResource{ResourceType: kafka.ResourceTypeTopic, ResourceName: topic}
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		c := kafka.IncrementalAlterConfigsRequestConfig{Name: name, ConfigOperation: kafka.ConfigOperationDelete}
		if value := changes[name]; value != nil {
			c.Value, c.ConfigOperation = *value, kafka.ConfigOperationSet
		}
		resource.Configs = append(resource.Configs, c)
	}
	resp, err := a.fresh().IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{resource},
	})
	if err != nil {
		return fmt.Errorf("alter configs of topic %s: %w", topic, err)
	}
	for _, r := range resp.Resources {
		if r.Error != nil {
			return fmt.Errorf("alter configs of topic %s: %w", topic, r.Error)
		}
	}
	return nil
}

// CommittedOffsets returns what a group has committed for the partitions of topics; -1: nothing.
func (a *Admin) CommittedOffsets(ctx context.Context, group string, topics ...string) (map[TopicPartition]int64, error) {
	partitions, err := a.partitions(ctx, topics)
	if err != nil {
		return nil, err
	}
	return committed(ctx, a.client, group, partitions)
}
