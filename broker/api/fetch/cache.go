package fetch

import (
	"cmp"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

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
