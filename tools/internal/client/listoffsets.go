package client

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Timestamps that are none.
const (
	LatestTimestamp   = -1
	EarliestTimestamp = -2
)

// ListOffsets asks the leaders for the offsets of partitions at a timestamp; -1 means that there is none. It also
// returns the errors of partitions that failed.
func (a *Admin) ListOffsets(ctx context.Context, partitions []topic.Partition, timestamp int64) (
	map[topic.Partition]int64, map[topic.Partition]error) {
	offsets := map[topic.Partition]int64{}
	ask := func(ctx context.Context, leader *kgo.Broker, asked []topic.Partition) (map[topic.Partition]error, error) {
		resp, err := leader.RetriableRequest(ctx, newListOffsets(asked, timestamp))
		if err != nil {
			return nil, err
		}
		failed := map[topic.Partition]error{}
		for _, t := range resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				partition := topic.Partition{Topic: t.Topic, Index: p.Partition}
				failed[partition] = throwable.FromCode(p.ErrorCode, nil)
				offsets[partition] = p.Offset
				if len(p.OldStyleOffsets) > 0 {
					offsets[partition] = p.OldStyleOffsets[0]
				}
				a.LogUnexpected("ListOffsetsHandler", fmt.Sprintf("ListOffsets request for topic partition %s failed due to an unexpected error", partition), p.ErrorCode)
			}
		}
		return failed, nil
	}
	failed := a.eachLeader(ctx, "listOffsets", "LIST_OFFSETS", partitions, ask, true)
	return offsets, failed
}

func newListOffsets(partitions []topic.Partition, timestamp int64) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	ByTopicHashed(partitions, func(name string, indexes []int32) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp, p.CurrentLeaderEpoch, p.MaxNumOffsets = index, timestamp, -1, 1
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	})
	return req
}

// LogUnexpected logs, as a class of Kafka's AdminClient does, an error that trying again does not mend.
func (a *Admin) LogUnexpected(class, message string, code int16) {
	if failure := kerr.TypedErrorForCode(code); a.env.Kafka && failure != nil && !failure.Retriable {
		a.env.Log("ERROR", "org.apache.kafka.clients.admin.internals."+class, a.logContext+message+" "+failure.Message)
	}
}
