package controller

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/zkutil"
)

// retryPause is how long a sender waits after a failure (RequestSendThread).
const retryPause = 100 * time.Millisecond

// channels are the connections of the active controller to the live brokers, itself included: one
// sender each. Only the loop calls its methods.
type channels struct {
	listener string
	dial     func(ctx context.Context, addr string) (*interbroker.Conn, error)
	deliver  func(broker int32, req kmsg.Request, resp kmsg.Response)
	log      logrus.FieldLogger
	senders  map[int32]*sender
}

// Add opens a channel to b. If there is one, it goes to b's address from its next connection on.
func (c *channels) Add(b *zkutil.Broker) {
	e, ok := endpoint(b, c.listener)
	if !ok {
		c.log.WithField("broker", b.ID).Errorf("Broker does not have the listener %s that brokers use among themselves: it gets no requests", c.listener)
		return
	}
	addr := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	if s := c.senders[b.ID]; s != nil {
		s.moveTo(addr)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sender{channels: c, broker: b.ID, log: c.log.WithField("broker", b.ID), signal: make(chan struct{}, 1), cancel: cancel}
	s.mu.addr = addr
	c.senders[b.ID] = s
	s.wg.Go(func() { s.run(ctx) })
}

// Remove closes the channel to broker and returns when its sender has ended.
func (c *channels) Remove(broker int32) {
	if s := c.senders[broker]; s != nil {
		delete(c.senders, broker)
		s.close()
	}
}

// Send hands req to the sender of broker.
func (c *channels) Send(broker int32, req kmsg.Request) {
	if s := c.senders[broker]; s != nil {
		s.put(req)
	}
}

// close closes all channels.
func (c *channels) close() {
	for _, s := range c.senders {
		s.cancel()
	}
	for id := range c.senders {
		c.Remove(id)
	}
}

// sender sends one broker its requests, in order and one at a time, and repeats each until it is answered.
type sender struct {
	*channels
	broker int32
	log    logrus.FieldLogger
	signal chan struct{} // has a token if a request may wait
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		addr string
		backlog
	}
}

func (s *sender) close() {
	s.cancel()
	s.wg.Wait()
}

func (s *sender) moveTo(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.addr = addr
}

func (s *sender) addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.addr
}

func (s *sender) put(req kmsg.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.add(req)
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (s *sender) next() kmsg.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.take()
}

func (s *sender) run(ctx context.Context) {
	link := &link{sender: s}
	defer link.drop()
	for {
		req := s.next()
		if req == nil {
			select {
			case <-s.signal:
			case <-ctx.Done():
				return
			}
			continue
		}
		resp := link.deliver(ctx, req)
		if resp == nil {
			return
		}
		s.channels.deliver(s.broker, req, resp)
	}
}

// link is a sender's connection, made anew after every failure.
type link struct {
	*sender
	conn    *interbroker.Conn
	served  bool // conn has carried a request
	failing bool // the last attempt failed, and the log says so
}

// deliver repeats req until it is answered; nil means that ctx has ended before.
func (l *link) deliver(ctx context.Context, req kmsg.Request) kmsg.Response {
	for {
		resp, err := l.attempt(ctx, req)
		if err == nil {
			return resp
		}
		idle := l.served
		l.drop()
		if ctx.Err() != nil {
			return nil
		}
		if idle && !errors.Is(err, os.ErrDeadlineExceeded) {
			continue // the broker has closed a connection that was idle for long, or was restarted
		}
		if !l.failing {
			l.failing = true
			l.log.WithError(err).Warn("Controller fails to send request to broker, and goes on trying")
		}
		pause := time.NewTimer(retryPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

func (l *link) attempt(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	if l.conn == nil {
		addr := l.addr()
		conn, err := l.dial(ctx, addr)
		if err != nil {
			return nil, err
		}
		l.conn = conn
		l.log.Infof("Controller connected to %s for sending state change requests", addr)
	}
	resp, err := l.conn.RoundTrip(ctx, req)
	if err == nil {
		l.served, l.failing = true, false
	}
	return resp, err
}

// drop closes the connection.
func (l *link) drop() {
	if l.conn != nil {
		l.conn.Close()
		l.conn, l.served = nil, false
	}
}
