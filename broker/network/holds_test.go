package network

import (
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
)

// TestNothingIsHandledBehindWhatHolds until that is answered, also if it comes at once, and then everything is.
func TestNothingIsHandledBehindWhatHolds(t *testing.T) {
	held, handled := make(chan *request.Request, 1), make(chan int32, 10)
	router := routes{}.handle(keyLater, false, func(r *request.Request) { held <- r }).
		handle(keyEcho, false, func(r *request.Request) { handled <- r.CorrelationID; echo(r) })
	router[keyLater].Holds = true
	s := start(t, router, nil)
	c := s.dial()
	c.send(append(frame(keyLater, 0, 1, nil), frame(keyEcho, 0, 2, []byte("x"))...))
	first := <-held
	c.send(frame(keyLater, 0, 3, nil))
	if c.answers() || len(handled) > 0 || len(held) > 0 {
		t.Error("a request was handled behind one that holds")
	}
	echo(first)
	c.expect(1, "")
	c.expect(2, "x")
	echo(<-held)
	c.expect(3, "")
}

// TestWhatFollowsIsHandledLast: once everything before it is answered.
func TestWhatFollowsIsHandledLast(t *testing.T) {
	later, followed := make(chan *request.Request, 2), make(chan bool, 1)
	router := routes{}.handle(keyLater, false, func(r *request.Request) { later <- r }).
		handle(keyEcho, false, func(r *request.Request) { followed <- true; echo(r) })
	router[keyEcho].Follows = true
	s := start(t, router, nil)
	c := s.dial()
	c.send(append(append(frame(keyLater, 0, 1, nil), frame(keyLater, 0, 2, nil)...), frame(keyEcho, 0, 3, nil)...))
	first, second := <-later, <-later
	echo(second)
	if c.answers() || len(followed) > 0 {
		t.Error("a request that follows was handled before those before it were answered")
	}
	echo(first)
	for id := range int32(3) {
		c.expect(id+1, "")
	}
}

// TestAbandonedRequests are not answered, nor is what is behind them, and keep no connection whose client is gone, or is
// idle for too long.
func TestAbandonedRequests(t *testing.T) {
	held := make(chan *request.Request, 1)
	router := routes{}.handle(keyLater, false, func(r *request.Request) { held <- r }).handle(keyEcho, false, echo)
	router[keyLater].Holds = true
	s := start(t, router, nil)
	gone := s.dial()
	gone.send(append(frame(keyEcho, 0, 1, nil), frame(keyLater, 0, 2, nil)...))
	(<-held).Abandon()
	gone.expect(1, "")
	gone.Close()
	eventually(t, "the connection is forgotten", func() bool { return len(s.opened()) == 0 })

	s = start(t, router, func(o *Options) { o.MaxIdle = time.Hour })
	idle := s.dial()
	idle.send(append(frame(keyLater, 0, 1, nil), frame(keyEcho, 0, 2, nil)...))
	(<-held).Abandon()
	s.closeIdle(time.Now().Add(2 * time.Hour))
	idle.expectClosed()
}

// TestShutdownWaitsForNothingBehindAnAbandonedRequest: it is never handled, wherever it lies when the server stops.
func TestShutdownWaitsForNothingBehindAnAbandonedRequest(t *testing.T) {
	for name, early := range map[string]bool{"abandoned before": true, "abandoned meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			held := make(chan *request.Request, 1)
			router := routes{}.handle(keyLater, false, func(r *request.Request) { held <- r }).handle(keyEcho, false, echo)
			router[keyLater].Holds = true
			s := start(t, router, nil)
			c := s.dial()
			c.send(append(append(frame(keyEcho, 0, 1, nil), frame(keyLater, 0, 2, nil)...), frame(keyEcho, 0, 3, nil)...))
			r := <-held
			c.expect(1, "")
			if early {
				r.Abandon()
			}
			done := make(chan error)
			go func() { done <- s.Shutdown(t.Context()) }()
			if !early {
				eventually(t, "the connection stops", func() bool { open := s.opened(); return len(open) == 1 && open[0].stopped() })
				r.Abandon()
			}
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(patience):
				t.Fatal("Shutdown does not return")
			}
			c.expectClosed()
		})
	}
}
