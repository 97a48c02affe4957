package zkutil

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// renewPause is how long to wait before a session is tried again that could not even be begun.
const renewPause = time.Second

// eventQueue holds what run has yet to deliver. It is as long as there are watches that have fired and
// changes of connection since run last looked, and so is bounded by the watches set.
type eventQueue struct {
	signal chan struct{} // has room for one

	mu struct {
		sync.Mutex
		pending []func()
	}
}

func (q *eventQueue) init() { q.signal = make(chan struct{}, 1) }

// add appends one event; it never blocks.
func (q *eventQueue) add(deliver func()) {
	q.mu.Lock()
	q.mu.pending = append(q.mu.pending, deliver)
	q.mu.Unlock()
	select {
	case q.signal <- struct{}{}:
	default:
	}
}

// take removes and returns all events.
func (q *eventQueue) take() []func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.mu.pending
	q.mu.pending = nil
	return events
}

// run delivers events until Close.
func (c *Client) run() {
	for {
		select {
		case <-c.quit:
			return
		case <-c.events.signal:
		}
		for _, deliver := range c.events.take() {
			select {
			case <-c.quit:
				return
			default:
				deliver()
			}
		}
	}
}

// onConnected, onDisconnected, onExpired and onChange are called on goroutines of go-zookeeper, in the
// order of events. They change the state at once, so that operations see it, and leave the callbacks
// to run.

func (c *Client) onConnected(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.session != s || s.connected {
		return
	}
	s.connected = true
	first := !s.established
	s.established = true
	c.changedLocked()
	if !first {
		c.events.add(c.deliverConnected)
	}
}

func (c *Client) onDisconnected(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.session != s || !s.connected {
		return
	}
	s.connected = false
	c.changedLocked()
	c.events.add(c.deliverDisconnected)
}

func (c *Client) onExpired(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.session != s {
		return
	}
	s.connected = false
	c.mu.expiring = true
	c.changedLocked()
	c.events.add(func() { c.renew(s) })
}

func (c *Client) onChange(s *session, watchers []*Watcher, e Event) {
	c.events.add(func() {
		for _, w := range watchers {
			if s.ended.Load() {
				return // Renewed has everyone read again
			}
			w.fire(e)
		}
	})
}

func (c *Client) deliverConnected() {
	c.log.Info("connected to ZooKeeper again")
	for _, s := range c.subscribers() {
		if s.Connected != nil {
			s.Connected()
		}
	}
}

func (c *Client) deliverDisconnected() {
	if c.isClosed() {
		return
	}
	c.log.Warn("lost the connection to ZooKeeper; trying to get it back")
	for _, s := range c.subscribers() {
		if s.Disconnected != nil {
			s.Disconnected()
		}
	}
}

// renew replaces a dead session: everyone is told, then there is a new one, then everyone is told.
func (c *Client) renew(old *session) {
	c.log.WithField("session", old).Warn("ZooKeeper session has expired; beginning a new one")
	c.loop.Go(old.close) // of what it holds here; the server has ended it already
	for _, s := range c.subscribers() {
		if s.Expired != nil {
			s.Expired()
		}
	}
	renewed := c.begin()
	if renewed == nil || !c.awaitSession(renewed) {
		return // closed meanwhile
	}
	c.log.WithField("session", renewed).Info("ZooKeeper session established")
	for _, s := range c.subscribers() {
		if s.Renewed != nil {
			s.Renewed(renewed.id())
		}
	}
}

// begin puts a new session in the place of the dead one; operations may wait for its connection from
// then on. It returns nil if the Client is closed meanwhile.
func (c *Client) begin() *session {
	for {
		s, err := c.newSession()
		switch {
		case err == nil:
			return s
		case errors.Is(err, ErrClosed):
			return nil
		}
		c.log.WithField("error", err).Error("cannot begin a ZooKeeper session")
		select {
		case <-c.quit:
			return nil
		case <-time.After(renewPause):
		}
	}
}

// newSession begins a session and makes it the current one. It holds mu meanwhile, for onConnected and
// Close to find the session.
func (c *Client) newSession() (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return nil, ErrClosed
	}
	s, err := newSession(c)
	if err != nil {
		return nil, err
	}
	c.mu.session, c.mu.expiring = s, false
	c.changedLocked()
	return s, nil
}

// awaitSession waits until s is established, however long that takes, and reports false if the Client
// is closed meanwhile.
func (c *Client) awaitSession(s *session) bool {
	for {
		c.mu.Lock()
		established, closed, changed := s.established, c.mu.closed, c.mu.changed
		c.mu.Unlock()
		if established || closed {
			return !closed
		}
		<-changed
	}
}

// subscribers returns the subscribers of now.
func (c *Client) subscribers() []*Subscriber {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mu.subscribers)
}

func (c *Client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.closed
}
