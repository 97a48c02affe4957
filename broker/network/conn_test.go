package network

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), nil)
	c := s.dial()
	var all []byte
	for i := range int32(500) {
		all = append(all, frame(keyEcho, 0, i, fmt.Appendf(nil, "body %d", i))...)
	}
	go c.Write(all)
	for i := range int32(500) {
		c.expect(i, fmt.Sprintf("body %d", i))
	}
}

func TestRepliesKeepOrderWhateverOrderTheyComeIn(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, box.handle).handle(keyBlock, true, echo), nil)
	for range 20 {
		c := s.dial()
		const n = 45 // fewer than heavyMax answers that wait for others
		var all []byte
		for i := range int32(n) {
			all = append(all, frame([]int16{keyLater, keyEcho, keyBlock}[i%3], 0, i, fmt.Append(nil, i))...)
		}
		c.send(all)
		waiting := box.take(t, n/3)
		rand.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
		var wg sync.WaitGroup
		for _, r := range waiting {
			wg.Go(func() { r.Reply(raw(fmt.Append(nil, r.CorrelationID))) })
		}
		for i := range int32(n) {
			c.expect(i, fmt.Sprint(i))
		}
		wg.Wait()
	}
}

// Requests for one API that come together are handed over together, their answers leave together, and the order of
// all requests is what it was.
func TestRequestsThatComeTogetherAreHandledTogether(t *testing.T) {
	const n = 100
	var mu sync.Mutex
	var handled []int32
	most := 0
	note := func(rs ...*request.Request) {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, len(rs))
		c := rs[0].To.(*slot).c
		c.mu.Lock()
		if len(rs) > 1 && !c.mu.corked {
			t.Errorf("each of %d answers leaves by itself", len(rs))
		}
		c.mu.Unlock()
		for _, r := range rs {
			handled = append(handled, r.CorrelationID)
			echo(r)
		}
	}
	s := start(t, routes{}.handle(keyEcho, false, func(r *request.Request) { note(r) }).
		together(keyLater, func(rs []*request.Request) { note(rs...) }), nil)
	c := s.dial()
	var all []byte
	for i := range int32(n) {
		key := int16(keyLater)
		if i%50 == 49 {
			key = keyEcho
		}
		all = append(all, frame(key, 0, i, fmt.Append(nil, i))...)
	}
	c.send(all)
	for i := range int32(n) {
		c.expect(i, fmt.Sprint(i))
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(handled) {
		t.Errorf("handled in the order %v", handled)
	}
	if most < 2 || most > corkMax {
		t.Errorf("%d requests at once, want several and at most %d", most, corkMax)
	}
}

// Nothing is handled behind a request that is dropped, wherever it lies among those that come together.
func TestNothingIsHandledBehindADrop(t *testing.T) {
	for bad := range int32(2*corkMax + 1) {
		var mu sync.Mutex
		var handled []int32
		s := start(t, routes{}.together(keyLater, func(rs []*request.Request) {
			mu.Lock()
			defer mu.Unlock()
			for i, r := range rs {
				if r.CorrelationID == bad {
					for _, r := range rs[i:] {
						r.Drop(errors.New("refused"))
					}
					return
				}
				handled = append(handled, r.CorrelationID)
				echo(r)
			}
		}), nil)
		c := s.dial()
		var all []byte
		for i := range int32(3 * corkMax) {
			all = append(all, frame(keyLater, 0, i, nil)...)
		}
		c.send(all)
		for i := range bad {
			c.expect(i, "")
		}
		c.expectClosed()
		mu.Lock()
		if len(handled) != int(bad) {
			t.Errorf("request %d was dropped, and handled were %v", bad, handled)
		}
		mu.Unlock()
	}
}

func TestPanicOfAHandlerOfManyClosesTheConnection(t *testing.T) {
	s := start(t, routes{}.together(keyLater, func([]*request.Request) { panic("boom") }), nil)
	c := s.dial()
	c.send(append(frame(keyLater, 0, 1, nil), frame(keyLater, 0, 2, nil)...))
	c.expectClosed()
}

func TestFramesByteByByte(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), nil)
	c := s.dial()
	for _, b := range append(frame(keyEcho, 0, 1, []byte("one")), frame(keyEcho, 0, 2, nil)...) {
		c.send([]byte{b})
	}
	c.expect(1, "one")
	c.expect(2, "")
}

