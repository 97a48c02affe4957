package storage

import (
	"sync"

	"github.com/gregor-mq/gregor/broker/topic"
)

// cleanerStates say of each partition whether it is being cleaned, and who wants it not to be (LogCleanerManager's
// inProgress). A partition is in one of the states
//
//	free          nobody is at it, and somebody may begin
//	in progress   a thread of the cleaner is at its segments: it cleans them, or removes old ones
//	aborted       such a thread is to stop, as soon as it notices; whoever wants that waits for it
//	paused(n)     nobody is at it, and nobody may begin until n pauses have ended
//
// and goes
//
//	free          -- begin --> in progress -- end --> free
//	free          -- pause --> paused(1)
//	in progress   -- pause --> aborted -- end --> paused(n), one for each pause meanwhile
//	paused(n)     -- pause --> paused(n+1), -- resume --> paused(n-1), free after the last
//
// Who pauses a partition: a truncation that reaches below the active segment, the deletion of a replica, its move to
// another directory (at its beginning, and when the copy takes the place of the log), a change of the policy away
// from compaction, and, only if nobody is at the partition, the retention of logs that are not compacted, lest such
// a change have both at the segments. A pause ends with what it is for.
//
// Invariants:
//   - between begin and end one goroutine alone replaces or removes segments of the partition; the owner of the log
//     appends and rolls meanwhile
//   - while somebody pauses a partition, once pause has returned, nobody is between begin and end
//
// mu is a leaf. Who pauses must hold no lock of the log, its directory or the Manager, since it waits for a thread
// of the cleaner that takes them.
type cleanerStates struct {
	mu   sync.Mutex
	idle sync.Cond // a partition is not in progress any more
	of   map[topic.Partition]*cleaningState
}

// cleaningState is the state of a partition that is not free.
type cleaningState struct {
	busy   bool
	pauses int
	abort  chan struct{} // while busy; closed by the first pause
}

func newCleanerStates() *cleanerStates {
	s := &cleanerStates{of: map[topic.Partition]*cleaningState{}}
	s.idle.L = &s.mu
	return s
}

// begin has a free partition be in progress until end. abort is closed when somebody wants that to be soon.
func (s *cleanerStates) begin(p topic.Partition) (abort <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[p] != nil {
		return nil, false
	}
	state := &cleaningState{busy: true, abort: make(chan struct{})}
	s.of[p] = state
	return state.abort, true
}

// end is called by whoever has begun.
func (s *cleanerStates) end(p topic.Partition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.of[p]
	state.busy = false
	if state.pauses == 0 {
		delete(s.of, p)
		return
	}
	s.idle.Broadcast()
}

// pause keeps the partition from being cleaned until resume is called as often as pause. It waits for a
// cleaning that is in progress, which it aborts. Without a cleaner it does nothing.
func (s *cleanerStates) pause(p topic.Partition) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.of[p]
	if state == nil {
		state = &cleaningState{}
		s.of[p] = state
	}
	state.pauses++
	if state.busy && state.pauses == 1 {
		close(state.abort)
	}
	for state.busy {
		s.idle.Wait()
	}
}

// tryPause is pause for a partition that is free; otherwise it returns false.
func (s *cleanerStates) tryPause(p topic.Partition) bool {
	if s == nil {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[p] != nil {
		return false
	}
	s.of[p] = &cleaningState{pauses: 1}
	return true
}

// resume ends one pause.
func (s *cleanerStates) resume(p topic.Partition) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.of[p]
	state.pauses--
	if state.pauses == 0 && !state.busy {
		delete(s.of, p)
	}
}

// abort ends a cleaning that is in progress, and waits for that.
func (s *cleanerStates) abort(p topic.Partition) {
	s.pause(p)
	s.resume(p)
}
