package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gregor-mq/gregor/broker/auth"
	"github.com/gregor-mq/gregor/broker/request"
)

// served reports whether the server answers c within a moment.
func (c *client) answers() bool {
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	defer c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.in.Peek(1)
	return err == nil
}

func TestAcceptorStopsWhenFull(t *testing.T) {
	for _, limits := range []Limits{
		{Connections: 2},
		{Listeners: map[string]ListenerLimits{"PLAINTEXT": {Connections: 2}}},
	} {
		s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.Limits = limits })
		a, b, c := s.dial(), s.dial(), s.dial()
		for _, cl := range []*client{a, b, c} {
			cl.send(frame(keyEcho, 0, 1, []byte("x")))
		}
		a.expect(1, "x")
		b.expect(1, "x")
		if c.answers() {
			t.Error("the third connection is served")
		}
		a.Close()
		c.expect(1, "x")
		d := s.dial()
		d.send(frame(keyEcho, 0, 2, []byte("x")))
		s.SetLimits(Limits{})
		d.expect(2, "x")
	}
}

func TestConnectionsOfOneAddressAreBounded(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.Limits = Limits{PerIP: 2} })
	a, b, c := s.dial(), s.dial(), s.dial()
	c.expectClosed()
	for _, cl := range []*client{a, b} {
		cl.send(frame(keyEcho, 0, 1, []byte("x")))
		cl.expect(1, "x")
	}
	s.SetLimits(Limits{PerIP: 2, PerIPOverrides: map[netip.Addr]int{netip.MustParseAddr("127.0.0.1"): 3}})
	d := s.dial()
	d.send(frame(keyEcho, 0, 1, []byte("x")))
	d.expect(1, "x")
	s.dial().expectClosed()
}

// TestOnlyNamedAddressesAreLetIn: max.connections.per.ip=0 keeps everybody out but for the overrides.
func TestOnlyNamedAddressesAreLetIn(t *testing.T) {
	named, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	a := newAdmission([]Listener{{Name: "L"}}, Limits{PerIP: -1, PerIPOverrides: map[netip.Addr]int{named: 1}})
	for _, want := range []struct {
		ip netip.Addr
		v  verdict
	}{{other, closeNow}, {named, admitted}, {named, closeNow}} {
		if v, _ := a.take("L", want.ip); v != want.v {
			t.Errorf("%s: verdict %d, want %d", want.ip, v, want.v)
		}
	}
}

func TestLoweringTheLimitClosesTheLeastRecentlyUsed(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.MaxIdle = time.Minute })
	old, young := s.dial(), s.dial()
	for i, c := range []*client{old, young} {
		c.send(frame(keyEcho, 0, int32(i), nil))
		c.expect(int32(i), "")
	}
	s.SetLimits(Limits{Connections: 1})
	old.expectClosed()
	young.send(frame(keyEcho, 0, 9, nil))
	young.expect(9, "")
}

func TestInterBrokerListenerIsProtected(t *testing.T) {
	a := newAdmission([]Listener{{Name: "CLIENT"}, {Name: "BROKER", InterBroker: true}}, Limits{Connections: 1})
	ip := netip.MustParseAddr("10.0.0.1")
	a.take("CLIENT", ip)
	if !a.fullLocked("CLIENT") || a.fullLocked("BROKER") {
		t.Error("max.connections must hold for CLIENT and not for BROKER")
	}
	a.take("BROKER", ip)
	if n := a.excess(); n != 1 {
		t.Errorf("excess %d, want 1", n)
	}
	a.release("BROKER", ip)
	a.release("CLIENT", ip)
	if len(a.mu.ips) > 0 || a.mu.total > 0 {
		t.Errorf("left: %v, %d", a.mu.ips, a.mu.total)
	}
}

