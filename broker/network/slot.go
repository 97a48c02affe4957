package network

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
)

// slotState is what is known of a request's outcome.
type slotState int8

const (
	pending slotState = iota
	answered
	silent    // no answer is to be written
	dropped   // the connection is to be closed instead
	abandoned // nothing is to be written, and nothing behind it
)

// slot is a request's place in the order of its connection. It is the request's Replier.
//
// Invariant: a slot is in its connection's queue from dispatch until it leaves as the head, or until
// the connection is closed; state, body and reason are guarded by conn.mu. The queue and the
// goroutine that runs the handler hold it, and the last of the two to let go recycles it.
type slot struct {
	request.Request
	refs   atomic.Int32
	c      *conn
	next   *slot
	route  *request.Route
	state  slotState
	body   request.Body
	heavy  bool // its answer holds, or is going to hold, its contents in memory
	reason error
	frame  *buffer // holds Body if the handler runs on another goroutine
	held   int64   // bytes reserved from Server.queued, likewise

	// Only filled if there is an Observer.
	handled, returned, replied time.Time // returned is guarded by conn.mu
	local, remote              time.Duration
	responseBytes              int
}

var slots = sync.Pool{New: func() any { return new(slot) }}

// newSlot returns a slot held by the queue and by the handler.
func newSlot(c *conn) *slot {
	s := slots.Get().(*slot)
	s.c = c
	s.To = s
	s.refs.Store(2)
	return s
}

// free lets go of s.
func (s *slot) free() {
	if s.refs.Add(-1) > 0 {
		return
	}
	s.Request = request.Request{}
	s.c, s.next, s.route, s.state, s.body, s.reason = nil, nil, nil, pending, nil, nil
	s.frame, s.held, s.responseBytes, s.heavy = nil, 0, 0, false
	s.handled, s.returned, s.replied, s.local, s.remote = time.Time{}, time.Time{}, time.Time{}, 0, 0
	slots.Put(s)
}

// Reply implements request.Replier.
func (s *slot) Reply(_ *request.Request, body request.Body) {
	if body == nil {
		s.settle(silent, nil, nil)
	} else {
		s.settle(answered, body, nil)
	}
}

// Drop implements request.Replier. The connection is closed once the answers before it are written.
func (s *slot) Drop(_ *request.Request, reason error) { s.settle(dropped, nil, reason) }

// Abandon implements request.Replier.
func (s *slot) Abandon(*request.Request) { s.settle(abandoned, nil, nil) }

// settled reports whether s may leave the queue.
func (s *slot) settled() bool { return s.state != pending && s.state != abandoned }

// Waits lets answers leave that are held back while the connection's goroutine is busy.
func (s *slot) Waits() {
	if !s.route.Blocks {
		s.c.uncork()
	}
}

// settle records the outcome of s and writes it if it is its turn.
func (s *slot) settle(state slotState, body request.Body, reason error) {
	c := s.c
	c.mu.Lock()
	if s.state != pending {
		c.mu.Unlock()
		panic("network: a request was answered twice")
	}
	if c.mu.closed {
		c.mu.Unlock()
		discard(body)
		s.free()
		return
	}
	s.state, s.body, s.reason = state, body, reason
	if !s.heavy && state == answered && isHeavy(body) {
		s.heavy = true
		c.mu.heavy++
	}
	if c.srv.opts.Observer != nil {
		s.replied = time.Now()
		s.local = s.replied.Sub(s.handled)
		if !s.returned.IsZero() {
			s.local = s.returned.Sub(s.handled)
			s.remote = s.replied.Sub(s.returned)
		}
	}
	if s.Throttle > 0 {
		if until := time.Now().Add(s.Throttle); until.After(c.mu.mutedUntil) {
			c.mu.mutedUntil = until
		}
	}
	switch {
	case state == dropped:
		c.mu.dropping = true
		c.stopReadingLocked()
	case state == abandoned:
		c.signalLocked() // serve may have nothing to wait for any more
	case s.route.Holds:
		c.mu.held = false
		c.signalLocked()
	}
	flush := c.mu.head == s && s.settled() && !c.mu.corked && !c.mu.writing
	if flush {
		c.mu.writing = true
	}
	c.mu.Unlock()
	if flush {
		c.flush(false)
	}
}

// isHeavy reports whether an answer takes memory by what is in it. Pooled ones are made to be small: the records of a
// Fetch are in files, or converted while they are sent.
func isHeavy(body request.Body) bool {
	_, pooled := body.(request.Recycler)
	return !pooled
}

// discard gives up a body that will not be written.
func discard(body request.Body) {
	if r, ok := body.(request.Recycler); ok {
		r.Recycle()
		return
	}
	if s, ok := body.(request.Sectioned); ok {
		s.AppendTo(nil)
		for _, cut := range s.Cuts() {
			cut.Section.Release()
		}
	}
}
