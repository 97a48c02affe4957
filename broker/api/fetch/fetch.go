// Package fetch serves Fetch, versions 0 to 17, with incremental fetch sessions (KIP-227).
//
// A request becomes a plan: the partitions to read, from the request alone or from its session. The
// handler reads them at once; if that yields too little the plan waits in the purgatory until an
// append or its deadline, and is read again. Records are sections of log files, which the
// connection sends without looking at them. For clients that know only older message formats they
// are converted while they are sent, in bounded memory: see converted and conversions.
package fetch

import (
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/quota"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Versions at which the rules change (FetchRequest.java).
const (
	softLimitVersion   = 3  // a first batch larger than the limits is returned all the same
	sessionVersion     = 7  // sessions
	zstdVersion        = 10 // clients understand zstd
	followerVersion    = 11 // consumers may read from any replica
	idVersion          = 13 // topics by id
	leaderVersion      = 16 // NOT_LEADER and FENCED_LEADER_EPOCH name the leader
	storageCodeVersion = 6  // KAFKA_STORAGE_ERROR exists
)

// Options configure a Handler. All fields but NearestRack and Throttle are required.
type Options struct {
	Replicas     *replica.Manager
	Metadata     *metadata.Cache
	MaxBytes     int // fetch.max.bytes
	SessionSlots int // max.incremental.fetch.session.cache.slots
	// NearestRack sends consumers that tell their rack to the replica in it (KIP-392,
	// RackAwareReplicaSelector); otherwise they read from whom they ask.
	NearestRack bool
	Logger      logrus.FieldLogger
	Now         func() time.Time
	// Throttle holds back what followers out of sync are served (leader.replication.throttled.rate); nil: no throttle.
	Throttle *quota.Replication
}

// Handler serves Fetch.
type Handler struct {
	Options
	sessions    *cache
	conversions *conversions
	wg          sync.WaitGroup // reads that a waiting fetch does when it is woken
}

// New returns a Handler without sessions.
func New(opts Options) *Handler {
	return &Handler{Options: opts, sessions: newCache(opts.SessionSlots), conversions: newConversions(largeBytes)}
}

// Close returns when no woken fetch is being read any more. The purgatory must be closed before.
func (h *Handler) Close() { h.wg.Wait() }

// Handle implements request.Handler.
func (h *Handler) Handle(r *request.Request) {
	req := wire.AcquireFetchRequest()
	defer req.Release()
	if err := req.Parse(r.Version, r.Body); err != nil {
		r.Drop(err)
		return
	}
	p, refused := h.plan(r, req)
	if refused != 0 {
		resp := wire.NewFetchResponse(req.Version) // names no partitions: it is not about them
		resp.ErrorCode = refused
		r.Reply(resp)
		return
	}
	if (req.Isolation < 0 || req.Isolation > 1) && p.readsAny() { // looked at for reading, and for nothing else
		p.recycle()
		r.Reply(refuse(req, kerr.UnknownServerError.Code))
		return
	}
	ready := p.read(h)
	if ready || req.MaxWait <= 0 {
		p.reply(h)
		return
	}
	p.release()
	deadline := h.Now().Add(time.Duration(req.MaxWait) * time.Millisecond)
	h.Replicas.Fetches.Wait((*delayed)(p), deadline, p.keys()...)
}

// refuse answers a request whole with code. Before topic ids every partition is listed with it.
func refuse(req *wire.FetchRequest, code int16) *wire.FetchResponse {
	resp := wire.NewFetchResponse(req.Version)
	resp.ErrorCode, resp.SessionID = code, req.SessionID
	if req.Version >= idVersion {
		return resp
	}
	for i := range req.Topics {
		resp.Topic(req.Topics[i].Name, req.Topics[i].ID)
		for j := range req.Topics[i].Partitions {
			resp.Partition(req.Topics[i].Partitions[j].Index).ErrorCode = code
		}
	}
	return resp
}

// plan decides what r reads: by its session, or by what it lists (FetchManager.newContext). The code
// is that of a session error.
func (h *Handler) plan(r *request.Request, req *wire.FetchRequest) (*plan, int16) {
	p := newPlan(h, r, req)
	full := req.Version < sessionVersion || req.SessionEpoch == initialEpoch || req.SessionEpoch == finalEpoch
	if !full {
		if code := h.planIncremental(p, req); code != 0 {
			p.recycle()
			return nil, code
		}
		return p, 0
	}
	if req.Version >= sessionVersion {
		h.sessions.remove(req.SessionID)
		p.create = req.SessionEpoch == initialEpoch
	}
	p.addAll(req)
	return p, 0
}

// planIncremental brings the session up to date with req and takes over its partitions.
func (h *Handler) planIncremental(p *plan, req *wire.FetchRequest) int16 {
	s := h.sessions.get(req.SessionID)
	if s == nil {
		return kerr.FetchSessionIDNotFound.Code
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.epoch != req.SessionEpoch:
		return kerr.InvalidFetchSessionEpoch.Code
	case s.usesIDs != (req.Version >= idVersion):
		return kerr.FetchSessionTopicIDError.Code
	}
	s.epoch = nextEpoch(s.epoch)
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			added := &partition{}
			added.set(t, &t.Partitions[j])
			s.putLocked(added)
		}
	}
	for i := range req.Forgotten {
		for _, index := range req.Forgotten[i].Partitions {
			s.forgetLocked(forgottenKey(s, &req.Forgotten[i], index))
		}
	}
	if len(s.partitions) == 0 {
		h.sessions.remove(s.id)
		return 0
	}
	h.sessions.used(s, len(s.partitions), h.Now())
	p.session = s
	snapshot := h.Metadata.Load()
	for q := s.head; q != nil; q = q.next {
		p.add(snapshot, q)
	}
	return 0
}

func forgottenKey(s *session, f *wire.ForgottenTopic, index int32) sessionKey {
	q := partition{name: f.Name, id: f.ID, index: index}
	return q.key(s.usesIDs)
}

// set takes over what a request says of a partition; its answer is still to be given.
func (q *partition) set(t *wire.FetchTopic, f *wire.FetchPartition) {
	*q = partition{
		name: t.Name, id: t.ID, index: f.Index,
		maxBytes: f.MaxBytes, fetchOffset: f.FetchOffset, logStartOffset: f.LogStartOffset,
		currentLeaderEpoch: f.LeaderEpoch, lastFetchedEpoch: f.LastFetchedEpoch,
		sentHighWatermark: -1, sentLogStart: -1,
	}
}
