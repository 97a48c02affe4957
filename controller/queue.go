package controller

import (
	"context"
	"sync"
)

// event is one thing for the loop to do.
type event struct {
	name string // for logs
	// once says that the event reads anew whatever it is about: while one of the same name waits, a
	// further one adds nothing and is dropped. Other events are bounded by the requests that were sent.
	once bool
	run  func(ctx context.Context) error
	// dropped is called in place of run if the event is not to be run any more, with no lock held; nil:
	// nobody waits for it.
	dropped func()
}

// queue holds the events that wait, first in, first out. Its length is bounded: one event for each
// watched znode, one for each response to a request that an earlier event has sent, and one for each
// request that is asked of the controller, of which handlers let only so many wait.
type queue struct {
	signal chan struct{} // has a token if an event may wait

	mu struct {
		sync.Mutex
		events  []event
		waiting map[string]bool // names of the once events in events
		closed  bool
	}
}

func newQueue() *queue {
	q := &queue{signal: make(chan struct{}, 1)}
	q.mu.waiting = map[string]bool{}
	return q
}

// put adds e behind the others.
func (q *queue) put(e event) {
	if !q.add(e) {
		e.drop()
	}
}

func (q *queue) add(e event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(e)
}

// addLocked reports whether e was taken. It requires mu.
func (q *queue) addLocked(e event) bool {
	if q.mu.closed || e.once && q.mu.waiting[e.name] {
		return false
	}
	if e.once {
		q.mu.waiting[e.name] = true
	}
	q.mu.events = append(q.mu.events, e)
	select {
	case q.signal <- struct{}{}:
	default:
	}
	return true
}

// replace drops all events and adds e.
func (q *queue) replace(e event) {
	old, added := func() ([]event, bool) {
		q.mu.Lock()
		defer q.mu.Unlock()
		old := q.clearLocked()
		return old, q.addLocked(e)
	}()
	drop(old)
	if !added {
		e.drop()
	}
}

// clearLocked removes and returns all events. It requires mu.
func (q *queue) clearLocked() []event {
	old := q.mu.events
	q.mu.events = nil
	clear(q.mu.waiting)
	return old
}

func drop(events []event) {
	for i := range events {
		events[i].drop()
	}
}

func (e *event) drop() {
	if e.dropped != nil {
		e.dropped()
	}
}

// close drops all events and those that come.
func (q *queue) close() {
	q.mu.Lock()
	old := q.clearLocked()
	q.mu.closed = true
	q.mu.Unlock()
	drop(old)
}

// take returns the next event once there is one; ok is false if ctx ends before.
func (q *queue) take(ctx context.Context) (e event, ok bool) {
	for {
		if e, ok := q.next(); ok {
			return e, true
		}
		select {
		case <-q.signal:
		case <-ctx.Done():
			return event{}, false
		}
	}
}

func (q *queue) next() (e event, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.mu.events) == 0 {
		return event{}, false
	}
	e = q.mu.events[0]
	q.mu.events[0] = event{}
	q.mu.events = q.mu.events[1:]
	delete(q.mu.waiting, e.name)
	return e, true
}