func TestFramesOfAllSizes(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), nil)
	c := s.dial()
	sizes := []int{0, 1, minBuffer - 18, minBuffer, minBuffer + 1, 100_000, 1 << 20, 3<<20 + 1, 5 << 20, 17, 200_000, 4}
	var bodies [][]byte
	for i, size := range sizes {
		body := bytes.Repeat([]byte{byte(i + 1)}, size)
		bodies = append(bodies, body)
	}
	go func() {
		for i, body := range bodies {
			c.Write(frame(keyEcho, 0, int32(i), body))
		}
	}()
	for i, body := range bodies {
		if id, got := c.receive(); id != int32(i) || !bytes.Equal(got, body) {
			t.Fatalf("response %d of %d bytes, want %d of %d", id, len(got), i, len(body))
		}
	}
}

// Kafka closes the connection without an answer for each of these (golden errors.tsv).
func TestBadFramesCloseTheConnection(t *testing.T) {
	tests := []struct {
		name, bytes, log string
	}{
		{"length -1", "\xff\xff\xff\xff", "invalid frame length -1"},
		{"length above the bound", "\x06\x40\x00\x01", "invalid frame length 104857601"},
		{"length 0", "\x00\x00\x00\x00", "0 bytes"},
		{"four bytes", "\x00\x00\x00\x04\x00\x03\x00\x00", "4 bytes"},
		{"garbage", strings.Repeat("\xab", 64), "invalid frame length"},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", "invalid frame length"},
		{"TLS client hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "invalid frame length"},
		{"unknown key", string(frame(999, 0, 1, nil)), "unknown API key"},
		{"key -1", string(frame(-1, 0, 1, nil)), "unknown API key"},
		{"key that is not routed", string(frame(4, 0, 1, nil)), "unknown API key"},
		{"version too high", string(frame(keyEcho, 99, 1, nil)), "ends early"},
		{"version above the route's", string(frame(0, 12, 1, []byte{0})), "Produce v12: unsupported version"},
		{"version -1", string(frame(keyEcho, -1, 1, nil)), "unsupported version"},
		{"client id runs over the frame", "\x00\x00\x00\x0b\x00\x03\x00\x00\x00\x00\x00\x09\x00\x05a", "ends early"},
		{"tags announced, none there", "\x00\x00\x00\x0b\x00\x03\x00\x09\x00\x00\x00\x09\x00\x00\x05", "ends early"},
		{"body refused by the handler", string(frame(2, 0, 1, nil)), "ListOffsets v0: message ends early"},
	}
	refuse := func(r *request.Request) { r.Drop(fmt.Errorf("ListOffsets v0: message ends early")) }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, routes{}.handle(keyEcho, false, echo).handle(0, false, echo).handle(2, false, refuse), nil)
			c := s.dial()
			c.send(frame(keyEcho, 0, 7, []byte("before")))
			c.send([]byte(tt.bytes))
			c.expect(7, "before")
			c.expectClosed()
			eventually(t, "a log line", func() bool { return len(s.warnings()) > 0 })
			if lines := s.warnings(); len(lines) != 1 || !strings.Contains(lines[0], tt.log) {
				t.Errorf("log %q, want one line with %q", lines, tt.log)
			}
		})
	}
}

func TestApiVersionsOfAnyVersionReachesItsHandler(t *testing.T) {
	s := start(t, routes{}.handle(18, false, func(r *request.Request) { r.Reply(raw(fmt.Append(nil, r.Version))) }), nil)
	c := s.dial()
	for _, version := range []int16{0, 3, 4, 5, 99, 32767, -1} {
		body := []byte(nil)
		if version >= 3 {
			body = []byte{0} // no tags in the header
		}
		c.send(frame(18, version, int32(version), body))
		c.expect(int32(version), fmt.Sprint(version)) // response header v0: no tags
	}
}

func TestAnswersBeforeADropAreWritten(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, box.handle), nil)
	c := s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	c.send(frame(keyLater, 0, 2, nil))
	c.send(frame(keyLater, 0, 3, nil))
	waiting := box.take(t, 3)
	waiting[1].Drop(fmt.Errorf("acks=0 failed"))
	waiting[2].Reply(raw("never written"))
	c.send(frame(keyEcho, 0, 4, []byte("not handled")))
	waiting[0].Reply(raw("first"))
	c.expect(1, "first")
	c.expectClosed()
}

