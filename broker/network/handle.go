package network

import (
	"runtime/debug"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
)

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
