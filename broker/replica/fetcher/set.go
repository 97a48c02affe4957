package fetcher

import (
	"slices"
	"time"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// firstPause is how long a partition, or a leader, is left alone after a first failure.
const firstPause = 10 * time.Millisecond

// Versions of Fetch: without topic ids, which topics from before Kafka 2.8 lack, and what 3.9 speaks.
const (
	versionOfNames = 12
	versionOfIDs   = 17
)

// partition is one partition that a loop copies.
//
// It is in one of three states: told (in the leader's session as it is here), dirty (the next request is to
// mention it), or waiting (left out until due).
type partition struct {
	replica.Following
	name  topic.Partition
	id    topic.ID
	place replica.Place

	told     bool          // the leader's session has it
	toldAs   replica.Place // as it was named last
	dirty    bool          // in set.dirty
	waiting  bool          // in set.waiting
	due      time.Time     // while waiting
	failures int           // in a row
	caughtUp bool          // had all that was committed when the leader answered last
}

// set is the partitions of one loop and the fetch session that it has with their leader. It does no I/O.
//
// Invariants:
//   - what is told is in the leader's session, unless the answer to the last request is still to come
//   - dirty, waiting and merely told partitions are all there are
//   - what is gone is not told; a request that names a partition both ways would lose it
//   - the session knows topics by ids if all of them have one, else by names
type set struct {
	limits limits

	all   map[topic.Partition]*partition
	byID  map[sessionKey]*partition
	noIDs int // partitions without a topic id

	dirty   []*partition
	waiting []*partition
	gone    map[sessionKey]bool // what the session is to lose

	sessionID, sessionEpoch int32 // of the next request
	usesIDs                 bool  // the session

	request wire.FetchRequest // the last one; its slices are used again
	parts   []wire.FetchPartition
}

// limits are those of every request.
type limits struct {
	maxWait                               time.Duration
	minBytes, maxBytes, partitionMaxBytes int32
	pause                                 time.Duration // longest
}

func newSet(l limits) *set {
	return &set{limits: l, all: map[topic.Partition]*partition{}, byID: map[sessionKey]*partition{}, gone: map[sessionKey]bool{}}
}

// add begins to copy a partition, from place on, in place of what was copied under its name.
func (s *set) add(f replica.Following, name topic.Partition, id topic.ID, place replica.Place) {
	s.remove(name)
	p := &partition{Following: f, name: name, id: id, place: place}
	s.all[name] = p
	if id.IsZero() {
		s.noIDs++
	} else {
		s.byID[sessionKey{id: id, index: name.Index}] = p
	}
	s.touch(p)
}

// remove ends the copying of a partition; that there is none is no error.
func (s *set) remove(name topic.Partition) {
	p := s.all[name]
	if p == nil {
		return
	}
	delete(s.all, name)
	if p.id.IsZero() {
		s.noIDs--
	} else if key := (sessionKey{id: p.id, index: name.Index}); s.byID[key] == p {
		delete(s.byID, key)
	}
	s.forget(p)
	same := func(q *partition) bool { return q == p }
	if p.dirty {
		s.dirty = slices.DeleteFunc(s.dirty, same)
	}
	if p.waiting {
		s.waiting = slices.DeleteFunc(s.waiting, same)
	}
}

// touch has p mentioned in the next request.
func (s *set) touch(p *partition) {
	if !p.dirty {
		p.dirty = true
		s.dirty = append(s.dirty, p)
	}
}

// forget takes p out of the session.
func (s *set) forget(p *partition) {
	if !p.told {
		return
	}
	p.told = false
	s.gone[s.key(p)] = true
}

// hold leaves partitions out until due, those that held picks. What is left out already stays so until its own time.
func (s *set) hold(now, due time.Time, held func(p *partition) bool) {
	s.wake(now)
	for _, p := range s.all {
		if !p.waiting && held(p) {
			s.leaveOut(p, due)
		}
	}
}

// wake ends the waiting of those who are due, and returns how long the first of the others still has to wait;
// negative if there is none.
func (s *set) wake(now time.Time) time.Duration {
	first := time.Duration(-1)
	s.waiting = slices.DeleteFunc(s.waiting, func(p *partition) bool {
		left := p.due.Sub(now)
		if left <= 0 {
			p.waiting = false
			s.touch(p)
			return true
		}
		if first < 0 || left < first {
			first = left
		}
		return false
	})
	return first
}

// advance notes that p is to be fetched from place on.
func (s *set) advance(p *partition, place replica.Place, caughtUp bool) {
	p.place, p.failures, p.caughtUp = place, 0, caughtUp
	if p.place != p.toldAs {
		s.touch(p)
	}
}

// fail leaves p out for a while, and reports how long.
func (s *set) fail(p *partition, now time.Time) time.Duration {
	pause := pauseAfter(p.failures, s.limits.pause)
	p.failures++
	s.leaveOut(p, now.Add(pause))
	return pause
}

// leaveOut leaves p out until due.
func (s *set) leaveOut(p *partition, due time.Time) {
	s.forget(p)
	if p.dirty {
		p.dirty = false
		s.dirty = slices.DeleteFunc(s.dirty, func(q *partition) bool { return q == p })
	}
	p.due = due
	if !p.waiting {
		p.waiting = true
		s.waiting = append(s.waiting, p)
	}
}

// pauseAfter returns how long to pause after a failure that followed so many others.
func pauseAfter(failures int, longest time.Duration) time.Duration {
	return min(firstPause<<min(max(failures, 0), 20), longest)
}
