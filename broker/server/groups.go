package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/broker/coordinator"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// startGroups makes the coordinator of consumer groups. It owns no partition until the controller says so.
func (s *Server) startGroups(ctx context.Context) error {
	partitions, err := s.groupPartitions(ctx)
	if err != nil {
		return err
	}
	s.groups, err = coordinator.New(coordinator.Options{
		Replicas: s.replicas, Partitions: partitions,
		Groups: group.Config{
			InitialRebalanceDelay: s.cfg.Millis("group.initial.rebalance.delay.ms"),
			MaxSize:               s.cfg.Int("group.max.size"),
			MinSessionTimeoutMs:   int32(s.cfg.Int("group.min.session.timeout.ms")),
			MaxSessionTimeoutMs:   int32(s.cfg.Int("group.max.session.timeout.ms")),
			MaxMetadata:           s.cfg.Int("offset.metadata.max.bytes"),
			NewID:                 uuid,
		},
		RequiredAcks:           int16(s.cfg.Int("offsets.commit.required.acks")),
		CommitTimeout:          s.cfg.Millis("offsets.commit.timeout.ms"),
		Codec:                  record.Codec(s.cfg.Int("offsets.topic.compression.codec")),
		LoadBufferBytes:        s.cfg.Int("offsets.load.buffer.size"),
		Retention:              time.Duration(s.cfg.Int("offsets.retention.minutes")) * time.Minute,
		RetentionCheckInterval: s.cfg.Millis("offsets.retention.check.interval.ms"),
		Verifying:              s.verifying,
		Logger:                 s.named("kafka.coordinator.group.GroupCoordinator"),
	})
	return err
}

// groupPartitions returns how many partitions __consumer_offsets has, or will have: that is looked up once, at the
// start, because groups belong to partitions by it. A topic without any counts as none (KafkaZkClient.getTopicPartitionCount).
func (s *Server) groupPartitions(ctx context.Context) (int, error) {
	t, err := s.zk.Topic(ctx, topic.ConsumerOffsets)
	if err == nil && len(t.Partitions) > 0 {
		return len(t.Partitions), nil
	}
	if err != nil && !errors.Is(err, zkutil.ErrNoNode) {
		return 0, err
	}
	return s.cfg.Int("offsets.topic.num.partitions"), nil
}

// uuid returns a random UUID in its usual form.
func uuid() string {
	id := topic.NewID()
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
