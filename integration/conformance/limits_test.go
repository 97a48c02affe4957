package conformance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// short is how long a test waits for what must not happen.
const short = 2 * time.Second

// answered reports whether the broker answers on c within a short time.
func answered(t testing.TB, c *conn) bool {
	t.Helper()
	c.SetDeadline(time.Now().Add(short))
	defer c.SetDeadline(time.Now().Add(patience))
	err := c.ping()
	if timeout, ok := errors.AsType[net.Error](err); err != nil && !(ok && timeout.Timeout()) {
		t.Fatalf("%v, want an answer or none", err)
	}
	return err == nil
}

// requireAnswer waits for what answered reports, as long as a busy machine takes.
func requireAnswer(t testing.TB, c *conn) {
	t.Helper()
	c.SetDeadline(time.Now().Add(patience))
	if err := c.ping(); err != nil {
		t.Fatal(err)
	}
}

// TestMaxConnections: the broker accepts no more, and accepts again once a connection has ended.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	const limit = 8
	s := newSingle(t, cluster.Props{"max.connections": strconv.Itoa(limit)})
	var open []*conn
	for len(open) <= limit {
		c := dial(t, s.addr)
		open = append(open, c)
		if len(open) <= limit-2 { // the others may be the controller's, to its own broker
			requireAnswer(t, c)
		} else if !answered(t, c) {
			break
		}
	}
	if n := len(open) - 1; n > limit {
		t.Fatalf("%d connections were accepted, want %d with the controller's", n, limit)
	}
	last := open[len(open)-1]
	open[0].Close()
	content, err := last.readFrame() // the answer to the ping that waited in the socket
	if err != nil || len(content) == 0 {
		t.Fatalf("no answer after another connection was closed: %v", err)
	}
}

// TestMaxConnectionsPerIP: those beyond the limit are closed at once, and other addresses served.
func TestMaxConnectionsPerIP(t *testing.T) {
	t.Parallel()
	const limit = 6
	for name, props := range map[string]cluster.Props{
		"limit":    {"max.connections.per.ip": strconv.Itoa(limit)},
		"override": {"max.connections.per.ip": "1000", "max.connections.per.ip.overrides": fmt.Sprintf("10.1.2.3:1,127.0.0.1:%d", limit)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSingle(t, props)
			var open []*conn
			for len(open) < limit-2 { // the others may be the controller's
				c := dial(t, s.addr)
				if !eventually(func() bool { // the broker may not have noticed yet that connections of before have ended
					if c.ping() == nil {
						return true
					}
					c = dial(t, s.addr)
					return false
				}) {
					t.Fatalf("only %d connections are accepted, want %d", len(open), limit-2)
				}
				open = append(open, c)
			}
			for len(open) <= limit {
				c := dial(t, s.addr)
				if err := c.ping(); err != nil {
					if !errors.Is(err, io.EOF) && !isReset(err) {
						t.Fatal(err)
					}
					break
				}
				open = append(open, c)
			}
			if n := len(open); n > limit {
				t.Fatalf("%d connections were accepted, want %d with the controller's", n, limit)
			}
			elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			c, err := elsewhere.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := (&conn{Conn: c}).ping(); err != nil {
				t.Errorf("from another address: %v", err)
			}
			open[0].Close()
			if !eventually(func() bool { return dial(t, s.addr).ping() == nil }) {
				t.Error("no connection is accepted after another was closed")
			}
		})
	}
}

