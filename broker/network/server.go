package network

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Server listens and serves. Bind and Start are called once each, in this order, SetListeners and SetLimits after
// that, Shutdown at any time.
type Server struct {
	opts        Options
	admission   *admission
	queued      budget
	blocking    chan struct{} // holds a token for each goroutine that runs handlers that block
	connections atomic.Uint64 // accepted so far, for connection ids
	stopping    chan struct{} // closed by Shutdown

	acceptors sync.WaitGroup
	wg        sync.WaitGroup // every other goroutine

	mu struct {
		sync.Mutex
		listeners []*listener
		conns     map[*conn]struct{}
		parked    []parked
		bound     bool
		started   bool
		stopped   bool
	}
}

// parked is a connection that is closed at a time without having been read.
type parked struct {
	tcp   *net.TCPConn
	until time.Time
}

// parkedMax bounds the connections that wait to be closed; above it, or an eighth of Options.MaxConnections if that is less,
// they are closed at once.
const parkedMax = 1000

// New returns a server with opts. It does nothing yet.
func New(opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:      opts,
		admission: newAdmission(opts.Listeners, opts.bounded(opts.Limits)),
		queued:    budget{limit: opts.QueuedBytes},
		blocking:  make(chan struct{}, opts.MaxBlocking),
		stopping:  make(chan struct{}),
	}
	s.mu.conns = map[*conn]struct{}{}
	return s, nil
}

// Bind opens all listeners. Clients can connect from here on, but nobody is served before Start.
func (s *Server) Bind() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped || s.mu.bound {
		return errors.New("network: Bind after Bind or Shutdown")
	}
	for _, l := range s.opts.Listeners {
		ln, err := s.open(context.Background(), l)
		if err != nil {
			for _, opened := range s.mu.listeners {
				opened.tcp.Close()
			}
			s.mu.listeners = nil
			return err
		}
		s.mu.listeners = append(s.mu.listeners, ln)
	}
	s.mu.bound = true
	return nil
}

// Endpoints returns the listeners with the ports that they got. It is empty before Bind.
func (s *Server) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	var endpoints []Endpoint
	for _, l := range s.mu.listeners {
		endpoints = append(endpoints, l.endpoint())
	}
	return endpoints
}

// Start begins to accept and serve.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped || s.mu.started || !s.mu.bound {
		return errors.New("network: Start without Bind, after Start or after Shutdown")
	}
	s.mu.started = true
	for _, l := range s.mu.listeners {
		s.acceptors.Go(l.accept)
	}
	s.wg.Go(s.tend)
	return nil
}

// SetLimits replaces the limits on connections. Those that are too many now are closed, the least
// recently used first.
func (s *Server) SetLimits(limits Limits) { s.admission.set(s.opts.bounded(limits)) }

// Connections returns the number of open connections of each listener.
func (s *Server) Connections() map[string]int {
	endpoints := s.Endpoints()
	s.admission.mu.Lock()
	defer s.admission.mu.Unlock()
	n := make(map[string]int, len(endpoints))
	for _, e := range endpoints {
		n[e.Listener] = s.admission.mu.listeners[e.Listener]
	}
	return n
}

// Shutdown stops accepting and reading, waits until the requests that were read are answered, or
// until ctx is done, and closes all connections. When it returns no goroutine of the server is left;
// for that it waits for handlers, whatever ctx says. The error is ctx's if answers were given up.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if s.mu.stopped {
		s.mu.Unlock()
		return nil
	}
	s.mu.stopped = true
	close(s.stopping)
	for _, l := range s.mu.listeners {
		l.closeLocked()
	}
	s.mu.Unlock()
	s.acceptors.Wait()
	for _, c := range s.opened() {
		c.drain()
	}
	drained := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
	}
	conns := s.opened()
	for _, c := range conns {
		c.fail(errStopped)
	}
	<-drained
	if len(conns) > 0 {
		return context.Cause(ctx)
	}
	return nil
}

// opened returns the open connections.
func (s *Server) opened() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*conn, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		conns = append(conns, c)
	}
	return conns
}

// remember registers c and starts its goroutine; it returns false once the server stops.
func (s *Server) remember(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped || c.lst.closed {
		return false
	}
	s.mu.conns[c] = struct{}{}
	if s.opts.Observer != nil {
		s.opts.Observer.ConnectionOpened(c.lst.Name)
	}
	s.wg.Go(c.serve)
	return true
}

// forget is called by c's goroutine when c is closed.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.mu.conns, c)
	s.mu.Unlock()
	s.admission.release(c.lst.Name, c.info.Remote.Addr())
	if s.opts.Observer != nil {
		s.opts.Observer.ConnectionClosed(c.lst.Name)
	}
	c.mu.Lock()
	reason := c.mu.reason
	c.mu.Unlock()
	c.lst.log.closed(c, reason)
}

func (s *Server) parkedMax() int {
	if most := s.opts.MaxConnections; most > 0 {
		return min(parkedMax, most/8)
	}
	return parkedMax
}

// park keeps tcp unread and closes it after delay.
func (s *Server) park(tcp *net.TCPConn, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopped || len(s.mu.parked) >= s.parkedMax() {
		tcp.Close()
		return
	}
	s.mu.parked = append(s.mu.parked, parked{tcp, time.Now().Add(delay)})
}
