package network

// handOver gives s to the goroutine that runs the handlers that block.
func (c *conn) handOver(s *slot) error {
	s.frame = getBuffer(len(s.Body))
	s.Body = s.frame.b[:copy(s.frame.b, s.Body)]
	s.held, c.held = c.held, 0
	c.mu.Lock()
	runner := c.mu.blockRunner
	c.mu.blockRunner = true
	c.mu.blocked = append(c.mu.blocked, s)
	c.mu.Unlock()
	if runner {
		return nil
	}
	select {
	case c.srv.blocking <- struct{}{}:
	default:
		c.uncork()
		select {
		case c.srv.blocking <- struct{}{}:
		case <-c.done:
			c.giveUpBlocked()
			return errStopped
		}
	}
	c.srv.wg.Go(c.runBlocking)
	return nil
}

// runBlocking runs handlers that block, one after the other, until none is left.
func (c *conn) runBlocking() {
	defer func() { <-c.srv.blocking }()
	defer c.giveUpBlocked()
	for {
		c.mu.Lock()
		if len(c.mu.blocked) == 0 || c.mu.closed {
			c.mu.blockRunner = false
			c.mu.Unlock()
			return
		}
		s := c.mu.blocked[0]
		c.mu.blocked[0] = nil
		if c.mu.blocked = c.mu.blocked[1:]; len(c.mu.blocked) == 0 {
			c.mu.blocked = nil
		}
		c.mu.Unlock()
		c.handle(s)
		putBuffer(s.frame)
		c.srv.queued.release(s.held)
		s.free()
	}
}

// giveUpBlocked gives back what the handlers would have used that are not run because the connection
// is closed.
func (c *conn) giveUpBlocked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.closed {
		return
	}
	for _, s := range c.mu.blocked {
		putBuffer(s.frame)
		c.srv.queued.release(s.held)
	}
	c.mu.blocked = nil
}
