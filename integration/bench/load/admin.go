package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTimeout is how long a broker may take to create topics.
const createTimeout = 110 * time.Second

// Ready fails unless the broker knows itself and a controller.
func (c *Conn) Ready(ctx context.Context) error {
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 12, []kmsg.MetadataRequestTopic{} // not nil, which is all of them
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	if m := resp.(*kmsg.MetadataResponse); len(m.Brokers) == 0 || m.ControllerID < 0 {
		return fmt.Errorf("%d brokers, controller %d", len(m.Brokers), m.ControllerID)
	}
	return nil
}

// Create creates topics of so many partitions each in one request and returns their ids, by name.
func (c *Conn) Create(ctx context.Context, partitions int, topics ...string) (map[string][16]byte, error) {
	return c.CreateReplicated(ctx, partitions, 1, nil, topics...)
}

// CreateReplicated is Create with so many replicas of each partition, and properties.
func (c *Conn) CreateReplicated(ctx context.Context, partitions, replicas int, properties map[string]string, topics ...string) (map[string][16]byte, error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 7, int32(createTimeout.Milliseconds())
	for _, name := range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, int32(partitions), int16(replicas)
		for name, value := range properties {
			t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	ids := make(map[string][16]byte, len(topics))
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return nil, fmt.Errorf("create topic %s: %w", t.Topic, err)
		}
		ids[t.Topic] = t.TopicID
	}
	return ids, nil
}

// Cluster is what one broker knows of a topic, and of the cluster.
type Cluster struct {
	Controller int32
	Led        map[int32]int // partitions by their leaders
	InSync     int           // replicas in the ISRs of all partitions
	Leaders    []string      // addresses of the leaders, by partition, if one topic was asked for
	Preferred  int32         // the preferred leader of the last partition; -1: there is none
}

// Describe returns what the broker knows of topics.
func (c *Conn) Describe(ctx context.Context, topics ...string) (Cluster, error) {
	known := Cluster{Led: map[int32]int{}, Preferred: -1}
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = 12, []kmsg.MetadataRequestTopic{}
	for _, name := range topics {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &name})
	}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return known, err
	}
	m := resp.(*kmsg.MetadataResponse)
	known.Controller = m.ControllerID
	addrs := make(map[int32]string, len(m.Brokers))
	for _, b := range m.Brokers {
		addrs[b.NodeID] = fmt.Sprintf("%s:%d", b.Host, b.Port)
	}
	for _, t := range m.Topics {
		known.Leaders = make([]string, len(t.Partitions))
		for _, p := range t.Partitions {
			known.Led[p.Leader]++
			known.InSync += len(p.ISR)
			if len(p.Replicas) > 0 {
				known.Preferred = p.Replicas[0]
			}
			if i := int(p.Partition); i < len(known.Leaders) {
				known.Leaders[i] = addrs[p.Leader]
			}
		}
	}
	return known, nil
}

// Delete deletes topics.
func (c *Conn) Delete(ctx context.Context, topics ...string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.Version, req.TimeoutMillis = 6, int32(createTimeout.Milliseconds())
	for _, name := range topics {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.DeleteTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("delete topic: %w", err)
		}
	}
	return nil
}

// Ends returns the sum of the end offsets of the first partitions of the topics. It fails unless the
// broker leads every one of them.
func (c *Conn) Ends(ctx context.Context, partitions int, topics ...string) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = 7, -1
	for _, name := range topics {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for i := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.CurrentLeaderEpoch, p.Timestamp = int32(i), -1, -1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return 0, err
	}
	ends := int64(0)
	for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return 0, fmt.Errorf("end of %s-%d: %w", t.Topic, p.Partition, err)
			}
			ends += p.Offset
		}
	}
	return ends, nil
}

// Touch appends one record to each of the first partitions of a topic.
func (c *Conn) Touch(ctx context.Context, topic string, partitions int) error {
	one, err := NewBatches(topic, 1, Spec{RecordBytes: 100})
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, 1, int32(patience.Milliseconds())
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i), one.frames[0].batch
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	accepted := 0
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("produce to %s-%d: %w", topic, p.Partition, err)
			}
			accepted++
		}
	}
	if accepted != partitions {
		return fmt.Errorf("produce to %s: an answer about %d partitions of %d", topic, accepted, partitions)
	}
	return nil
}

// Serves reports whether the broker has an API.
func (c *Conn) Serves(ctx context.Context, key kmsg.Key) (bool, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, "bench", "1"
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return false, err
	}
	for _, api := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
		if api.ApiKey == int16(key) {
			return true, nil
		}
	}
	return false, nil
}

// Until connects and tries until that succeeds, or ctx ends; then the error is that of the last
// attempt too. Between attempts it waits for the time given.
func Until(ctx context.Context, addr string, every time.Duration, try func(*Conn) error) error {
	for {
		err := attempt(ctx, addr, try)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(every):
		}
	}
}

func attempt(ctx context.Context, addr string, try func(*Conn) error) error {
	conn, err := Dial(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	return try(conn)
}
