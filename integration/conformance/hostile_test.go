package conformance

import (
	"encoding/binary"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// closeLines bounds the lines about closed connections: there are 20 in 10 seconds for each listener.
const closeLines = 200

// victim is a single whose usage was measured after it had done every kind of ordinary work.
type victim struct {
	*single
	broker *cluster.Broker
	before usage
}

func newVictim(t *testing.T, props cluster.Props) *victim {
	t.Helper()
	s := newSingle(t, props)
	v := &victim{single: s, broker: s.c.Broker(1)}
	for range 200 {
		v.serves()
	}
	v.before = usageOf(t, v.broker)
	return v
}

// unharmed fails the test unless the broker serves and has not grown.
func (v *victim) unharmed(t testing.TB, lines int) {
	t.Helper()
	v.serves()
	requireNoGrowth(t, v.broker, v.before, lines)
}

// dialAll opens n connections and sees that they are accepted, fewer at a time than wait for that
// (socket.listen.backlog.size: 50).
func dialAll(t testing.TB, addr string, n int) []*conn {
	t.Helper()
	conns := make([]*conn, n)
	var wg sync.WaitGroup
	const at = 16
	for i := range at {
		wg.Go(func() {
			for j := i; j < n; j += at {
				c, err := tryDial(addr)
				if err == nil {
					conns[j] = c
					err = c.ping()
				}
				if err != nil {
					t.Errorf("connection %d of %d: %v", j, n, err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { closeAll(conns) })
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// idleConnections is how many are opened where the limit of open files allows it.
const idleConnections = 5000

// TestIdleConnections opens thousands of connections and leaves them alone.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	n := idleConnections
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		n = min(n, int(limit.Cur)-1000) // the broker has the same limit
	}
	conns := dialAll(t, v.addr, n)
	v.serves()
	open := usageOf(t, v.broker)
	each := (open.resident - v.before.resident) / int64(n)
	t.Logf("%d connections: %v, %d bytes each", n, open, each)
	if each > scaled(24<<10) {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if open.threads > v.before.threads+20 {
		t.Errorf("%d threads, before %d", open.threads, v.before.threads)
	}
	closeAll(conns)
	// Memory of stacks goes back to the system at leisure.
	v.before.resident = max(v.before.resident, open.resident)
	v.unharmed(t, 10)
}

// TestAnnouncedBytes announces much and sends little of it.
func TestAnnouncedBytes(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	conns := dialAll(t, v.addr, 1000)
	for _, c := range conns {
		head := binary.BigEndian.AppendUint32(nil, 100<<20)
		if err := c.send(append(head, header(0, 9, 1, "liar")...)); err != nil {
			t.Fatal(err)
		}
	}
	v.serves()
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("1000 requests of 100 MiB that are not there yet take it from %v to %v", v.before, now)
	}
	closeAll(conns)
	v.unharmed(t, 10)
}

// TestSlowReaders asks for much and reads little.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	const batches, batchBytes = 24, 1_000_000
	v.create("large")
	for range batches {
		w := &world{t: t, c: v.c}
		w.produce("large", newBatch(func(b *batch) { b.value = make([]byte, batchBytes) }))
	}
	v.serves()
	v.before = usageOf(t, v.broker)
	v.before.files += 1 // the log of large

	conns := dialAll(t, v.addr, 100)
	req := fetch(part("large", 0))
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 1<<30, 1<<30
	for i, c := range conns {
		if i > 0 {
			c.Conn.(*net.TCPConn).SetReadBuffer(4096)
		}
		if err := c.sendRequest(withVersion(req, 12)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		v.serves()
	}
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("100 slow readers take it from %v to %v", v.before, now)
	}
	// One of them reads after all, a little at a time.
	read := 0
	for buf := make([]byte, 10_000); read < batches*batchBytes; {
		n, err := conns[0].Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		read += n
	}
	closeAll(conns)
	v.unharmed(t, 10)
}

// TestUnreadAnswers sends requests with long answers and reads none, until the broker takes no more.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	conns := dialAll(t, v.addr, 20)
	request := encode(withVersion(describeConfigs(brokerResource, "1"), 4), 1)
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			c.Conn.(*net.TCPConn).SetReadBuffer(4096)
			c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			for {
				if err := c.send(request); err != nil {
					return // the broker has stopped reading
				}
			}
		})
	}
	wg.Wait()
	v.serves()
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("unread answers take it from %v to %v", v.before, now)
	}
	closeAll(conns)
	v.unharmed(t, 10)
}
