package fetch

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
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
	own     []partition // the partitions of a fetch without a session
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
	p.maxBytes = min(max(0, int(req.MaxBytes)), h.MaxBytes)
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
	targets, own := p.targets, p.own
	*p = plan{}
	if cap(targets) <= pooledTargets && cap(own) <= pooledTargets {
		clear(targets)
		clear(own)
		p.targets, p.own = targets[:0], own[:0]
	}
	plans.Put(p)
}

// addAll adds what a full fetch lists.
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
	snapshot := p.handler.Metadata.Load()
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p.own = append(p.own, partition{})
			q := &p.own[len(p.own)-1]
			q.set(t, &t.Partitions[j])
			p.add(snapshot, q)
		}
	}
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
	p.targets = append(p.targets, target{partition: q, name: q.name, refused: refused, limit: max(0, int(q.maxBytes)), nearest: replica.NoReplica, options: replica.ReadOptions{
		Offset:             q.fetchOffset,
		ReplicaID:          p.replicaID,
		LeaderOnly:         p.request.Version < followerVersion,
		Committed:          p.committed,
		TopicID:            q.id,
		CurrentLeaderEpoch: q.currentLeaderEpoch,
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

// read reads every target within the limits, in order, and reports whether the result must be
// answered now: it holds enough, an error, or something the client has to know at once. Partitions
// that the cluster does not have, and records that the client could not read, hurry nobody: else a
// consumer of them would ask again and again.
func (p *plan) read(h *Handler) bool {
	left, total, urgent, waits := p.maxBytes, 0, false, false
	for i := range p.targets {
		t := &p.targets[i]
		if t.refused != nil {
			t.result, t.err = replica.FailedRead(), t.refused
			continue
		}
		waits = true
		t.options.MaxBytes = min(t.limit, left)
		t.options.MinOneBatch = !p.hardLimit && total == 0
		var local *replica.Partition
		local, t.err = h.Replicas.Partition(t.topicPartition())
		t.result = p.readOne(local, t)
		urgent = urgent || t.err != nil || t.result.Diverged || t.nearest != replica.NoReplica
		n := t.found()
		total += n
		left = max(0, left-n)
	}
	return urgent || !waits || total >= p.minBytes
}

// readOne reads t from local, unless t has failed already.
func (p *plan) readOne(local *replica.Partition, t *target) (res replica.ReadResult) {
	if t.err != nil {
		return replica.FailedRead()
	}
	if p.near != nil {
		if t.nearest, res, t.err = local.Nearest(&t.options, p.near); t.err != nil || t.nearest != replica.NoReplica {
			return res
		}
	}
	res, t.err = local.Read(&t.options)
	if t.err == nil && res.Incomplete && !p.hardLimit && res.Section != nil {
		res.Section.Release() // part of a batch that does not fit: the client asks again
		res.Section = nil
	}
	if res.Section != nil && p.throttles(local) {
		res.Section.Release()
		res.Section = nil
	}
	return res
}

// throttles reports whether the records of a partition are held back from the follower that fetches. One in
// the ISR is never throttled: it would fall out.
func (p *plan) throttles(local *replica.Partition) bool {
	throttle := p.handler.Throttle
	return p.replicaID >= 0 && throttle.Throttled(local.Partition) && !local.InSync(p.replicaID) && throttle.Exceeded(p.handler.Now())
}

// recordThrottled counts what a follower is about to be sent of throttled partitions, in sync or not: that part of the answer,
// not its records alone (KafkaApis.sizeOfThrottledPartitions).
func (p *plan) recordThrottled(resp *wire.FetchResponse) {
	if throttle := p.handler.Throttle; p.replicaID >= 0 && throttle.Any() {
		throttle.Record(resp.SizeOf(throttle.Throttled), p.handler.Now())
	}
}

// size returns the bytes of records that were read.
func (t *target) size() int {
	if t.result.Section != nil {
		return int(t.result.Section.Size())
	}
	return 0
}

// found returns the bytes that count against the limits and towards min bytes, which is what Kafka would
// send: up to the limit, be that within a batch. Else a client whose limit is below its min bytes and a
// batch would wait.
func (t *target) found() int {
	if t.result.Section == nil {
		return 0
	}
	return int(t.result.Found)
}

// release gives back the section that was read.
func (t *target) release() {
	if t.result.Section != nil {
		t.result.Section.Release()
		t.result.Section = nil
	}
}

// release gives back what was read.
func (p *plan) release() {
	for i := range p.targets {
		t := &p.targets[i]
		t.release()
		t.result, t.err = replica.ReadResult{}, nil
	}
}

// available reports whether reading the plan again would yield an answer: enough bytes, or news of
// another kind (DelayedFetch.tryComplete).
func (p *plan) available() bool {
	total := int64(0)
	for i := range p.targets {
		t := &p.targets[i]
		if t.refused != nil {
			continue
		}
		local, err := p.handler.Replicas.Partition(t.topicPartition())
		if err != nil {
			return true
		}
		t.options.MaxBytes = min(t.limit, p.maxBytes)
		n, err := local.Available(&t.options)
		if err != nil {
			return true
		}
		if n > 0 && p.throttles(local) {
			continue
		}
		if total += n; total >= int64(p.minBytes) {
			return true
		}
	}
	return total >= int64(p.minBytes)
}

// delayed is a plan that waits for records.
type delayed plan

// TryComplete implements purgatory.Operation.
func (d *delayed) TryComplete() bool { return (*plan)(d).available() }

// Finish implements purgatory.Operation. The reading is left to a goroutine of its own, because
// whoever appended the records must not wait for this client's socket.
func (d *delayed) Finish(bool) {
	p := (*plan)(d)
	h := p.handler
	for i := range p.targets {
		p.targets[i].options.Again = true
	}
	h.wg.Go(func() {
		p.read(h)
		p.reply(h)
	})
}

// failure logs what is the broker's fault.
func (p *plan) failure(t *target, err error) {
	if status.Unexpected(err) {
		p.handler.Logger.WithField("topic", t.name).WithField("partition", t.index).WithError(err).Error("fetch failed")
	}
}