// TestNoneMayBeLetIn: a limit of zero, which is negative here, keeps everybody out, and ends who is in, but for the
// protected listener, which only a limit of its own holds.
func TestNoneMayBeLetIn(t *testing.T) {
	listeners := []Listener{{Name: "CLIENT"}, {Name: "BROKER", InterBroker: true}}
	a := newAdmission(listeners, Limits{})
	ip := netip.MustParseAddr("10.0.0.1")
	a.take("CLIENT", ip)
	if !a.hasSlot("CLIENT") || a.excess() != 0 {
		t.Error("without limits a listener is full")
	}
	a.set(Limits{Connections: -1})
	if a.hasSlot("CLIENT") || !a.hasSlot("BROKER") || a.excess() != 1 {
		t.Errorf("max.connections=0: slots %v, %v, excess %d", a.hasSlot("CLIENT"), a.hasSlot("BROKER"), a.excess())
	}
	a.set(Limits{Listeners: map[string]ListenerLimits{"BROKER": {Connections: -1}}})
	if !a.hasSlot("CLIENT") || a.hasSlot("BROKER") || a.excess() != 0 {
		t.Errorf("the listener's max.connections=0: slots %v, %v, excess %d", a.hasSlot("CLIENT"), a.hasSlot("BROKER"), a.excess())
	}
}

// TestARateOfZeroIsASecondForEach: with max.connection.creation.rate=0, which is negative here, Kafka was seen to
// accept a connection a second on each listener; on that of the brokers only its own rate counts.
func TestARateOfZeroIsASecondForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission([]Listener{{Name: "CLIENT"}, {Name: "OTHER"}, {Name: "BROKER", InterBroker: true}},
			Limits{CreationRate: -1, Listeners: map[string]ListenerLimits{"OTHER": {CreationRate: 1000}}})
		expect := func(want map[string]bool) {
			t.Helper()
			for listener, free := range want {
				if a.hasSlot(listener) != free {
					t.Errorf("%s may accept: %v, want %v", listener, !free, free)
				}
			}
		}
		expect(map[string]bool{"CLIENT": true, "OTHER": true, "BROKER": true})
		for _, listener := range []string{"CLIENT", "BROKER"} {
			a.take(listener, netip.MustParseAddr("10.0.0.1"))
		}
		expect(map[string]bool{"CLIENT": false, "OTHER": true, "BROKER": true})
		time.Sleep(rateWindow)
		expect(map[string]bool{"CLIENT": true})
		a.take("OTHER", netip.MustParseAddr("10.0.0.1"))
		a.set(Limits{Listeners: map[string]ListenerLimits{"BROKER": {CreationRate: -1}}})
		a.take("BROKER", netip.MustParseAddr("10.0.0.1"))
		expect(map[string]bool{"CLIENT": true, "OTHER": true, "BROKER": false})
	})
}

func TestRates(t *testing.T) {
	var b bucket
	now := time.Unix(1000, 0)
	for i := range 10 * rateBurst {
		if d := b.delay(now, 10); d > 0 {
			t.Fatalf("connection %d waits %v", i, d)
		}
		b.spend(now, 10)
	}
	if d := b.delay(now, 10); d != 100*time.Millisecond {
		t.Errorf("the next one waits %v, want 100 ms", d)
	}
	if d := b.delay(now.Add(100*time.Millisecond), 10); d > 0 {
		t.Errorf("100 ms later it waits %v", d)
	}
	if d := b.delay(now, 0); d > 0 {
		t.Errorf("without a rate it waits %v", d)
	}

	a := newAdmission([]Listener{{Name: "L"}}, Limits{IPRate: 1})
	ip := netip.MustParseAddr("10.0.0.1")
	for range rateBurst {
		if v, _ := a.take("L", ip); v != admitted {
			t.Fatalf("verdict %d, want admitted", v)
		}
	}
	if v, d := a.take("L", ip); v != closeParked || d <= 0 || d > rateWindow {
		t.Errorf("verdict %d after %v, want closeParked within %v", v, d, rateWindow)
	}
	a.forgetRates(time.Now().Add(time.Minute))
	if len(a.mu.ipRates) > 0 {
		t.Error("full buckets are kept")
	}
}

func TestConnectionsThatComeTooFastAreDelayed(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) {
		o.Limits = Limits{Listeners: map[string]ListenerLimits{"PLAINTEXT": {CreationRate: 5}}}
		o.Backlog = 1000
	})
	begin := time.Now()
	for i := range int32(5*rateBurst + 2) {
		c := s.dial()
		c.send(frame(keyEcho, 0, i, nil))
		c.expect(i, "")
	}
	if d := time.Since(begin); d < 150*time.Millisecond {
		t.Errorf("two connections too many were accepted after %v", d)
	}
	ip := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.Limits = Limits{IPRate: 5} })
	for range 5 * rateBurst {
		ip.dial()
	}
	ip.dial().expectClosed()
}

