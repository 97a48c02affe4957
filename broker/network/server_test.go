package network

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// routes is a Router; the zero value serves nothing.
type routes map[int16]*request.Route

func (r routes) Route(key int16) *request.Route { return r[key] }

// handle adds a route for key with the versions of the table.
func (r routes) handle(key int16, blocks bool, h request.HandlerFunc) routes {
	api := wire.Lookup(key)
	r[key] = &request.Route{Key: key, Name: api.Name, Min: api.Min, Max: api.Max, FlexibleFrom: api.FlexibleFrom,
		Blocks: blocks, Handler: h}
	return r
}

// together is handle with all for requests that come together.
func (r routes) together(key int16, all func([]*request.Request)) routes {
	r.handle(key, false, func(r *request.Request) { all([]*request.Request{r}) })
	r[key].HandleAll = all
	return r
}

// raw is a response body of given bytes.
type raw []byte

func (b raw) AppendTo(dst []byte) []byte { return append(dst, b...) }

// echo answers with the request's body.
func echo(r *request.Request) { r.Reply(append(raw(nil), r.Body...)) }

// Keys used by the tests, all of them with request header v1 and response header v0 in version 0.
const (
	keyEcho  = 3 // answers at once
	keyLater = 2 // answered by the test
	keyBlock = 19
)

type testServer struct {
	*Server
	t    testing.TB
	addr string
	hook *logtest.Hook
}

// start runs a server until the test ends.
func start(t testing.TB, router routes, edit func(*Options)) *testServer {
	t.Helper()
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	opts := Options{
		Listeners: []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1", InterBroker: true}},
		Router:    router, Logger: logger,
	}
	if edit != nil {
		edit(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ts := &testServer{Server: s, t: t, hook: hook}
	ts.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Endpoints()[0].Port))
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
	})
	return ts
}

// warnings returns the log lines of level Warning and above.
func (s *testServer) warnings() (lines []string) {
	for _, e := range s.hook.AllEntries() {
		if e.Level <= logrus.WarnLevel {
			lines = append(lines, fmt.Sprintf("%s: %v", e.Message, e.Data["error"]))
		}
	}
	return lines
}

// patience bounds what is waited for, on a slow machine too.
const patience = time.Minute

// client is one connection to a testServer.
type client struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func (s *testServer) dial() *client {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{conn, s.t, bufio.NewReader(conn)}
}

// frame is a request with header v1 and the client id "test".
func frame(key, version int16, correlation int32, body []byte) []byte {
	dst := binary.BigEndian.AppendUint32(nil, uint32(14+len(body)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(key))
	dst = binary.BigEndian.AppendUint16(dst, uint16(version))
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	dst = append(dst, "\x00\x04test"...)
	return append(dst, body...)
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads a response.
func (c *client) receive() (correlation int32, body []byte) {
	c.t.Helper()
	var size [4]byte
	if _, err := io.ReadFull(c.in, size[:]); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c.in, b); err != nil {
		c.t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:]
}

// expect reads a response and compares it.
func (c *client) expect(correlation int32, body string) {
	c.t.Helper()
	if got, b := c.receive(); got != correlation || string(b) != body {
		c.t.Fatalf("response %d %.50q, want %d %.50q", got, b, correlation, body)
	}
}

// expectClosed waits until the server closes the connection, with nothing more written.
func (c *client) expectClosed() {
	c.t.Helper()
	if b, err := io.ReadAll(c.in); len(b) > 0 || err != nil && isTimeout(err) {
		c.t.Fatalf("read %q, %v, want the connection closed", b, err)
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// inbox collects requests for the test to answer.
type inbox struct {
	mu       sync.Mutex
	requests []*request.Request
	bodies   []string
}

func (b *inbox) handle(r *request.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, r)
	b.bodies = append(b.bodies, string(r.Body))
}

// take waits for n requests and returns them.
func (b *inbox) take(t testing.TB, n int) []*request.Request {
	t.Helper()
	var got []*request.Request
	eventually(t, fmt.Sprintf("%d requests", n), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.requests) < n {
			return false
		}
		got = b.requests[:n]
		b.requests = b.requests[n:]
		return true
	})
	return got
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}