// TestConnectionCreationRate: connections beyond the rate are accepted later.
func TestConnectionCreationRate(t *testing.T) {
	t.Parallel()
	const rate, burst, more = 20, 10, 40
	s := newSingle(t, cluster.Props{"max.connection.creation.rate": strconv.Itoa(rate)})
	begun := time.Now()
	for range rate*burst + more {
		c := dial(t, s.addr)
		if err := c.ping(); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if took := time.Since(begun); took < more/rate*time.Second/2 {
		t.Errorf("%d connections took %v at %d a second", rate*burst+more, took, rate)
	}
}

// TestIdleConnectionsAreClosed: silent ones, those with half a request, and not those in use.
func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	const idle = 1500 * time.Millisecond
	s := newSingle(t, cluster.Props{"connections.max.idle.ms": strconv.FormatInt(idle.Milliseconds(), 10)})
	before := time.Now()
	silent, half, used := dial(t, s.addr), dial(t, s.addr), dial(t, s.addr)
	begun := time.Now()
	if err := half.send(frame(halved)[:14]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		last := before // when it was used, or earlier
		for tick := time.Tick(idle / 10); ; {
			select {
			case <-done:
				return
			case <-tick:
				now := time.Now()
				if err := used.ping(); err == nil {
					last = now
				} else if time.Since(last) < idle {
					t.Errorf("a connection in use: %v", err)
					return
				} else if used, err = tryDial(s.addr); err != nil { // the machine was too busy to use it in time
					t.Error(err)
					return
				} else {
					defer used.Close()
					last = now
				}
			}
		}
	})
	for name, c := range map[string]*conn{"silent": silent, "half a request": half} {
		if err := c.awaitClose(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if took := time.Since(begun); took < idle {
		t.Errorf("closed after %v, before %v were over", took, idle)
	}
	close(done)
	wg.Wait()
	s.serves()
}

// TestSocketRequestMaxBytes: a request as long as the limit is served, one that is longer ends the
// connection as soon as its length is known.
func TestSocketRequestMaxBytes(t *testing.T) {
	t.Parallel()
	const limit = 2000
	s := newSingle(t, cluster.Props{"socket.request.max.bytes": strconv.Itoa(limit)})
	padded := func(n int) []byte {
		head := header(18, 0, pingID, clientID)
		return slices.Concat(head, make([]byte, n-len(head)))
	}
	c := dial(t, s.addr)
	if err := c.send(frame(padded(limit))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.readFrame(); err != nil {
		t.Fatalf("request of %d bytes: %v", limit, err)
	}
	if err := c.send(frame(padded(limit + 1))[:4]); err != nil {
		t.Fatal(err)
	}
	if err := c.awaitClose(); err != nil {
		t.Errorf("request of %d bytes: %v", limit+1, err)
	}
	s.serves()
}

// TestQueuedMaxRequestBytes: requests that are larger together than the limit are all served, in turn.
func TestQueuedMaxRequestBytes(t *testing.T) {
	t.Parallel()
	s := newSingle(t, cluster.Props{"queued.max.request.bytes": "400000", "socket.request.max.bytes": "400000"})
	large := newBatch(func(b *batch) { b.value = make([]byte, 300_000) })
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			c, err := tryDial(s.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for range 5 {
				resp, err := c.ask(withVersion(produce(theTopic, 0, large), 9))
				if err != nil {
					t.Error(err)
					return
				}
				if list := errorsIn(resp); len(list) > 0 {
					t.Error(list)
				}
			}
		})
	}
	wg.Wait()
	s.serves()
}

