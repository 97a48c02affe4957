package controller

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// backlog is what a broker is still to be sent. Requests that wait are merged, so that it stays as
// small as the cluster is, however long a broker is silent, and so that a broker that is behind catches
// up with few large requests.
//
// What must stay in order: a replica's StopReplica and LeaderAndIsr requests among themselves, and
// metadata before the leadership that builds on it. Therefore
//
//   - an UpdateMetadata request goes into the one that waits already, however far ahead: it is the newer
//     truth, and the earlier it comes the better;
//   - a LeaderAndIsr request takes in the last one that waits, and stands behind what is in between,
//     unless a StopReplica request in between is about a partition of that one;
//   - likewise StopReplica, with a LeaderAndIsr request in between.
//
// A broker that is being sent nothing keeps Kafka's order, since there is nothing to merge with. Requests
// are shared between brokers up to their lists of topics: those are never changed, only replaced.
type backlog struct {
	waiting []kmsg.Request
}

// take removes and returns the next request, nil if there is none.
func (b *backlog) take() kmsg.Request {
	if len(b.waiting) == 0 {
		return nil
	}
	req := b.waiting[0]
	b.waiting = slices.Delete(b.waiting, 0, 1)
	return req
}

// add puts req behind the others, or merges it with one of them.
func (b *backlog) add(req kmsg.Request) {
	switch req := req.(type) {
	case *kmsg.UpdateMetadataRequest:
		if i := b.last(req.Key()); i >= 0 {
			b.waiting[i] = mergeMetadata(b.waiting[i].(*kmsg.UpdateMetadataRequest), req)
			return
		}
	case *kmsg.LeaderAndISRRequest:
		if i := b.last(req.Key()); i >= 0 && !b.conflict(i) {
			old := b.waiting[i].(*kmsg.LeaderAndISRRequest)
			if merged := mergeLeadership(old, req); merged != nil {
				b.waiting = append(slices.Delete(b.waiting, i, i+1), merged)
				return
			}
		}
	case *kmsg.StopReplicaRequest:
		if i := b.last(req.Key()); i >= 0 && !b.conflict(i) {
			old := b.waiting[i].(*kmsg.StopReplicaRequest)
			b.waiting = append(slices.Delete(b.waiting, i, i+1), mergeStops(old, req))
			return
		}
	}
	b.waiting = append(b.waiting, req)
}

// last returns where the last waiting request with that key is, -1 if there is none.
func (b *backlog) last(key int16) int {
	for i, req := range slices.Backward(b.waiting) {
		if req.Key() == key {
			return i
		}
	}
	return -1
}

// conflict reports whether a request behind the one at i is about a replica of that one, and of the
// other kind: start against stop.
func (b *backlog) conflict(i int) bool {
	var own map[topic.Partition]bool
	for _, req := range b.waiting[i+1:] {
		if req.Key() == (*kmsg.UpdateMetadataRequest)(nil).Key() {
			continue
		}
		if own == nil {
			own = map[topic.Partition]bool{}
			eachReplica(b.waiting[i], func(p topic.Partition) { own[p] = true })
		}
		found := false
		eachReplica(req, func(p topic.Partition) { found = found || own[p] })
		if found {
			return true
		}
	}
	return false
}

// eachReplica calls f for each partition that req is about.
func eachReplica(req kmsg.Request, f func(topic.Partition)) {
	switch req := req.(type) {
	case *kmsg.LeaderAndISRRequest:
		for _, t := range req.TopicStates {
			for i := range t.PartitionStates {
				f(topic.Partition{Topic: t.Topic, Index: t.PartitionStates[i].Partition})
			}
		}
	case *kmsg.StopReplicaRequest:
		for _, t := range req.Topics {
			for i := range t.PartitionStates {
				f(topic.Partition{Topic: t.Topic, Index: t.PartitionStates[i].Partition})
			}
		}
	}
}

