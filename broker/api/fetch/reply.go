package fetch

import (
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/hint"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// reply answers the plan's request with what was read and recycles the plan.
func (p *plan) reply(h *Handler) {
	r := p.request
	resp := wire.NewFetchResponse(r.Version)
	switch {
	case p.session != nil:
		p.answerSession(h, resp)
	default:
		p.answerAll(h, resp)
		if p.create {
			p.createSession(h, resp)
		}
	}
	p.recordThrottled(resp)
	p.recycle()
	r.Reply(resp)
}

// answerAll mentions every partition.
func (p *plan) answerAll(h *Handler, resp *wire.FetchResponse) {
	var g grouping
	snapshot := h.Metadata.Load()
	for i := range p.targets {
		p.answer(snapshot, resp, &g, &p.targets[i])
	}
}

// createSession makes a session of what was just answered, if there is room for one.
func (p *plan) createSession(h *Handler, resp *wire.FetchResponse) {
	parts := make([]*partition, len(p.targets))
	for i := range p.targets {
		parts[i] = p.targets[i].partition
		parts[i].sent(&p.targets[i])
	}
	s := h.sessions.create(p.replicaID >= 0, p.request.Version >= idVersion, h.Now(), parts)
	if s != nil {
		resp.SessionID = s.id
	}
	p.own = nil // the session's now
}

// answerSession mentions the partitions of which there is news, and moves those with records to
// the end of the session.
func (p *plan) answerSession(h *Handler, resp *wire.FetchResponse) {
	s := p.session
	resp.SessionID = s.id
	var g grouping
	snapshot := h.Metadata.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range p.targets {
		t := &p.targets[i]
		records := t.size() > 0
		if t.hasNews() {
			p.answer(snapshot, resp, &g, t) // takes the records out of t
		}
		t.partition.sent(t)
		if records {
			s.moveToEndLocked(t.partition)
		}
	}
}

// hasNews reports whether an incremental answer mentions the partition (CachedPartition.maybeUpdateResponseData).
func (t *target) hasNews() bool {
	return t.err != nil || t.size() > 0 || t.result.Diverged || t.nearest != replica.NoReplica ||
		t.result.HighWatermark != t.sentHighWatermark || t.result.LogStart != t.sentLogStart
}

// sent notes what the client has been told. After an error the partition is mentioned again.
func (q *partition) sent(t *target) {
	q.sentHighWatermark, q.sentLogStart = t.result.HighWatermark, t.result.LogStart
	if t.err != nil {
		q.sentHighWatermark = -1
	}
}

// grouping begins a new topic in the response where it differs from the last one.
type grouping struct {
	name  string
	id    topic.ID
	begun bool
}

func (g *grouping) topic(resp *wire.FetchResponse, q *partition) {
	if !g.begun || g.name != q.name || g.id != q.id {
		resp.Topic(q.name, q.id)
		g.name, g.id, g.begun = q.name, q.id, true
	}
}

func (p *plan) answer(s *metadata.Snapshot, resp *wire.FetchResponse, g *grouping, t *target) {
	g.topic(resp, t.partition)
	out := resp.Partition(t.index)
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = t.result.HighWatermark, t.result.LastStable, t.result.LogStart
	section, err := p.convert(p.handler, t)
	if err != nil {
		p.fail(s, resp, out, t, err)
		return
	}
	out.PreferredReadReplica, out.Section = t.nearest, section
	if t.result.Diverged {
		out.Diverging = wire.EpochEnd{Epoch: t.result.DivergingEpoch, EndOffset: t.result.DivergingEnd}
	}
	if p.committed {
		out.Aborted = make([]wire.AbortedTransaction, len(t.result.Aborted))
		for i, a := range t.result.Aborted {
			out.Aborted[i] = wire.AbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset}
		}
	}
}

func (p *plan) fail(s *metadata.Snapshot, resp *wire.FetchResponse, out *wire.FetchedPartition, t *target, err error) {
	p.failure(t, err)
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = -1, -1, -1
	out.ErrorCode = status.Code(err)
	switch {
	case out.ErrorCode == kerr.KafkaStorageError.Code && p.request.Version < storageCodeVersion:
		out.ErrorCode = kerr.NotLeaderForPartition.Code
	case p.request.Version < leaderVersion:
	case out.ErrorCode == kerr.NotLeaderForPartition.Code || out.ErrorCode == kerr.FencedLeaderEpoch.Code:
		out.Leader, resp.Endpoints = hint.Leader(p.handler.Replicas, s, t.topicPartition(), p.request.Conn.Listener, resp.Endpoints)
	}
}
