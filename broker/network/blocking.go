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

// runBlocking runs handlers that block, one after the other, until none is left. While the client
// does not read what was answered, none is run.
func (c *conn) runBlocking() {
	place := true // among those that may block, which it holds
	defer func() {
		if place {
			<-c.srv.blocking
		}
	}()
	defer c.giveUpBlocked()
	for {
		c.mu.Lock()
		if c.mu.stalled {
			room := c.roomLocked()
			c.mu.Unlock()
			<-c.srv.blocking
			if place = c.awaitPlace(room); !place {
				return
			}
			continue
		}
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

// roomLocked returns a channel that is closed once no write waits for the client. It requires mu.
func (c *conn) roomLocked() <-chan struct{} {
	if c.mu.room == nil {
		c.mu.room = make(chan struct{})
	}
	return c.mu.room
}

// awaitPlace waits for room and then for a place among the handlers that block; it returns false,
// without one, if the connection is closed first.
func (c *conn) awaitPlace(room <-chan struct{}) bool {
	select {
	case <-room:
	case <-c.done:
		return false
	}
	select {
	case c.srv.blocking <- struct{}{}:
		return true
	case <-c.done:
		return false
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
