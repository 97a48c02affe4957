package network

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
)

// corkMax is the number of requests after which replies are written although further requests are
// there to be handled.
const corkMax = 32

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
		held       bool // a request whose route holds is not answered
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

// awaitAnswers waits until every request that was read is answered and written, but for those behind one that never is,
// or the connection fails.
func (c *conn) awaitAnswers() {
	c.uncork()
	for {
		c.mu.Lock()
		over := c.mu.closed || !c.mu.writing && (c.mu.head == nil || c.mu.head.state == abandoned)
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
