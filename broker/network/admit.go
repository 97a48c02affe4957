package network

import "time"

// heavyMax is the number of answers that hold their contents in memory, here or soon, with which no
// further request of their connection is begun.
const heavyMax = 32

// admit puts s into the queue once the connection may start another request. It may not once one before was dropped, and
// so whatever is to be handled before s is handled first.
func (c *conn) admit(s *slot) error {
	if c.batch >= corkMax {
		c.handleGathered() // its answers leave together, not one by one once the cork is out
		c.uncork()
	}
	c.mu.Lock()
	for !c.mayStartLocked(s) && !c.mu.closed && !c.mu.dropping && !c.endsAtAbandonedLocked() {
		c.mu.waiting = true
		until := c.mu.mutedUntil
		c.mu.Unlock()
		c.handleGathered() // what is waited for may be their answers
		c.uncork()
		c.await(until)
		c.mu.Lock()
	}
	if c.mu.closed || c.mu.dropping || c.endsAtAbandonedLocked() {
		c.mu.Unlock()
		return errStopped
	}
	if c.mu.tail == nil {
		c.mu.head = s
	} else {
		c.mu.tail.next = s
	}
	c.mu.tail = s
	c.mu.held = s.route.Holds
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

// mayStartLocked reports whether nothing speaks against s. It requires mu.
//
// Answers that hold their contents in memory are fewer than others before they have to leave first,
// lest a client that pipelines many requests and reads nothing, or puts a long poll in front of
// them, makes the broker keep them all.
func (c *conn) mayStartLocked(s *slot) bool {
	if !c.mu.mutedUntil.IsZero() {
		if time.Now().Before(c.mu.mutedUntil) {
			return false
		}
		c.mu.mutedUntil = time.Time{} // whoever waits for something else is not to look at the clock again and again
	}
	if c.mu.held || s.route.Follows && (c.mu.head != nil || c.mu.writing) {
		return false
	}
	return c.mu.unanswered < c.srv.opts.MaxUnanswered && !c.mu.stalled && c.mu.heavy < heavyMax
}

// endsAtAbandonedLocked reports whether the connection ends and nothing that was read from it will be begun any more, as
// it is behind a request that was abandoned. It requires mu.
func (c *conn) endsAtAbandonedLocked() bool {
	return c.mu.stopped && c.mu.tail != nil && c.mu.tail.state == abandoned
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
