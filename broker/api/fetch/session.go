package fetch

import (
	"cmp"
	"math"
	"math/rand/v2"
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

const (
	cacheShards      = 8
	evictionInterval = 2 * time.Minute // FetchSession.scala: INCREMENTAL_FETCH_SESSION_EVICTION_MS
)

// cache holds the sessions of all clients, at most slots of them.
type cache struct {
	shards [cacheShards]cacheShard
	turn   sync.Mutex
	next   int
}

type cacheShard struct {
	mu       sync.Mutex
	slots    int
	sessions map[int32]*session
}

func newCache(slots int) *cache {
	c := &cache{}
	for i := range c.shards {
		c.shards[i].slots = slots / cacheShards
		if i < slots%cacheShards {
			c.shards[i].slots++
		}
		c.shards[i].sessions = make(map[int32]*session)
	}
	return c
}

// shardOf finds the shard that gave out id: the shards divide the positive ids among them.
func (c *cache) shardOf(id int32) *cacheShard {
	return &c.shards[int(id)%cacheShards]
}

// get returns the session with id, nil if there is none.
func (c *cache) get(id int32) *session {
	if id <= 0 {
		return nil
	}
	sh := c.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.sessions[id]
}

// used tells the cache when s was last used and how many partitions it has now; evictions go by both.
func (c *cache) used(s *session, size int, now time.Time) {
	sh := c.shardOf(s.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.cachedSize, s.lastUsed = size, now
}

func (c *cache) remove(id int32) {
	if id <= 0 {
		return
	}
	sh := c.shardOf(id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	delete(sh.sessions, id)
}

// create makes a session of parts; nil if there is no room (the client then goes on without one).
func (c *cache) create(privileged, ids bool, now time.Time, parts []*partition) *session {
	c.turn.Lock()
	at := c.next
	c.next = (c.next + 1) % cacheShards
	c.turn.Unlock()
	sh := &c.shards[at]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.sessions) >= sh.slots && !sh.evictLocked(privileged, len(parts), now) {
		return nil
	}
	id := sh.freeIDLocked(at)
	s := newSession(id, privileged, ids, now, parts)
	sh.sessions[id] = s
	return s
}

// freeIDLocked draws an unused positive id of the shard at index at.
func (sh *cacheShard) freeIDLocked(at int) int32 {
	for {
		id := rand.Int32N(math.MaxInt32/cacheShards)*cacheShards + int32(at)
		if id > 0 && sh.sessions[id] == nil {
			return id
		}
	}
}

// evictLocked makes room for a session of size partitions if it may (FetchSessionCacheShard.tryEvict):
//
//   - a session unused for two minutes goes first;
//   - a follower's session displaces the smallest consumer's whatever its size, and only where there
//     is none the smallest follower's, by the rule below;
//   - otherwise the smallest of the sessions older than two minutes goes if the new one is larger, and
//     if it is no follower's in the way of a consumer.
func (sh *cacheShard) evictLocked(privileged bool, size int, now time.Time) bool {
	var idle, candidate *session
	for _, s := range sh.sessions {
		if idle == nil || s.lastUsed.Before(idle.lastUsed) {
			idle = s
		}
		old := now.Sub(s.created) > evictionInterval
		if (old || privileged && !s.privileged) && (candidate == nil || moreEvictable(s, candidate)) {
			candidate = s
		}
	}
	switch {
	case idle != nil && now.Sub(idle.lastUsed) > evictionInterval:
		candidate = idle
	case candidate == nil || candidate.privileged && !privileged:
		return false
	case candidate.privileged == privileged && candidate.cachedSize >= size:
		return false
	}
	delete(sh.sessions, candidate.id)
	return true
}

// moreEvictable orders sessions as Kafka's EvictableKey does: consumers' before followers', then by size
// and id.
func moreEvictable(a, b *session) bool {
	if a.privileged != b.privileged {
		return b.privileged
	}
	return cmp.Or(cmp.Compare(a.cachedSize, b.cachedSize), cmp.Compare(a.id, b.id)) < 0
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += len(c.shards[i].sessions)
		c.shards[i].mu.Unlock()
	}
	return n
}
