package consume

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Timestamps that ListOffsets takes for the first and the next offset.
const (
	timestampEarliest = -2
	timestampLatest   = -1
)

// begin returns where to begin in newly assigned partitions: at the committed offset, or else where
// auto.offset.reset says.
func (p *positions) begin(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	open, next := map[string][]int32{}, map[string]map[int32]kgo.EpochOffset{}
	for name, partitions := range assigned {
		next[name] = map[int32]kgo.EpochOffset{}
		for index, offset := range partitions {
			if next[name][index] = offset.EpochOffset(); next[name][index].Offset < 0 {
				open[name] = append(open[name], index)
			}
		}
	}
	if err := p.resolve(ctx, open, next); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, partitions := range next {
		if p.mu.next[name] == nil {
			p.mu.next[name] = map[int32]kgo.EpochOffset{}
		}
		for index, at := range partitions {
			p.mu.next[name][index] = at
			if at.Offset >= 0 {
				assigned[name][index] = kgo.NewOffset().At(at.Offset)
			}
		}
	}
	p.mu.changed, p.mu.due = true, time.Now().Add(p.interval)
	return assigned, nil
}

// resolve puts the positions of partitions without a committed offset into next. Those that cannot be had now stay
// negative and are left to the client, which tries again.
func (p *positions) resolve(ctx context.Context, open map[string][]int32, next map[string]map[int32]kgo.EpochOffset) error {
	if len(open) == 0 {
		return nil
	}
	if p.reset == "none" {
		return undefinedOffset(open)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, p.isolation
	for name, indexes := range open {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			asked := kmsg.NewListOffsetsRequestTopicPartition()
			asked.Partition, asked.CurrentLeaderEpoch, asked.Timestamp = index, -1, timestampLatest
			if p.reset == "earliest" {
				asked.Timestamp = timestampEarliest
			}
			t.Partitions = append(t.Partitions, asked)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		return nil
	}
	for _, t := range resp.Topics {
		for _, found := range t.Partitions {
			if found.ErrorCode == 0 && found.Offset >= 0 {
				next[t.Topic][found.Partition] = kgo.EpochOffset{Epoch: found.LeaderEpoch, Offset: found.Offset}
			}
		}
	}
	return nil
}

// undefinedOffset is the error of a group without offsets that must not begin anywhere else.
func undefinedOffset(open map[string][]int32) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(open)) {
		for _, index := range slices.Sorted(slices.Values(open[name])) {
			names = append(names, topic.Partition{Topic: name, Index: index}.String())
		}
	}
	return throwable.New("org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
		"Undefined offset with no reset policy for partitions: ["+strings.Join(names, ", ")+"]")
}
