package network

import (
	"errors"
	"time"
)

// flushInline is the most that is written on a goroutine that is not the connection's own: it has
// other work.
const flushInline = 16 << 10

// uncork writes what is ready and lets replies leave at once from here on. Only serve calls it, and what serve runs.
func (c *conn) uncork() {
	c.batch, c.lingered = 0, 0
	c.mu.Lock()
	c.mu.corked = false
	flush := c.mu.head != nil && c.mu.head.settled() && !c.mu.writing
	if flush {
		c.mu.writing = true
	}
	c.mu.Unlock()
	if flush {
		c.flush(true)
	}
}

// flush writes the replies at the head of the queue until none is ready. The caller has set the
// writing flag, which flush gives back or hands to a goroutine. With wait it may wait for the client.
//
// A reply that becomes ready meanwhile finds the flag set and leaves it to flush. None is forgotten:
// flush looks at the queue and gives the flag back in one critical section.
func (c *conn) flush(wait bool) {
	o := outbounds.Get().(*outbound)
	for c.takeReady(o) {
		o.encode()
		if !wait && o.pending() > flushInline && c.startWriter(o) {
			return
		}
		start := time.Now()
		err := o.write(c.tr, wait)
		if errors.Is(err, errWouldBlock) && c.startWriter(o) {
			return
		}
		c.wrote(o, err, start)
	}
	outbounds.Put(o)
}

// wrote ends the run of replies in o, which were written but for err.
func (c *conn) wrote(o *outbound, err error, start time.Time) {
	reason := o.reason
	o.finish(c.lst.Name, c.srv.opts.Observer, start)
	switch {
	case err != nil:
		c.fail(err)
	case reason != nil:
		c.fail(&protocolError{reason})
	}
}

// takeReady moves the ready slots at the head of the queue to o. If there are none it gives the
// writing flag back and returns false.
func (c *conn) takeReady(o *outbound) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.mu.closed && c.mu.head != nil && c.mu.head.settled() && len(o.slots) < corkMax && o.reason == nil {
		s := c.mu.head
		c.mu.head = s.next
		if c.mu.head == nil {
			c.mu.tail = nil
		}
		c.mu.unanswered--
		s.next = nil
		if s.heavy {
			c.mu.heavy--
		}
		o.slots = append(o.slots, s)
		if s.state == dropped {
			o.reason = s.reason
			if o.reason == nil {
				o.reason = errors.New("request dropped")
			}
		}
	}
	if o.empty() {
		c.mu.writing = false
		c.mu.stalled = false
		if c.mu.room != nil {
			close(c.mu.room)
			c.mu.room = nil
		}
		c.signalLocked()
		return false
	}
	c.signalLocked()
	return true
}

// startWriter hands o and the writing flag to a goroutine that may wait for the client. It returns
// false if the connection is closed.
func (c *conn) startWriter(o *outbound) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return false
	}
	// While the connection is not closed its goroutine runs, so that the WaitGroup is not at zero.
	c.mu.stalled = true
	c.srv.wg.Go(func() {
		start := time.Now()
		c.wrote(o, o.write(c.tr, true), start)
		outbounds.Put(o)
		c.flush(true)
	})
	return true
}
