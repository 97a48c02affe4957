package client

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Reassignment is a change of a partition's replicas that has not ended.
type Reassignment struct {
	Replicas         []int32 // all, with those that are on their way in and out
	Adding, Removing []int32
}

// Reassignments returns those of the given partitions that are being reassigned; nil partitions are all.
func (a *Admin) Reassignments(ctx context.Context, partitions []topic.Partition) (map[topic.Partition]Reassignment, error) {
	for _, p := range partitions {
		if err := representable(p); err != nil {
			return nil, err
		}
	}
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	req.TimeoutMillis = a.TimeoutMillis()
	req.Topics = nil // all
	if partitions != nil {
		req.Topics = []kmsg.ListPartitionReassignmentsRequestTopic{}
	}
	ByTopic(partitions, func(name string, indexes []int32) {
		t := kmsg.NewListPartitionReassignmentsRequestTopic()
		t.Topic, t.Partitions = name, indexes
		req.Topics = append(req.Topics, t)
	})
	answer, err := a.Call(ctx, "listPartitionReassignments", req)
	if err != nil {
		return nil, err
	}
	resp := answer.(*kmsg.ListPartitionReassignmentsResponse)
	if err := throwable.FromCode(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return nil, err
	}
	found := map[topic.Partition]Reassignment{}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			found[topic.Partition{Topic: t.Topic, Index: p.Partition}] = Reassignment{p.Replicas, p.AddingReplicas, p.RemovingReplicas}
		}
	}
	return found, nil
}

// Reassign gives partitions new replicas, nil where a reassignment is to be cancelled, and returns the errors
// of those for which that was refused.
func (a *Admin) Reassign(ctx context.Context, partitions []topic.Partition, replicas map[topic.Partition][]int32) map[topic.Partition]error {
	failed := map[topic.Partition]error{}
	for _, p := range partitions {
		if err := representable(p); err != nil {
			failed[p] = err
		}
	}
	asked := slices.DeleteFunc(slices.Clone(partitions), func(p topic.Partition) bool { return failed[p] != nil })
	if len(asked) == 0 {
		return failed
	}
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.TimeoutMillis = a.TimeoutMillis()
	ByTopic(asked, func(name string, indexes []int32) {
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			p := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			p.Partition, p.Replicas = index, replicas[topic.Partition{Topic: name, Index: index}]
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	})
	answer, err := a.Call(ctx, "alterPartitionReassignments", req)
	if err == nil {
		resp := answer.(*kmsg.AlterPartitionAssignmentsResponse)
		if err = throwable.FromCode(resp.ErrorCode, resp.ErrorMessage); err == nil {
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					if err := throwable.FromCode(p.ErrorCode, p.ErrorMessage); err != nil {
						failed[topic.Partition{Topic: t.Topic, Index: p.Partition}] = err
					}
				}
			}
			return failed
		}
	}
	for _, p := range asked {
		failed[p] = err
	}
	return failed
}

// representable returns an error if a partition cannot be asked about.
func representable(p topic.Partition) error {
	switch {
	case p.Topic == "":
		return unrepresentableTopic(p.Topic)
	case p.Index < 0:
		return throwable.Newf(throwable.InvalidTopic, "The given partition index %d is not valid.", p.Index)
	}
	return nil
}

func unrepresentableTopic(name string) error {
	return throwable.Newf(throwable.InvalidTopic, "The given topic name '%s' cannot be represented in a request.", name)
}

// ByTopicHashed is ByTopic with the topics in the order of a HashMap of their names, as in the requests of Kafka's
// AdminClient.
func ByTopicHashed(partitions []topic.Partition, do func(name string, indexes []int32)) {
	indexes := map[string][]int32{}
	var names []string
	ByTopic(partitions, func(name string, of []int32) {
		names = append(names, name)
		indexes[name] = of
	})
	javamap.Sort(names, -1, javamap.HashString)
	for _, name := range names {
		do(name, indexes[name])
	}
}

// ByTopic calls do for each topic of partitions with the indexes of its partitions, in the order given.
func ByTopic(partitions []topic.Partition, do func(name string, indexes []int32)) {
	indexes := map[string][]int32{}
	var names []string
	for _, p := range partitions {
		if indexes[p.Topic] == nil {
			names = append(names, p.Topic)
		}
		indexes[p.Topic] = append(indexes[p.Topic], p.Index)
	}
	for _, name := range names {
		do(name, indexes[name])
	}
}
