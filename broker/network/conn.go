package network

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// corkMax is the number of requests after which replies are written although further requests are
// there to be handled.
const corkMax = 32

// heavyMax is the number of answers that hold their contents in memory, here or soon, with which no
// further request of their connection is begun.
const heavyMax = 32

// conn is one connection. Its own goroutine reads, runs handlers and, where it can, writes.
type conn struct {
	srv  *Server
	lst  *listener
	info request.Conn
	tr   transport
	last atomic.Int64 // UnixNano of the last byte moved

	// The rest up to mu belongs to serve.
	in       inbound
	client   string // client id of the last request
	received time.Time
	held     int64   // bytes reserved for the frame that is being read
	gathered []*slot // admitted, to be handled together
	batch    int     // requests since the last flush
	lingered int     // bytes of requests handled since replies last left

	wake chan struct{} // something that serve may wait for has changed
	done chan struct{} // closed with the connection

	mu struct {
		sync.Mutex
		head, tail *slot // requests in order, without those whose reply is being written
		unanswered int   // slots from head to tail

		blocked     []*slot // requests whose handlers block and have not begun
		blockRunner bool    // a goroutine takes from blocked

		corked  bool          // serve flushes later
		writing bool          // somebody writes
		stalled bool          // and waits for the client to read
		waiting bool          // serve wants to hear on wake
		heavy   int           // slots in the queue that are heavy
		room    chan struct{} // closed once stalled is not set; nil if nobody waits for that

		stopped    bool // serve is to read no further
		dropping   bool // and to handle nothing further: a request was dropped
		mutedUntil time.Time
		closed     bool
		reason     error // why it is closed
	}
}

// Reasons to close a connection that need no log line.
var (
	errIdle    = errors.New("idle for too long")
	errEvicted = errors.New("max.connections is exceeded")
	errStopped = errors.New("reading was stopped")
)

// protocolError is what a client did wrong; the connection is closed for it.
type protocolError struct{ err error }

func (e *protocolError) Error() string { return e.err.Error() }
func (e *protocolError) Unwrap() error { return e.err }

// serve is the connection's goroutine.
func (c *conn) serve() {
	err := c.readLoop()
	c.in.release()
	c.srv.queued.release(c.held)
	var protocol *protocolError
	if errors.Is(err, io.EOF) || errors.Is(err, errStopped) || errors.As(err, &protocol) {
		c.awaitAnswers()
	}
	c.fail(err)
	c.srv.forget(c)
}

// readLoop reads and dispatches until something ends that.
func (c *conn) readLoop() error {
	for {
		if c.stopped() {
			return errStopped
		}
		if _, err := c.tr.read(&c.in); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue // interrupted
			}
			return err
		}
		c.received = time.Now()
		c.last.Store(c.received.UnixNano())
		err := c.dispatchAll()
		for err == nil && c.mayLinger() {
			var n int
			if n, err = c.tr.poll(&c.in); n == 0 {
				break
			}
			c.received = time.Now()
			err = c.dispatchAll()
		}
		c.uncork()
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		c.in.rest()
	}
}

// lingerBytes is how much may be handled before replies leave.
const lingerBytes = 32 << 10

// mayLinger reports whether replies that are ready may wait for requests that have come while their
// own were handled: as long as there is little of both. Small requests that are pipelined are then
// answered several at a time, which saves the client and the broker most of their system calls; large
// ones, and a client's only one, wait for nothing but one look at the socket.
func (c *conn) mayLinger() bool {
	return c.batch > 0 && c.batch < corkMax && c.lingered < lingerBytes
}

// stopped reports whether reading must end.
func (c *conn) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.stopped || c.mu.closed
}

// dispatchAll handles the whole frames that have been read.
func (c *conn) dispatchAll() error {
	err := c.dispatchFrames()
	c.handleGathered()
	return err
}

