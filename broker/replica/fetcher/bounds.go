package fetcher

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// listOffsetsVersion is that of a follower's ListOffsets.
const listOffsetsVersion = 9

// Timestamps of ListOffsets that stand for the ends of a log.
const (
	latest   = -1
	earliest = -2
)

// outOfRange finds the leader's bounds of partitions whose place lies outside of its log, and brings their
// replicas in line. An error is the connection's.
func (l *loop) outOfRange(ctx context.Context, outside []*partition) error {
	if len(outside) == 0 {
		return nil
	}
	// The end first: if the log grows or is cut at its start in between, the range is too narrow at the end
	// rather than upside down.
	ends, err := l.listOffsets(ctx, outside, latest)
	if err != nil {
		return err
	}
	starts, err := l.listOffsets(ctx, outside, earliest)
	if err != nil {
		return err
	}
	for i, p := range outside {
		err := kerr.ErrorForCode(ends[i].ErrorCode)
		if err == nil {
			err = kerr.ErrorForCode(starts[i].ErrorCode)
		}
		if err != nil {
			l.pause(p, err)
			continue
		}
		place, err := p.OutOfRange(starts[i].Offset, ends[i].Offset)
		if err == nil && place == p.toldAs {
			err = kerr.OffsetOutOfRange // not any more, or the leader contradicts itself: not at once again
		}
		l.settle(p, place, false, err)
	}
	return nil
}

// listOffsets asks for one end of each partition's log. The answers are in the order of of.
func (l *loop) listOffsets(ctx context.Context, of []*partition, timestamp int64) ([]kmsg.ListOffsetsResponseTopicPartition, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = listOffsetsVersion, l.pool.opts.BrokerID
	at := make(map[topic.Partition]int, len(of))
	for i, p := range of {
		at[p.name] = i
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Partition, q.CurrentLeaderEpoch, q.Timestamp = p.name.Index, p.LeaderEpoch, timestamp
		last := len(req.Topics) - 1
		if last < 0 || req.Topics[last].Topic != p.name.Topic {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = p.name.Topic
			req.Topics = append(req.Topics, t)
			last++
		}
		req.Topics[last].Partitions = append(req.Topics[last].Partitions, q)
	}
	answer, err := l.conn.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	results := make([]kmsg.ListOffsetsResponseTopicPartition, len(of))
	for i := range results {
		results[i].ErrorCode = kerr.UnknownTopicOrPartition.Code
	}
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, q := range t.Partitions {
			if i, asked := at[topic.Partition{Topic: t.Topic, Index: q.Partition}]; asked {
				results[i] = q
			}
		}
	}
	return results, nil
}
