package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
)

// Versions are records of which many have the same key: what compaction works on.
type Versions struct {
	Records, Keys int // how many, the same ones each time
	PerBatch      int // records in a batch
}

// valueBytes makes a record of about 100 bytes, with its key and what the batch adds.
const valueBytes = 76

// Produce appends the records to the first partition of a topic, uncompressed, one batch to a request.
func (v Versions) Produce(ctx context.Context, c *Conn, topic string) error {
	random := newRandom()
	now := time.Now().UnixMilli()
	part := kmsg.NewProduceRequestTopicPartition()
	asked := kmsg.NewProduceRequestTopic()
	asked.Topic = topic
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = produceVersion, 1, int32(patience.Milliseconds())
	key := make([]byte, 16)
	for left := v.Records; left > 0; {
		n := min(left, v.PerBatch)
		builder := record.NewBuilder(record.MagicV2, record.BuilderOptions{})
		for range n {
			binary.BigEndian.PutUint64(key[8:], uint64(random.IntN(v.Keys)))
			if err := builder.Append(record.Record{Timestamp: now, Key: key, Value: line(random, valueBytes)}); err != nil {
				return fmt.Errorf("build a batch: %w", err)
			}
		}
		batch, err := builder.Build(part.Records[:0])
		if err != nil {
			return fmt.Errorf("build a batch: %w", err)
		}
		part.Records = batch
		asked.Partitions = append(asked.Partitions[:0], part)
		req.Topics = append(req.Topics[:0], asked)
		resp, err := c.RoundTrip(ctx, req)
		if err != nil {
			return err
		}
		for _, t := range resp.(*kmsg.ProduceResponse).Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("produce to %s: %w", topic, err)
				}
			}
		}
		left -= n
	}
	return nil
}

// SetProperty changes a property of a topic.
func (c *Conn) SetProperty(ctx context.Context, topic, name, value string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	config.Name, config.Value = name, &value
	r.Configs = append(r.Configs, config)
	req.Resources = append(req.Resources, r)
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	for _, r := range resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return fmt.Errorf("set %s of %s: %w", name, topic, err)
		}
	}
	return nil
}
