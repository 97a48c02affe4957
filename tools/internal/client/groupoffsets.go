package client

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// CommittedOffsets returns the offsets that a group has committed.
func (a *Admin) CommittedOffsets(ctx context.Context, group string) (map[topic.Partition]int64, error) {
	offsets := map[topic.Partition]int64{}
	ask := func(ctx context.Context, coordinator *kgo.Broker, _ []string) (map[string]error, error) {
		req := kmsg.NewPtrOffsetFetchRequest()
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.Topics = group, nil // all
		req.Group, req.Topics, req.Groups = group, nil, append(req.Groups, g)
		resp, err := coordinator.RetriableRequest(ctx, req)
		if err != nil {
			return nil, err
		}
		code, topics := fetched(resp.(*kmsg.OffsetFetchResponse))
		for _, t := range topics {
			for _, p := range t.Partitions {
				partition := topic.Partition{Topic: t.Topic, Index: p.Partition}
				if failure := kerr.TypedErrorForCode(p.ErrorCode); failure != nil {
					a.env.Log("WARN", "org.apache.kafka.clients.admin.internals.ListConsumerGroupOffsetsHandler",
						fmt.Sprintf("%sSkipping return offset for %s due to error %s.", a.logContext, partition, failure.Message))
				} else if p.Offset >= 0 {
					offsets[partition] = p.Offset
				}
			}
		}
		return map[string]error{group: throwable.FromCode(code, nil)}, nil
	}
	_, failed := a.eachCoordinator(ctx, "offsetFetch", "OFFSET_FETCH", []string{group}, ask)
	return offsets, failed[group]
}

// fetched returns the error and the topics of the one group in a response, of whichever version.
func fetched(resp *kmsg.OffsetFetchResponse) (int16, []kmsg.OffsetFetchResponseGroupTopic) {
	if len(resp.Groups) > 0 {
		return resp.Groups[0].ErrorCode, resp.Groups[0].Topics
	}
	var topics []kmsg.OffsetFetchResponseGroupTopic
	for _, t := range resp.Topics {
		topic := kmsg.OffsetFetchResponseGroupTopic{Topic: t.Topic}
		for _, p := range t.Partitions {
			topic.Partitions = append(topic.Partitions, kmsg.OffsetFetchResponseGroupTopicPartition{
				Partition: p.Partition, Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: p.Metadata, ErrorCode: p.ErrorCode})
		}
		topics = append(topics, topic)
	}
	return resp.ErrorCode, topics
}

// CommitOffsets commits offsets for a group that has no members. The error is that of the first partition in the
// order of a Java HashMap, and names all that failed.
func (a *Admin) CommitOffsets(ctx context.Context, group string, partitions []topic.Partition, offsets map[topic.Partition]int64) error {
	var codes map[topic.Partition]int16
	ask := func(ctx context.Context, coordinator *kgo.Broker, _ []string) (map[string]error, error) {
		answer, err := coordinator.RetriableRequest(ctx, newCommit(group, partitions, offsets))
		if err != nil {
			return nil, err
		}
		codes = map[topic.Partition]int16{}
		for _, t := range answer.(*kmsg.OffsetCommitResponse).Topics {
			for _, p := range t.Partitions {
				if passing(p.ErrorCode) {
					return map[string]error{group: throwable.FromCode(kerr.CoordinatorNotAvailable.Code, nil)}, nil
				}
				codes[topic.Partition{Topic: t.Topic, Index: p.Partition}] = p.ErrorCode
			}
		}
		return nil, nil
	}
	_, failed := a.eachCoordinator(ctx, "offsetCommit", "OFFSET_COMMIT", []string{group}, ask)
	if failed[group] != nil {
		return failed[group]
	}
	return a.commitFailure(group, partitions, codes)
}

// passing reports whether a commit is tried again after an error of a partition.
func passing(code int16) bool {
	switch code {
	case kerr.CoordinatorLoadInProgress.Code, kerr.RebalanceInProgress.Code, kerr.CoordinatorNotAvailable.Code, kerr.NotCoordinator.Code:
		return true
	}
	return false
}

func (a *Admin) commitFailure(group string, partitions []topic.Partition, codes map[topic.Partition]int16) error {
	var failed []string
	var first int16
	for _, p := range javamap.Set(partitions, javamap.HashPartition) {
		code := codes[p]
		if code == 0 {
			continue
		}
		if first == 0 {
			first = code
		}
		failed = append(failed, p.String())
		switch code {
		case kerr.InvalidGroupID.Code, kerr.InvalidCommitOffsetSize.Code, kerr.GroupAuthorizationFailed.Code, kerr.GroupIDNotFound.Code,
			kerr.UnknownMemberID.Code, kerr.StaleMemberEpoch.Code, kerr.OffsetMetadataTooLarge.Code, kerr.TopicAuthorizationFailed.Code:
		default:
			a.LogUnexpected("AlterConsumerGroupOffsetsHandler", fmt.Sprintf("OffsetCommit request for group id %s and partition %s "+
				"failed due to unexpected error", group, p), code)
		}
	}
	message := "Failed altering consumer group offsets for the following partitions: [" + strings.Join(failed, ", ") + "]"
	return throwable.FromCode(first, &message)
}

func newCommit(group string, partitions []topic.Partition, offsets map[topic.Partition]int64) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	ByTopic(partitions, func(name string, indexes []int32) {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.Metadata = index, offsets[topic.Partition{Topic: name, Index: index}], kmsg.StringPtr("")
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	})
	return req
}

// DeleteOffsets deletes committed offsets of a group. It returns the errors of partitions, or the error of them all.
func (a *Admin) DeleteOffsets(ctx context.Context, group string, partitions []topic.Partition) (map[topic.Partition]error, error) {
	failed := map[topic.Partition]error{}
	ask := func(ctx context.Context, coordinator *kgo.Broker, _ []string) (map[string]error, error) {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		ByTopic(partitions, func(name string, indexes []int32) {
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic = name
			for _, index := range indexes {
				t.Partitions = append(t.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: index})
			}
			req.Topics = append(req.Topics, t)
		})
		answer, err := coordinator.RetriableRequest(ctx, req)
		if err != nil {
			return nil, err
		}
		resp := answer.(*kmsg.OffsetDeleteResponse)
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				failed[topic.Partition{Topic: t.Topic, Index: p.Partition}] = throwable.FromCode(p.ErrorCode, nil)
			}
		}
		return map[string]error{group: throwable.FromCode(resp.ErrorCode, nil)}, nil
	}
	_, ofGroup := a.eachCoordinator(ctx, "offsetDelete", "OFFSET_DELETE", []string{group}, ask)
	return failed, ofGroup[group]
}