// TestListeners: each listener answers with the addresses that are advertised for it. One that is not
// advertised serves, but leads nobody anywhere.
func TestListeners(t *testing.T) {
	t.Parallel()
	s := newSingle(t, nil)
	b := s.c.Broker(1)
	inside, hidden := freeAddr(t), freeAddr(t)
	insidePort := inside[strings.LastIndexByte(inside, ':')+1:]
	b.Set("listeners", "OUTSIDE://"+b.Addr()+",INSIDE://"+inside+",HIDDEN://"+hidden)
	b.Set("advertised.listeners", "OUTSIDE://broker.example:9192,INSIDE://127.0.0.1:"+insidePort)
	b.Set("listener.security.protocol.map", "OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,HIDDEN:PLAINTEXT")
	b.Set("inter.broker.listener.name", "INSIDE")
	s.c.Restart(1)
	s.c.Await("leader", func() bool {
		m := ask[*kmsg.MetadataResponse](t, inside, withVersion(metadata(theTopic), 12))
		return len(errorsIn(m)) == 0 && m.Topics[0].Partitions[0].Leader == 1
	})
	for addr, want := range map[string]string{b.Addr(): "broker.example:9192", inside: inside} {
		m := ask[*kmsg.MetadataResponse](t, addr, withVersion(metadata(theTopic), 12))
		if got := fmt.Sprintf("%s:%d", m.Brokers[0].Host, m.Brokers[0].Port); len(m.Brokers) != 1 || got != want || len(errorsIn(m)) > 0 || m.ControllerID != 1 {
			t.Errorf("Metadata on %s: %+v, want a broker at %s", addr, m, want)
		}
		d := ask[*kmsg.DescribeClusterResponse](t, addr, withVersion(describeCluster(1), 1))
		if got := fmt.Sprintf("%s:%d", d.Brokers[0].Host, d.Brokers[0].Port); got != want || d.ControllerID != 1 {
			t.Errorf("DescribeCluster on %s: %+v, want a broker at %s", addr, d, want)
		}
		at := &single{t: t, c: s.c, addr: addr}
		at.serves()
	}
	for version, code := range map[int16]int16{5: 5, 12: 72} { // LEADER_NOT_AVAILABLE, LISTENER_NOT_FOUND
		m := ask[*kmsg.MetadataResponse](t, hidden, withVersion(metadata(theTopic), version))
		if p := m.Topics[0].Partitions[0]; len(m.Brokers) != 0 || p.ErrorCode != code || p.Leader != -1 {
			t.Errorf("Metadata v%d on the listener that is not advertised: %+v", version, m)
		}
	}
	(&single{t: t, c: s.c, addr: hidden}).serves()

	data, _, err := s.zk.Get(s.zk.chroot + "/brokers/ids/1")
	want := `{"features":{},"listener_security_protocol_map":{"OUTSIDE":"PLAINTEXT","INSIDE":"PLAINTEXT"},` +
		`"endpoints":["OUTSIDE://broker.example:9192","INSIDE://` + inside + `"],"jmx_port":-1,"port":9192,"host":"broker.example","version":5,`
	if err != nil || !strings.HasPrefix(string(data), want) {
		t.Errorf("%v; the broker is registered as\n%s\nwant\n%s", err, data, want)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// TestProtectedListener: max.connections does not hold the listener of the brokers together with the others, one of
// whose connections has to go for it; by itself that listener may have as many. A listener may have a limit of its own.
func TestProtectedListener(t *testing.T) {
	t.Parallel()
	const limit, own = 8, 3
	s := newSingle(t, nil)
	b := s.c.Broker(1)
	inside, narrow := freeAddr(t), freeAddr(t)
	b.Set("listeners", "OUTSIDE://"+b.Addr()+",INSIDE://"+inside+",NARROW://"+narrow)
	b.Set("listener.security.protocol.map", "OUTSIDE:PLAINTEXT,INSIDE:PLAINTEXT,NARROW:PLAINTEXT")
	b.Set("inter.broker.listener.name", "INSIDE")
	b.Set("max.connections", strconv.Itoa(limit))
	b.Set("listener.name.narrow.max.connections", strconv.Itoa(own))
	s.c.Restart(1)

	var few []*conn
	for range own {
		c := dial(t, narrow)
		requireAnswer(t, c)
		few = append(few, c)
	}
	if answered(t, dial(t, narrow)) {
		t.Errorf("more than %d connections on the narrow listener", own)
	}
	var open []*conn
	for len(open) < limit-own-1 { // one is the controller's
		c := dial(t, b.Addr())
		requireAnswer(t, c)
		open = append(open, c)
	}
	for range 3 {
		requireAnswer(t, dial(t, inside))
	}
	// The one that was used least recently goes.
	if err := few[0].awaitClose(); err != nil {
		t.Error(err)
	}
	requireAnswer(t, open[len(open)-1]) // a connection that was used later
	for n := 3; n < limit-1; n++ {      // one is the controller's
		requireAnswer(t, dial(t, inside))
	}
	if answered(t, dial(t, inside)) {
		t.Errorf("more than %d connections on the listener of the brokers", limit)
	}
}