// mergeMetadata returns a request that does what first and then second do.
func mergeMetadata(first, second *kmsg.UpdateMetadataRequest) *kmsg.UpdateMetadataRequest {
	merged := *second
	merged.TopicStates = mergeTopics(first.TopicStates, second.TopicStates,
		func(t *kmsg.UpdateMetadataRequestTopicState) string { return t.Topic },
		func(a, b *kmsg.UpdateMetadataRequestTopicState) kmsg.UpdateMetadataRequestTopicState {
			t := *b
			t.PartitionStates = mergeSorted(a.PartitionStates, b.PartitionStates,
				func(p *kmsg.UpdateMetadataRequestTopicPartition) int32 { return p.Partition }, nil)
			return t
		})
	return &merged
}

// mergeLeadership returns a request that does what first and then second do, nil if they know a
// topic by different ids.
func mergeLeadership(first, second *kmsg.LeaderAndISRRequest) *kmsg.LeaderAndISRRequest {
	merged, same := *second, true
	merged.TopicStates = mergeTopics(first.TopicStates, second.TopicStates,
		func(t *kmsg.LeaderAndISRRequestTopicState) string { return t.Topic },
		func(a, b *kmsg.LeaderAndISRRequestTopicState) kmsg.LeaderAndISRRequestTopicState {
			same = same && a.TopicID == b.TopicID
			t := *b
			t.PartitionStates = mergeSorted(a.PartitionStates, b.PartitionStates,
				func(p *kmsg.LeaderAndISRRequestTopicPartition) int32 { return p.Partition },
				func(p, old *kmsg.LeaderAndISRRequestTopicPartition) { p.IsNew = p.IsNew || old.IsNew })
			return t
		})
	if !same {
		return nil
	}
	merged.LiveLeaders = mergeSorted(first.LiveLeaders, second.LiveLeaders,
		func(l *kmsg.LeaderAndISRRequestLiveLeader) int32 { return l.BrokerID }, nil)
	return &merged
}

// mergeStops returns a request that does what first and then second do.
func mergeStops(first, second *kmsg.StopReplicaRequest) *kmsg.StopReplicaRequest {
	merged := *second
	merged.Topics = mergeTopics(first.Topics, second.Topics,
		func(t *kmsg.StopReplicaRequestTopic) string { return t.Topic },
		func(a, b *kmsg.StopReplicaRequestTopic) kmsg.StopReplicaRequestTopic {
			t := *b
			t.PartitionStates = mergeSorted(a.PartitionStates, b.PartitionStates,
				func(p *kmsg.StopReplicaRequestTopicPartitionState) int32 { return p.Partition },
				func(p, old *kmsg.StopReplicaRequestTopicPartitionState) { p.Delete = p.Delete || old.Delete })
			return t
		})
	return &merged
}

// mergeTopics merges lists that are ordered by topic.
func mergeTopics[T any](first, second []T, name func(*T) string, both func(a, b *T) T) []T {
	return mergeLists(first, second, func(a, b *T) int { return cmp.Compare(name(a), name(b)) }, both)
}

// mergeSorted merges lists that are ordered by key: of two elements with one key the second counts,
// after sticky, unless it is nil, has kept what it must from the first.
func mergeSorted[T any](first, second []T, key func(*T) int32, sticky func(element, old *T)) []T {
	return mergeLists(first, second, func(a, b *T) int { return cmp.Compare(key(a), key(b)) }, func(a, b *T) T {
		element := *b
		if sticky != nil {
			sticky(&element, a)
		}
		return element
	})
}

func mergeLists[T any](first, second []T, compare func(a, b *T) int, both func(a, b *T) T) []T {
	merged := make([]T, 0, len(first)+len(second))
	for len(first) > 0 && len(second) > 0 {
		switch order := compare(&first[0], &second[0]); {
		case order < 0:
			merged, first = append(merged, first[0]), first[1:]
		case order > 0:
			merged, second = append(merged, second[0]), second[1:]
		default:
			merged = append(merged, both(&first[0], &second[0]))
			first, second = first[1:], second[1:]
		}
	}
	return append(append(merged, first...), second...)
}