func TestSilentRequestsLeaveNoGap(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(0, false, func(r *request.Request) { r.Reply(nil) }), nil)
	c := s.dial()
	for i := range int32(300) {
		c.send(frame(0, 0, i, nil))
		if i%7 == 0 {
			c.send(frame(keyEcho, 0, i, []byte("x")))
			c.expect(i, "x")
		}
	}
}

func TestHandlerPanicClosesOneConnection(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo).
		handle(keyLater, false, func(*request.Request) { panic("boom") }).
		handle(keyBlock, true, func(*request.Request) { panic("boom") }).
		handle(0, false, func(r *request.Request) { r.Reply(badBody{}) }).
		handle(1, false, func(r *request.Request) { r.Reply(badSections{}) }), nil)
	for i, key := range []int16{keyLater, keyBlock, 0, 1} {
		c, other := s.dial(), s.dial()
		c.send(frame(key, 0, 1, nil))
		c.expectClosed()
		other.send(frame(keyEcho, 0, 2, []byte("alive")))
		other.expect(2, "alive")
		eventually(t, "an error line", func() bool { return len(s.warnings()) == i+1 })
		if line := s.warnings()[i]; !strings.Contains(line, "boom") || !strings.Contains(line, "conn_test.go") {
			t.Errorf("log %q, want the panic and its stack", line)
		}
	}
}

type badBody struct{}

func (badBody) AppendTo([]byte) []byte { panic("boom") }

type badSections struct{ badBody }

func (badSections) Cuts() []request.Cut { panic("boom") }

func TestHalfClosedConnectionGetsItsAnswers(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle), nil)
	c := s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	r := box.take(t, 1)[0]
	r.Reply(raw("late"))
	c.expect(1, "late")
	c.expectClosed()
	eventually(t, "the connection is forgotten", func() bool { return s.Connections()["PLAINTEXT"] == 0 })
}

func TestAnswerToAClosedConnectionIsGivenUp(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle), func(o *Options) { o.MaxIdle = time.Hour })
	c := s.dial()
	c.send(frame(keyLater, 0, 1, nil))
	r := box.take(t, 1)[0]
	s.closeIdle(time.Now().Add(2 * time.Hour))
	c.expectClosed()
	body := &recycled{}
	r.Reply(body)
	if body.n != 1 {
		t.Errorf("the body was recycled %d times, want once", body.n)
	}
}

type recycled struct{ n int }

func (r *recycled) AppendTo(dst []byte) []byte { return dst }
func (r *recycled) Recycle()                   { r.n++ }

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.MaxIdle = time.Hour })
	idle, busy, half := s.dial(), s.dial(), s.dial()
	half.send(frame(keyEcho, 0, 1, []byte("half"))[:9])
	done := make(chan struct{})
	go func() {
		defer close(done)
		idle.expectClosed()
		half.expectClosed()
	}()
	for i := int32(0); ; i++ {
		before := time.Now()
		busy.send(frame(keyEcho, 0, i, nil))
		busy.expect(i, "")
		s.closeIdle(before.Add(time.Hour))
		select {
		case <-done:
			return
		default:
		}
	}
}

// TestIdleConnectionsAreLookedFor: nobody has to ask for it.
func TestIdleConnectionsAreLookedFor(t *testing.T) {
	s := start(t, routes{}, func(o *Options) { o.MaxIdle = 100 * time.Millisecond })
	s.dial().expectClosed()
}

// TestSilentConnectionsMayStay: connections.max.idle.ms=-1 closes none, and still others are tended.
func TestSilentConnectionsMayStay(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) { o.MaxIdle = -time.Millisecond })
	silent := s.dial()
	silent.send(frame(keyEcho, 0, 1, nil))
	silent.expect(1, "")
	s.closeIdle(time.Now().Add(24 * time.Hour))
	silent.send(frame(keyEcho, 0, 2, nil))
	silent.expect(2, "")
}

func TestUnansweredRequestsAreBounded(t *testing.T) {
	var box inbox
	s := start(t, routes{}.handle(keyLater, false, box.handle), func(o *Options) { o.MaxUnanswered = 5 })
	c := s.dial()
	for i := range int32(20) {
		c.send(frame(keyLater, 0, i, nil))
	}
	for i := int32(0); i < 20; {
		waiting := box.take(t, 5)
		if n := box.len(); n > 0 {
			t.Fatalf("%d more requests than 5 are in work", n)
		}
		for _, r := range waiting {
			r.Reply(raw("x"))
			c.expect(i, "x")
			i++
		}
	}
}