func TestFloodOfBadClientsIsNoFloodOfLines(t *testing.T) {
	s := start(t, routes{}, nil)
	for range 3 * closeLogBurst {
		c := s.dial()
		c.send([]byte("\xff\xff\xff\xff"))
		c.expectClosed()
	}
	eventually(t, "all connections are forgotten", func() bool { return s.Connections()["PLAINTEXT"] == 0 })
	if n := len(s.warnings()); n > closeLogBurst {
		t.Errorf("%d lines", n)
	}
}

func TestShutdownFinishesWhatWasRead(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle).handle(keyBlock, true, box.handle), nil)
	c, idle := s.dial(), s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	c.send(frame(keyBlock, 0, 2, nil))
	waiting := box.take(t, 2)
	done := make(chan error)
	go func() { done <- s.Shutdown(t.Context()) }()
	idle.expectClosed()
	eventually(t, "no connection reads", func() bool {
		return !slices.ContainsFunc(s.opened(), func(c *conn) bool { return !c.stopped() })
	})
	c.send(frame(keyLater, 0, 3, nil)) // is not read any more
	for _, r := range waiting {
		r.Reply(raw(fmt.Append(nil, r.CorrelationID)))
	}
	c.expect(1, "1")
	c.expect(2, "2")
	if _, err := c.in.ReadByte(); err == nil || isTimeout(err) {
		t.Errorf("read: %v, want the connection closed", err)
	}
	if err := <-done; err != nil || box.len() > 0 {
		t.Errorf("Shutdown: %v, %d requests more", err, box.len())
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("second Shutdown: %v", err)
	}
}

func TestShutdownGivesUpWhenTold(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle), nil)
	c := s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	r := box.take(t, 1)[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want %v", err, context.Canceled)
	}
	c.expectClosed()
	r.Reply(raw("too late"))
}

