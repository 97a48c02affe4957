package fetch

import (
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/status"
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
	limit   int    // most bytes of records for this partition
	result  replica.ReadResult
	err     error
	records []byte // converted for an old client, instead of result.Section
}

// pooledTargets bounds what a recycled plan keeps.
const pooledTargets = 1024

var plans = sync.Pool{New: func() any { return new(plan) }}

func newPlan(h *Handler, r *request.Request, req *wire.FetchRequest) *plan {
	p := plans.Get().(*plan)
	p.request, p.handler = r, h
	p.maxBytes = min(max(0, int(req.MaxBytes)), h.MaxBytes)
	if req.Version < softLimitVersion {
		p.maxBytes = math.MaxInt32
		p.hardLimit = true
	}
	p.minBytes = min(int(req.MinBytes), p.maxBytes)
	p.replicaID = req.ReplicaID
	p.committed = req.Isolation == 1
	return p
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
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p.own = append(p.own, partition{})
			q := &p.own[len(p.own)-1]
			q.set(t, &t.Partitions[j])
			p.add(q)
		}
	}
}

func (p *plan) add(q *partition) {
	p.targets = append(p.targets, target{partition: q, name: q.name, limit: max(0, int(q.maxBytes)), options: replica.ReadOptions{
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

// topicPartition names the target, once its topic is known.
func (t *target) topicPartition() topic.Partition {
	return topic.Partition{Topic: t.name, Index: t.index}
}

// keys lists the partitions whose appends may complete the plan.
func (p *plan) keys() []topic.Partition {
	keys := make([]topic.Partition, len(p.targets))
	for i := range p.targets {
		keys[i] = p.targets[i].topicPartition()
	}
	return keys
}

// read reads every target within the limits, in order, and reports whether the result must be
// answered now: it holds enough, an error, or something the client has to know at once.
func (p *plan) read(h *Handler) bool {
	snapshot := h.Metadata.Load()
	left, total, urgent := p.maxBytes, 0, len(p.targets) == 0
	for i := range p.targets {
		t := &p.targets[i]
		if p.request.Version >= idVersion {
			if t.name = ""; snapshot.TopicByID(t.id) != nil {
				t.name = snapshot.TopicByID(t.id).Name
			}
		}
		t.options.MaxBytes = min(t.limit, left)
		t.options.MinOneBatch = !p.hardLimit && total == 0
		t.result, t.err = p.readOne(h, t)
		if t.err == nil {
			t.err = p.convert(t)
		}
		n := t.size()
		total += n
		left = max(0, left-n)
		urgent = urgent || t.err != nil || t.result.Diverged
	}
	return urgent || total >= p.minBytes
}

func (p *plan) readOne(h *Handler, t *target) (replica.ReadResult, error) {
	if t.name == "" {
		if p.request.Version >= idVersion {
			return replica.FailedRead(), kerr.UnknownTopicID
		}
		return replica.FailedRead(), kerr.UnknownTopicOrPartition
	}
	local, err := h.Replicas.Partition(t.topicPartition())
	if err != nil {
		return replica.FailedRead(), err
	}
	if p.request.Version < zstdVersion && local.CompressesWithZstd() {
		return replica.FailedRead(), kerr.UnsupportedCompressionType
	}
	res, err := local.Read(&t.options)
	if err == nil && res.Incomplete && !p.hardLimit && res.Section != nil {
		res.Section.Release() // part of a batch that does not fit: the client asks again
		res.Section = nil
	}
	return res, err
}

// size returns the bytes of records that were read.
func (t *target) size() int {
	if t.result.Section != nil {
		return int(t.result.Section.Size())
	}
	return len(t.records)
}

// release gives back what was read.
func (p *plan) release() {
	for i := range p.targets {
		t := &p.targets[i]
		if t.result.Section != nil {
			t.result.Section.Release()
		}
		t.result, t.err, t.records = replica.ReadResult{}, nil, nil
	}
}

// available reports whether reading the plan again would yield an answer: enough bytes, or news of
// another kind (DelayedFetch.tryComplete).
func (p *plan) available() bool {
	total := int64(0)
	for i := range p.targets {
		t := &p.targets[i]
		local, err := p.handler.Replicas.Partition(t.topicPartition())
		if err != nil {
			return true
		}
		t.options.MaxBytes = min(t.limit, p.maxBytes)
		n, err := local.Available(&t.options)
		if err != nil {
			return true
		}
		total += n
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
	h.wg.Go(func() {
		for i := range p.targets {
			p.targets[i].options.Again = true
		}
		p.read(h)
		p.reply(h)
	})
}

// failure logs what is the broker's fault.
func (p *plan) failure(t *target) {
	if status.Unexpected(t.err) {
		p.handler.Logger.WithField("topic", t.name).WithField("partition", t.index).WithError(t.err).Error("fetch failed")
	}
}