// TestThrottledConnectionIsMuted: a throttled answer is not held back itself, and what comes behind it waits as long as it says.
func TestThrottledConnectionIsMuted(t *testing.T) {
	for _, mute := range []time.Duration{time.Hour, 150 * time.Millisecond} {
		s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyLater, false, func(r *request.Request) {
			r.Throttle = mute
			r.Reply(raw("throttled"))
		}), nil)
		c := s.dial()
		begin := time.Now()
		c.send(append(frame(keyLater, 0, 1, nil), frame(keyEcho, 0, 2, []byte("after"))...))
		c.expect(1, "throttled")
		if mute == time.Hour {
			if c.answers() {
				t.Error("the next request was handled")
			}
			continue
		}
		c.expect(2, "after")
		if d := time.Since(begin); d < mute {
			t.Errorf("the next request was handled after %v, want %v", d, mute)
		}
	}
}

func TestHandlersThatBlockDoNotHoldUpTheOthers(t *testing.T) {
	release := make(chan struct{})
	handled := make(chan string, 10)
	s := start(t, routes{}.
		handle(keyEcho, false, func(r *request.Request) { handled <- string(r.Body); echo(r) }).
		handle(keyBlock, true, func(r *request.Request) { <-release; handled <- string(r.Body); echo(r) }), nil)
	c := s.dial()
	c.send(frame(keyBlock, 0, 1, []byte("block 1")))
	c.send(frame(keyBlock, 0, 2, []byte("block 2")))
	c.send(frame(keyEcho, 0, 3, []byte("echo")))
	if got := <-handled; got != "echo" {
		t.Errorf("%s was handled first", got)
	}
	close(release)
	c.expect(1, "block 1")
	c.expect(2, "block 2")
	c.expect(3, "echo")
	if a, b := <-handled, <-handled; a != "block 1" || b != "block 2" {
		t.Errorf("handlers that block ran as %s, %s", a, b)
	}
}

func TestHandlersThatBlockAreBounded(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	running, most := 0, 0
	s := start(t, routes{}.handle(keyBlock, true, func(r *request.Request) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		<-release
		mu.Lock()
		running--
		mu.Unlock()
		echo(r)
	}), func(o *Options) { o.MaxBlocking = 3 })
	var clients []*client
	for range 8 {
		c := s.dial()
		c.send(frame(keyBlock, 0, 1, nil))
		clients = append(clients, c)
	}
	gone := s.dial() // closed while it waits for its turn
	gone.send(frame(keyBlock, 0, 1, nil))
	eventually(t, "three handlers run", func() bool { mu.Lock(); defer mu.Unlock(); return running == 3 })
	gone.Close()
	close(release)
	for _, c := range clients {
		c.expect(1, "")
	}
	mu.Lock()
	defer mu.Unlock()
	if most != 3 {
		t.Errorf("%d handlers ran at a time, want 3", most)
	}
}

func TestQueuedBytesAreBounded(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	running := 0
	s := start(t, routes{}.handle(keyEcho, false, echo).handle(keyBlock, true, func(r *request.Request) {
		mu.Lock()
		running++
		mu.Unlock()
		<-release
		echo(r)
	}), func(o *Options) { o.QueuedBytes = 100_000 })
	body := strings.Repeat("x", 60_000)
	var clients []*client
	for range 5 {
		c := s.dial()
		c.send(frame(keyBlock, 0, 1, []byte(body)))
		clients = append(clients, c)
	}
	used := func() int64 { s.queued.mu.Lock(); defer s.queued.mu.Unlock(); return s.queued.mu.used }
	eventually(t, "two handlers run", func() bool { mu.Lock(); defer mu.Unlock(); return running == 2 })
	if n := used(); n > 100_000+70_000 {
		t.Errorf("%d bytes are in work", n)
	}
	close(release)
	for _, c := range clients {
		c.expect(1, body)
	}
	large := s.dial()
	large.send(frame(keyEcho, 0, 2, bytes.Repeat([]byte(body), 4))) // larger than the bound
	large.receive()
	for _, c := range clients {
		c.Close()
	}
	eventually(t, "all bytes are given back", func() bool { return used() == 0 })
}