func TestShutdownBeforeStart(t *testing.T) {
	s := start(t, routes{}, nil)
	s.Shutdown(t.Context())
	if s.Start() == nil || s.Bind() == nil {
		t.Error("a stopped server starts again")
	}
	never, err := New(s.opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := never.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRequestsKnowTheirConnection(t *testing.T) {
	seen := make(chan request.Conn, 1)
	s := start(t, routes{}.handle(keyEcho, false, func(r *request.Request) {
		seen <- *r.Conn
		if r.ClientID != "test" || r.Size != 14 || time.Since(r.Received) > time.Minute {
			t.Errorf("request %+v", r)
		}
		echo(r)
	}), func(o *Options) {
		o.Listeners = append(o.Listeners, Listener{Name: "CLIENT", Protocol: "PLAINTEXT", Host: "127.0.0.1"})
	})
	for i, e := range s.Endpoints() {
		s.addr = fmt.Sprintf("127.0.0.1:%d", e.Port)
		c := s.dial()
		c.send(frame(keyEcho, 0, 1, nil))
		c.expect(1, "")
		got := <-seen
		if want := fmt.Sprintf("%s-%s-%d", s.addr, c.LocalAddr(), i); got.ID != want {
			t.Errorf("id %s, want %s", got.ID, want)
		}
		if got.Listener != e.Listener || got.InterBroker != (i == 0) || got.SecurityProtocol != "PLAINTEXT" ||
			got.Principal != auth.Anonymous || got.Remote.String() != c.LocalAddr().String() {
			t.Errorf("connection %+v", got)
		}
	}
	if n := s.Connections(); n["CLIENT"] != 1 || n["PLAINTEXT"] != 1 {
		t.Errorf("connections %v", n)
	}
}

func TestPortInUseIsReported(t *testing.T) {
	s := start(t, routes{}, nil)
	opts := s.opts
	opts.Listeners = []Listener{{Name: "A", Protocol: "PLAINTEXT", Host: "127.0.0.1"},
		{Name: "B", Protocol: "PLAINTEXT", Host: "127.0.0.1", Port: s.Endpoints()[0].Port}}
	second, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Bind(); err == nil || !strings.Contains(err.Error(), "listener B") {
		t.Errorf("Bind: %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := start(t, routes{}, nil).opts
	for name, edit := range map[string]func(*Options){
		"no listener":      func(o *Options) { o.Listeners = nil },
		"no router":        func(o *Options) { o.Router = nil },
		"no logger":        func(o *Options) { o.Logger = nil },
		"negative bound":   func(o *Options) { o.MaxRequestBytes = -1 },
		"unknown protocol": func(o *Options) { o.Listeners = []Listener{{Name: "L", Protocol: "SSL"}} },
		"same name twice":  func(o *Options) { o.Listeners = append(o.Listeners, o.Listeners...) },
		"port":             func(o *Options) { o.Listeners = []Listener{{Name: "L", Protocol: "PLAINTEXT", Port: 70000}} },
	} {
		opts := good
		edit(&opts)
		if _, err := New(opts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// watcher is an Observer that keeps what it hears.
type watcher struct {
	mu             sync.Mutex
	opened, closed int
	served         []Served
}

func (w *watcher) ConnectionOpened(string) { w.mu.Lock(); w.opened++; w.mu.Unlock() }
func (w *watcher) ConnectionClosed(string) { w.mu.Lock(); w.closed++; w.mu.Unlock() }
func (w *watcher) Served(s Served)         { w.mu.Lock(); w.served = append(w.served, s); w.mu.Unlock() }

func TestObserverHearsOfEachRequest(t *testing.T) {
	var box inbox
	w := &watcher{}
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, box.handle).
		handle(0, false, func(r *request.Request) { r.Reply(nil) }), func(o *Options) { o.Observer = w })
	c := s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	c.send(frame(0, 0, 2, nil))
	c.send(frame(keyEcho, 0, 3, []byte("body")))
	box.take(t, 1)[0].Reply(raw("later"))
	c.expect(1, "later")
	c.expect(3, "body")
	c.Close()
	eventually(t, "the connection is closed", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.closed == 1 })
	if w.opened != 1 || len(w.served) != 3 {
		t.Fatalf("%d opened, %d served", w.opened, len(w.served))
	}
	for i, want := range []Served{
		{Key: keyLater, RequestBytes: 14, ResponseBytes: 9},
		{Key: 0, RequestBytes: 14, ResponseBytes: 0},
		{Key: keyEcho, RequestBytes: 18, ResponseBytes: 8},
	} {
		got := w.served[i]
		if got.Key != want.Key || got.RequestBytes != want.RequestBytes || got.ResponseBytes != want.ResponseBytes ||
			got.Listener != "PLAINTEXT" {
			t.Errorf("request %d: %+v, want %+v", i, got, want)
		}
		for _, d := range []time.Duration{got.RequestQueue, got.Local, got.Remote, got.ResponseQueue, got.ResponseSend} {
			if d < 0 || d > 20*time.Second {
				t.Errorf("request %d: %+v has a strange time", i, got)
			}
		}
	}
	if w.served[0].Remote == 0 {
		t.Error("a reply that came later has no remote time")
	}
}

func TestIdleConnectionsHoldNoBuffer(t *testing.T) {
	n := min(5000, openFiles(t)/2-100) // both ends of each
	if testing.Short() {
		n = 500
	}
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.Backlog = 1000 })
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := memory()
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = s.dial()
		clients[i].send(frame(keyEcho, 0, int32(i), nil))
		clients[i].expect(int32(i), "")
	}
	// The clients' own share: a net.Conn and a bufio.Reader of 4 KiB.
	for _, c := range clients {
		c.in = nil
	}
	if g := runtime.NumGoroutine(); g > n+20 {
		t.Errorf("%d goroutines for %d connections", g, n)
	}
	each := (int64(memory()) - int64(before)) / int64(n)
	t.Logf("%d connections, both ends: %d bytes each", n, each)
	if each > 12<<10 {
		t.Errorf("a connection at rest takes %d bytes, want at most 12 KiB", each)
	}
	if open := s.Connections()["PLAINTEXT"]; open != n {
		t.Errorf("%d connections are open, want %d", open, n)
	}
}
