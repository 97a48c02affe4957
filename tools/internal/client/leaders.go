package client

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// leaderStrategy is the class under which Kafka's AdminClient logs what is wrong with topics.
const leaderStrategy = "org.apache.kafka.clients.admin.internals.PartitionLeaderStrategy"

// Ask sends the part of a request that is about partitions to their leader. It returns the result of each
// partition: nil, an error that stands, or a retriable one, after which the partition is asked for anew.
type Ask func(ctx context.Context, leader *kgo.Broker, partitions []topic.Partition) (map[topic.Partition]error, error)

// EachLeader asks the leader of each partition, and asks again those that are not there yet, until all have
// answered or time is up. Partitions are asked for in the order in which Kafka's AdminClient keeps them, which is that of
// what it logs. It returns the errors of partitions that failed. name is Kafka's name of the call and
// api that of the request.
func (a *Admin) EachLeader(ctx context.Context, name, api string, partitions []topic.Partition, ask Ask) map[topic.Partition]error {
	return a.eachLeader(ctx, name, api, partitions, ask, false)
}

// eachLeader is EachLeader; strict means that a topic which is not there is not waited for.
func (a *Admin) eachLeader(ctx context.Context, name, api string, partitions []topic.Partition, ask Ask, strict bool) map[topic.Partition]error {
	partitions = slices.Clone(partitions)
	javamap.Sort(partitions, -1, javamap.HashPartition)
	d := driver[topic.Partition]{admin: a, name: name, lookupAPI: "METADATA", askAPI: api, ask: ask}
	d.lookup = func(ctx context.Context, call string, open []topic.Partition) (map[topic.Partition]int32, map[topic.Partition]error, error) {
		return a.leaders(ctx, call, open, strict)
	}
	return d.run(ctx, partitions)
}

// leaders returns the leaders of those partitions that have one, and the errors of those that will have none.
func (a *Admin) leaders(ctx context.Context, call string, partitions []topic.Partition, strict bool) (
	map[topic.Partition]int32, map[topic.Partition]error, error) {
	req, wanted := kmsg.NewPtrMetadataRequest(), map[string][]topic.Partition{}
	ByTopicHashed(partitions, func(name string, indexes []int32) {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
		for _, index := range indexes {
			wanted[name] = append(wanted[name], topic.Partition{Topic: name, Index: index})
		}
	})
	resp, err := a.Metadata(ctx, call, req)
	if err != nil {
		return nil, nil, err
	}
	leaders, failed := map[topic.Partition]int32{}, map[topic.Partition]error{}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if failure := a.topicFailure(*t.Topic, t.ErrorCode, strict); failure != "" {
			for _, p := range wanted[*t.Topic] {
				failed[p] = throwable.FromCode(t.ErrorCode, kmsg.StringPtr(fmt.Sprintf("Failed to fetch metadata for partition %s %s", p, failure)))
			}
		}
		for _, p := range t.Partitions {
			if p.Leader >= 0 {
				leaders[topic.Partition{Topic: *t.Topic, Index: p.Partition}] = p.Leader
			}
		}
	}
	return leaders, failed, nil
}

// topicFailure logs what is wrong with a topic, and returns it in the words of the error of its partitions; "" if
// it may pass.
func (a *Admin) topicFailure(name string, code int16, strict bool) string {
	logged, failure := "", ""
	switch code {
	case 0, kerr.LeaderNotAvailable.Code, kerr.BrokerNotAvailable.Code:
		return ""
	case kerr.UnknownTopicOrPartition.Code:
		if !strict {
			return ""
		}
		logged = "Received unknown topic error for topic " + name
		failure = "because metadata for topic `" + name + "` could not be found"
	case kerr.TopicAuthorizationFailed.Code:
		logged = "Received authorization failure for topic " + name + " in `Metadata` response"
		failure = "due to topic authorization failure"
	case kerr.InvalidTopicException.Code:
		logged = "Received invalid topic error for topic " + name + " in `Metadata` response"
		failure = "due to invalid topic `" + name + "`"
	default:
		logged = "Received unexpected error for topic " + name + " in `Metadata` response"
		failure = "due to unexpected error for topic `" + name + "`"
	}
	if a.env.Kafka {
		a.env.LogError(leaderStrategy, a.logContext+logged, throwable.FromCode(code, nil))
	}
	return failure
}