func (c *conn) dispatchFrames() error {
	for {
		frame, ok, err := c.in.next(c.srv.opts.MaxRequestBytes)
		if err != nil {
			return &protocolError{err}
		}
		// The bytes of a frame count from when its length is known, until its handler returns.
		if c.held == 0 && (ok || c.in.need > 0) && c.srv.queued.limited() {
			n := int64(max(len(frame), c.in.need))
			if !c.srv.queued.tryReserve(n) {
				c.uncork()
				if !c.srv.queued.reserve(n, c.done) {
					return errStopped
				}
			}
			c.held = n
		}
		if !ok {
			return nil
		}
		if err := c.dispatch(frame); err != nil {
			return err
		}
		if c.held > 0 {
			c.handleGathered() // for what counts is counted frame by frame
		}
	}
}

// dispatch runs the handler of the request in frame.
func (c *conn) dispatch(frame []byte) error {
	s, route, err := c.parse(frame)
	if err != nil {
		return &protocolError{err}
	}
	s.heavy = route.Blocks // its answer will be
	if len(c.gathered) > 0 && (c.gathered[0].route != route || len(c.gathered) == corkMax) {
		c.handleGathered()
	}
	if err := c.admit(s); err != nil {
		return err
	}
	switch {
	case route.Blocks:
		return c.handOver(s)
	case route.HandleAll != nil:
		c.gathered = append(c.gathered, s)
		return nil
	}
	c.handle(s)
	s.free()
	c.srv.queued.release(c.held)
	c.held = 0
	return nil
}

// parse makes a slot of a frame.
func (c *conn) parse(frame []byte) (*slot, *request.Route, error) {
	h, body, err := wire.ParseHeader(frame)
	if err != nil {
		return nil, nil, fmt.Errorf("key %d, version %d: %w", h.Key, h.Version, err)
	}
	route := c.srv.opts.Router.Route(h.Key)
	switch {
	case route == nil:
		return nil, nil, fmt.Errorf("key %d, version %d: %w", h.Key, h.Version, wire.ErrUnknownKey)
	case (h.Version < route.Min || h.Version > route.Max) && h.Key != wire.KeyApiVersions:
		return nil, nil, fmt.Errorf("%s v%d: %w", route.Name, h.Version, wire.ErrUnsupportedVersion)
	}
	if c.client != string(h.ClientID) {
		c.client = wire.Intern(h.ClientID)
	}
	s := newSlot(c)
	s.Key, s.Version, s.CorrelationID = h.Key, h.Version, h.CorrelationID
	s.ClientID, s.Conn, s.Received = c.client, &c.info, c.received
	s.Size, s.Body = len(frame), body
	s.route = route
	return s, route, nil
}

// admit puts s into the queue once the connection may start another request. It may not once one before was dropped, and
// so whatever is to be handled before s is handled first.
func (c *conn) admit(s *slot) error {
	if c.batch >= corkMax {
		c.handleGathered() // its answers leave together, not one by one once the cork is out
		c.uncork()
	}
	c.mu.Lock()
	for !c.mayStartLocked() && !c.mu.closed && !c.mu.dropping {
		c.mu.waiting = true
		until := c.mu.mutedUntil
		c.mu.Unlock()
		c.handleGathered() // what is waited for may be their answers
		c.uncork()
		c.await(until)
		c.mu.Lock()
	}
	if c.mu.closed || c.mu.dropping {
		c.mu.Unlock()
		return errStopped
	}
	if c.mu.tail == nil {
		c.mu.head = s
	} else {
		c.mu.tail.next = s
	}
	c.mu.tail = s
	c.mu.unanswered++
	c.mu.corked = true
	c.lingered += s.Size
	heavy := c.mu.heavy > 0
	if s.heavy {
		c.mu.heavy++
	}
	c.mu.Unlock()
	if c.batch++; heavy {
		c.uncork()
	}
	return nil
}

