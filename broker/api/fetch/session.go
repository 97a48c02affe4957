package fetch

import (
	"math"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Fetch session epochs with a meaning of their own (KIP-227, FetchMetadata.java).
const (
	initialEpoch = 0  // a full fetch that asks for a new session
	finalEpoch   = -1 // a full fetch that ends its session, if it has one
)

// nextEpoch is the epoch that the request after one with epoch e carries.
func nextEpoch(e int32) int32 {
	switch {
	case e < 0:
		return finalEpoch
	case e == math.MaxInt32:
		return 1
	}
	return e + 1
}

// partition is one partition that a fetch asks for, with what a session remembers of the last
// answer about it.
type partition struct {
	name  string   // "" while an id is not resolved
	id    topic.ID // zero where the client named the topic
	index int32

	maxBytes           int32
	fetchOffset        int64
	currentLeaderEpoch int32 // -1: not given
	logStartOffset     int64 // of the follower; -1 for consumers
	lastFetchedEpoch   int32 // -1: not given

	// What the last answer said; -1 makes the next answer mention the partition.
	sentHighWatermark int64
	sentLogStart      int64

	prev, next *partition // order within a session
}

// sessionKey tells partitions of a session apart: by id in a session made by a client that uses
// ids, else by name.
type sessionKey struct {
	name  string
	id    topic.ID
	index int32
}

func (p *partition) key(ids bool) sessionKey {
	if ids {
		return sessionKey{id: p.id, index: p.index}
	}
	return sessionKey{name: p.name, index: p.index}
}

// session is what one client fetches, so that its requests need to name changes only.
//
// Invariants: partitions and the list from head to tail hold the same elements; a partition that
// returned records moves to the tail, so that a full answer starves nobody.
type session struct {
	id         int32
	privileged bool // of a follower
	usesIDs    bool
	created    time.Time

	// Guarded by the cache's shard.
	lastUsed   time.Time
	cachedSize int

	mu         sync.Mutex // guards what follows, for one request at a time
	epoch      int32
	partitions map[sessionKey]*partition
	head, tail *partition
}

func newSession(id int32, privileged, ids bool, now time.Time, parts []*partition) *session {
	s := &session{
		id: id, privileged: privileged, usesIDs: ids, created: now, lastUsed: now,
		epoch: nextEpoch(initialEpoch), partitions: make(map[sessionKey]*partition, len(parts)),
	}
	for _, p := range parts {
		s.putLocked(p)
	}
	s.cachedSize = len(s.partitions)
	return s
}

// putLocked adds p, or lets the partition it equals take over p's parameters.
func (s *session) putLocked(p *partition) {
	if old := s.partitions[p.key(s.usesIDs)]; old != nil {
		old.maxBytes, old.fetchOffset, old.logStartOffset = p.maxBytes, p.fetchOffset, p.logStartOffset
		old.currentLeaderEpoch, old.lastFetchedEpoch = p.currentLeaderEpoch, p.lastFetchedEpoch
		return
	}
	s.partitions[p.key(s.usesIDs)] = p
	s.appendLocked(p)
}

func (s *session) forgetLocked(k sessionKey) {
	if p := s.partitions[k]; p != nil {
		delete(s.partitions, k)
		s.unlinkLocked(p)
	}
}

func (s *session) appendLocked(p *partition) {
	p.prev, p.next = s.tail, nil
	if s.tail == nil {
		s.head = p
	} else {
		s.tail.next = p
	}
	s.tail = p
}

func (s *session) unlinkLocked(p *partition) {
	if p.prev == nil {
		s.head = p.next
	} else {
		p.prev.next = p.next
	}
	if p.next == nil {
		s.tail = p.prev
	} else {
		p.next.prev = p.prev
	}
	p.prev, p.next = nil, nil
}

// moveToEndLocked gives the other partitions precedence in the next answer. A partition that was
// forgotten meanwhile is left alone.
func (s *session) moveToEndLocked(p *partition) {
	if s.partitions[p.key(s.usesIDs)] == p && s.tail != p {
		s.unlinkLocked(p)
		s.appendLocked(p)
	}
}
