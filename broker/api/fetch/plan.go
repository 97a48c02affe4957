package fetch

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// plan is one fetch on its way: what to read, within which limits, and what was read.
//
// It is used by one goroutine at a time: the connection's, then the purgatory's, then the one that
// reads it again.
type plan struct {
	request *request.Request
	handler *Handler

	minBytes, maxBytes int
	replicaID          int32
	committed          bool // isolation level read_committed
	hardLimit          bool // return no batch that is larger than the limits

	// near reports whether a replica is in the consumer's rack, on a broker that it can reach; nil: it
	// reads from whom it asks.
	near func(broker int32) bool

	session *session // nil: none (yet)
	create  bool     // make a session of the plan when it is answered

	targets []target
	own     []partition        // the partitions of a fetch without a session
	listed  map[sessionKey]int // the places of those in own that may be listed again
}

// target is one partition of a plan. Of its partition only what never changes may be read without
// the session's lock.
type target struct {
	*partition
	options replica.ReadOptions
	name    string // the topic's, "" if its id is unknown
	refused error  // why nothing is read: the cluster's metadata lacks the partition
	limit   int    // most bytes of records for this partition
	nearest int32  // the replica to read from instead of this one, or NoReplica
	result  replica.ReadResult
	err     error
}

// pooledTargets bounds what a recycled plan keeps.
const pooledTargets = 1024

var plans = sync.Pool{New: func() any { return new(plan) }}

func newPlan(h *Handler, r *request.Request, req *wire.FetchRequest) *plan {
	p := plans.Get().(*plan)
	p.request, p.handler = r, h
	p.maxBytes = min(int(req.MaxBytes), h.MaxBytes)
	if req.Version < softLimitVersion {
		p.maxBytes = h.MaxBytes
		p.hardLimit = true
	}
	p.minBytes = min(int(req.MinBytes), p.maxBytes)
	p.replicaID = req.ReplicaID
	p.committed = req.Isolation == 1
	if h.NearestRack && req.Version >= followerVersion && req.ReplicaID < 0 && req.Rack != "" {
		p.near = h.inRack(req.Rack, r.Conn.Listener)
	}
	return p
}

// inRack returns whether a broker is in a rack and reachable on a listener.
func (h *Handler) inRack(rack, listener string) func(broker int32) bool {
	snapshot := h.Metadata.Load()
	return func(broker int32) bool {
		b := snapshot.Broker(broker)
		if b == nil || b.Rack != rack {
			return false
		}
		_, ok := snapshot.Endpoint(broker, listener)
		return ok
	}
}

func (p *plan) recycle() {
	targets, own, listed := p.targets, p.own, p.listed
	*p = plan{}
	if cap(targets) <= pooledTargets && cap(own) <= pooledTargets {
		clear(targets)
		clear(own)
		clear(listed)
		p.targets, p.own, p.listed = targets[:0], own[:0], listed
	}
	plans.Put(p)
}

// addAll adds what a full fetch lists. Of a partition that is listed twice the last mention counts, in the place of
// the first (FetchRequest.fetchData).
func (p *plan) addAll(req *wire.FetchRequest) {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	if p.create {
		p.own = make([]partition, 0, n) // a session will keep them
	} else if cap(p.own) < n {
		p.own = make([]partition, 0, n)
	}
	again := mayRepeat(req.Topics)
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p.ownOf(t, t.Partitions[j].Index, again).set(t, &t.Partitions[j])
		}
	}
	snapshot := p.handler.Metadata.Load()
	for i := range p.own {
		p.add(snapshot, &p.own[i])
	}
}

// mayRepeat reports whether a partition may be listed twice: most requests have few topics, each once, with their
// partitions in order, and to see that costs less than to remember all of them.
func mayRepeat(topics []wire.FetchTopic) bool {
	const few = 8
	if len(topics) > few {
		return true
	}
	for i := range topics {
		t := &topics[i]
		for j := 1; j < len(t.Partitions); j++ {
			if t.Partitions[j].Index <= t.Partitions[j-1].Index {
				return true
			}
		}
		for j := range i {
			if topics[j].Name == t.Name && topics[j].ID == t.ID {
				return true
			}
		}
	}
	return false
}

// ownOf returns the place of a partition among those of the plan's own, where room is for it; one that may be listed
// again is looked for.
func (p *plan) ownOf(t *wire.FetchTopic, index int32, again bool) *partition {
	if again {
		if p.listed == nil {
			p.listed = make(map[sessionKey]int)
		}
		key := sessionKey{name: t.Name, id: t.ID, index: index}
		if at, ok := p.listed[key]; ok {
			return &p.own[at]
		}
		p.listed[key] = len(p.own)
	}
	p.own = append(p.own, partition{})
	return &p.own[len(p.own)-1]
}

// readsAny reports whether a partition is to be read.
func (p *plan) readsAny() bool {
	return slices.ContainsFunc(p.targets, func(t target) bool { return t.refused == nil })
}

// add makes q a target. A name found for q's id stays in q, as in Kafka's sessions.
func (p *plan) add(s *metadata.Snapshot, q *partition) {
	if q.name == "" {
		if t := s.TopicByID(q.id); t != nil {
			q.name = t.Name
		}
	}
	var refused error
	switch {
	case q.name == "" && p.request.Version >= idVersion:
		refused = kerr.UnknownTopicID
	case s.Partition(topic.Partition{Topic: q.name, Index: q.index}) == nil:
		refused = kerr.UnknownTopicOrPartition
	}
	p.targets = append(p.targets, target{partition: q, name: q.name, refused: refused, limit: int(q.maxBytes), nearest: replica.NoReplica, options: replica.ReadOptions{
		Offset:             q.fetchOffset,
		ReplicaID:          p.replicaID,
		LeaderOnly:         p.request.Version < followerVersion,
		Committed:          p.committed,
		TopicID:            q.id,
		CurrentLeaderEpoch: max(q.currentLeaderEpoch, -1), // any negative one is none here, as in FetchRequest.optionalEpoch
		LastFetchedEpoch:   q.lastFetchedEpoch,
		LogStartOffset:     q.logStartOffset,
	}})
}

// topicPartition names the target, if its topic is known.
func (t *target) topicPartition() topic.Partition {
	return topic.Partition{Topic: t.name, Index: t.index}
}

// keys lists the partitions whose appends may complete the plan.
func (p *plan) keys() []topic.Partition {
	keys := make([]topic.Partition, 0, len(p.targets))
	for i := range p.targets {
		if p.targets[i].refused == nil {
			keys = append(keys, p.targets[i].topicPartition())
		}
	}
	return keys
}
