package fetch

import (
	"math"
	"slices"
	"testing"
	"time"
)

func parts(n int) []*partition {
	list := make([]*partition, n)
	for i := range list {
		list[i] = &partition{name: "t", index: int32(i), sentHighWatermark: -1}
	}
	return list
}

func order(s *session) (indexes []int32) {
	for p := s.head; p != nil; p = p.next {
		indexes = append(indexes, p.index)
	}
	return indexes
}

func TestNextEpoch(t *testing.T) {
	for e, want := range map[int32]int32{0: 1, 1: 2, math.MaxInt32: 1, finalEpoch: finalEpoch} {
		if got := nextEpoch(e); got != want {
			t.Errorf("nextEpoch(%d) = %d, want %d", e, got, want)
		}
	}
}

func TestSessionKeepsOrder(t *testing.T) {
	s := newSession(1, false, false, time.Time{}, parts(4))
	s.moveToEndLocked(s.head)
	s.moveToEndLocked(s.tail)
	if got, want := order(s), []int32{1, 2, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("after partition 0 returned records: %v, want %v", got, want)
	}
	s.forgetLocked(sessionKey{name: "t", index: 2})
	s.forgetLocked(sessionKey{name: "t", index: 9})
	if got, want := order(s), []int32{1, 3, 0}; !slices.Equal(got, want) {
		t.Errorf("after partition 2 was forgotten: %v, want %v", got, want)
	}
	gone := &partition{name: "t", index: 2}
	s.moveToEndLocked(gone)
	s.putLocked(&partition{name: "t", index: 3, fetchOffset: 7})
	s.putLocked(&partition{name: "t", index: 5})
	if got, want := order(s), []int32{1, 3, 0, 5}; !slices.Equal(got, want) {
		t.Errorf("after an update and an addition: %v, want %v", got, want)
	}
	if got := s.partitions[sessionKey{name: "t", index: 3}].fetchOffset; got != 7 {
		t.Errorf("an update left fetch offset %d, want 7", got)
	}
}

func TestPutKeepsWhatWasSent(t *testing.T) {
	s := newSession(1, false, false, time.Time{}, parts(1))
	s.head.sentHighWatermark = 42
	s.putLocked(&partition{name: "t", sentHighWatermark: -1})
	if got := s.head.sentHighWatermark; got != 42 {
		t.Errorf("sent high watermark became %d by an update of the fetch offset, want 42", got)
	}
}

// TestEviction has one slot in each shard, so that every session competes with the one before it in
// the same shard.
func TestEviction(t *testing.T) {
	const soon, later = time.Second, evictionInterval + time.Second
	tests := []struct {
		name               string
		oldFollower        bool
		oldSize            int
		newFollower        bool
		newSize            int
		since              time.Duration
		used               bool // the old session is used just before
		wantNew, wantFirst bool
	}{
		{name: "no room for an equal", oldSize: 3, newSize: 3, since: soon, wantFirst: true},
		{name: "a larger one must wait two minutes", oldSize: 3, newSize: 9, since: soon, wantFirst: true},
		{name: "a larger one displaces an old one", oldSize: 3, newSize: 9, since: later, used: true, wantNew: true},
		{name: "a smaller one does not", oldSize: 9, newSize: 3, since: later, used: true, wantFirst: true},
		{name: "an unused one goes first", oldSize: 9, newSize: 1, since: later, wantNew: true},
		{name: "a follower displaces a consumer at once", oldSize: 9, newFollower: true, newSize: 1, since: soon, wantNew: true},
		{name: "a consumer never displaces a follower", oldFollower: true, oldSize: 1, newSize: 9, since: later, used: true, wantFirst: true},
		{name: "a larger follower displaces an old follower", oldFollower: true, oldSize: 1, newFollower: true, newSize: 9, since: later, used: true, wantNew: true},
		{name: "not a young one", oldFollower: true, oldSize: 1, newFollower: true, newSize: 9, since: soon, wantFirst: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, now := newCache(cacheShards), time.Unix(1000, 0)
			old := c.create(tt.oldFollower, false, now, parts(tt.oldSize))
			for range cacheShards - 1 { // fill the other shards
				c.create(true, false, now, parts(1))
			}
			now = now.Add(tt.since)
			if tt.used {
				c.used(old, tt.oldSize, now)
			}
			made := c.create(tt.newFollower, false, now, parts(tt.newSize))
			if got := made != nil; got != tt.wantNew {
				t.Errorf("new session made: %v, want %v", got, tt.wantNew)
			}
			if got := c.get(old.id) != nil; got != tt.wantFirst {
				t.Errorf("old session there: %v, want %v", got, tt.wantFirst)
			}
			if c.len() != cacheShards {
				t.Errorf("%d sessions in %d slots", c.len(), cacheShards)
			}
		})
	}
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		c.shards[i].mu.Lock()
		n += len(c.shards[i].sessions)
		c.shards[i].mu.Unlock()
	}
	return n
}

// A young small session does not keep an old one, which is larger, from being displaced.
func TestEvictionPassesOverYoungSessions(t *testing.T) {
	c, now := newCache(2*cacheShards), time.Unix(1000, 0)
	old := c.create(false, false, now, parts(3))
	for range cacheShards - 1 {
		c.create(true, false, now, parts(1))
	}
	now = now.Add(evictionInterval + time.Second)
	c.used(old, 3, now)
	young := c.create(false, false, now, parts(1))
	for range cacheShards - 1 {
		c.create(true, false, now, parts(1))
	}
	if made := c.create(false, false, now, parts(9)); made == nil {
		t.Error("no room for a larger session")
	}
	if c.get(old.id) != nil || c.get(young.id) == nil {
		t.Errorf("old session there: %v, young: %v; want the young one only", c.get(old.id) != nil, c.get(young.id) != nil)
	}
}

func TestNoSlots(t *testing.T) {
	if s := newCache(0).create(false, false, time.Now(), parts(1)); s != nil {
		t.Error("a cache without slots made a session")
	}
}

func TestIDsLeadBackToTheirShard(t *testing.T) {
	c := newCache(1000)
	for range 100 {
		s := c.create(false, false, time.Now(), parts(1))
		if s.id <= 0 || c.get(s.id) != s {
			t.Fatalf("session %d is not found again", s.id)
		}
	}
	for _, id := range []int32{0, -1, math.MinInt32} {
		if c.get(id) != nil {
			t.Errorf("found a session with id %d", id)
		}
		c.remove(id)
	}
}