// mayStartLocked reports whether nothing speaks against another request. It requires mu.
//
// Answers that hold their contents in memory are fewer than others before they have to leave first,
// lest a client that pipelines many requests and reads nothing, or puts a long poll in front of
// them, makes the broker keep them all.
func (c *conn) mayStartLocked() bool {
	if !c.mu.mutedUntil.IsZero() {
		if time.Now().Before(c.mu.mutedUntil) {
			return false
		}
		c.mu.mutedUntil = time.Time{}
	}
	return c.mu.unanswered < c.srv.opts.MaxUnanswered && !c.mu.stalled && c.mu.heavy < heavyMax
}

// await waits for a change of what mayStartLocked looks at, until a time unless that is zero.
func (c *conn) await(until time.Time) {
	var expired <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-c.wake:
	case <-expired:
	case <-c.done:
	}
}

// signalLocked wakes serve if it waits. It requires mu.
func (c *conn) signalLocked() {
	if c.mu.waiting {
		c.mu.waiting = false
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// handle runs the handler of s. A panic closes the connection.
func (c *conn) handle(s *slot) {
	defer c.recover()
	if c.srv.opts.Observer == nil {
		s.route.Handler.Handle(&s.Request)
		return
	}
	s.handled = time.Now()
	s.route.Handler.Handle(&s.Request)
	c.mu.Lock()
	s.returned = time.Now()
	c.mu.Unlock()
}

// recover closes the connection if the function that defers it panics.
func (c *conn) recover() {
	if p := recover(); p != nil {
		c.fail(&panicError{p, debug.Stack()})
	}
}

// handleGathered handles what was gathered: requests for one API that came together, which that API
// wants to see together.
func (c *conn) handleGathered() {
	switch len(c.gathered) {
	case 0:
		return
	case 1:
		c.handle(c.gathered[0])
	default:
		c.handleTogether(c.gathered)
	}
	for _, s := range c.gathered {
		s.free()
	}
	clear(c.gathered)
	c.gathered = c.gathered[:0]
	c.srv.queued.release(c.held)
	c.held = 0
}

// requestLists are for handleTogether.
var requestLists = sync.Pool{New: func() any { return new([corkMax]*request.Request) }}

// handleTogether is handle for several requests of one route.
func (c *conn) handleTogether(together []*slot) {
	defer c.recover()
	list := requestLists.Get().(*[corkMax]*request.Request)
	defer func() {
		clear(list[:])
		requestLists.Put(list)
	}()
	observed := c.srv.opts.Observer != nil
	now := time.Time{}
	if observed {
		now = time.Now()
	}
	for i, s := range together {
		list[i], s.handled = &s.Request, now
	}
	together[0].route.HandleAll(list[:len(together)])
	if observed {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range together {
			s.returned = time.Now()
		}
	}
}

// awaitAnswers waits until every request that was read is answered and written, or the connection
// fails.
func (c *conn) awaitAnswers() {
	c.uncork()
	for {
		c.mu.Lock()
		over := c.mu.closed || c.mu.head == nil && !c.mu.writing
		c.mu.waiting = !over
		c.mu.Unlock()
		if over {
			return
		}
		c.await(time.Time{})
	}
}

// stopReadingLocked makes serve read no further. It requires mu.
func (c *conn) stopReadingLocked() {
	c.mu.stopped = true
	c.tr.interrupt()
	c.signalLocked()
}

// drain lets the connection end once the requests that were read are answered.
func (c *conn) drain() {
	c.mu.Lock()
	c.stopReadingLocked()
	c.mu.Unlock()
}

// fail closes the connection; the first reason counts. Answers that wait are given up, later ones
// are when they come.
func (c *conn) fail(reason error) {
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		return
	}
	c.mu.closed = true
	c.mu.reason = reason
	given := c.mu.head
	var answeredSlots []*slot
	for s := given; s != nil; s = s.next {
		if s.state != pending {
			answeredSlots = append(answeredSlots, s)
		}
	}
	c.mu.head, c.mu.tail, c.mu.unanswered = nil, nil, 0
	c.mu.Unlock()
	close(c.done)
	c.tr.close()
	for _, s := range answeredSlots {
		discard(s.body)
		s.free()
	}
}
