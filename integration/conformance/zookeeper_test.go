package conformance

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// link is a TCP proxy that can be cut: connections through it are ended and new ones refused.
type link struct {
	target string
	addr   string
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		listener net.Listener
		conns    map[net.Conn]bool
		closed   bool
	}
}

// newLink forwards a port of its own to target until t ends.
func newLink(t testing.TB, target string) *link {
	t.Helper()
	l := &link{target: target}
	l.mu.conns = map[net.Conn]bool{}
	l.mend(t)
	t.Cleanup(func() {
		l.cut()
		l.wg.Wait()
	})
	return l
}

// mend accepts connections, on the same port each time.
func (l *link) mend(t testing.TB) {
	t.Helper()
	addr := l.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.addr = listener.Addr().String()
	l.mu.Lock()
	l.mu.listener, l.mu.closed = listener, false
	l.mu.Unlock()
	l.wg.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() { l.forward(c) })
		}
	})
}

// cut ends all connections and refuses new ones.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	l.mu.listener.Close()
	for c := range l.mu.conns {
		c.Close()
	}
}

// keep notes a connection, unless the link is cut.
func (l *link) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		c.Close()
		return false
	}
	l.mu.conns[c] = true
	return true
}

func (l *link) forward(c net.Conn) {
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		c.Close()
		return
	}
	if !l.keep(c) || !l.keep(to) {
		c.Close()
		to.Close()
		return
	}
	l.wg.Go(func() { pipe(c, to) })
	pipe(to, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.conns, c)
	delete(l.mu.conns, to)
}

// pipe copies until one end closes, and then closes both.
func pipe(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	for buf := make([]byte, 32<<10); ; {
		n, err := from.Read(buf)
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestZooKeeperSessionExpires cuts a broker off from ZooKeeper until its session is over. Clients are
// served meanwhile; the broker then registers anew, is controller again, and creates topics.
func TestZooKeeperSessionExpires(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, 0, cluster.Props{"zookeeper.session.timeout.ms": "1000"})
	host, chroot, _ := strings.Cut(c.ZooKeeper(), "/")
	l := newLink(t, host)
	b := c.Add(cluster.Props{"zookeeper.connect": l.addr + "/" + chroot})
	s := adopt(t, c, b)
	pid, epoch := b.PID(), c.Epoch(1)

	l.cut()
	c.Await("end of the broker's registration", func() bool {
		s.serves()
		return c.Epoch(1) == 0
	})
	s.serves()
	l.mend(t)
	c.Await("new registration", func() bool {
		s.serves()
		return c.Epoch(1) > epoch
	})
	s.afterwards(pid)
	if got := s.zk.controllerEpoch(t); got != 2 {
		t.Errorf("the epoch of the controller is %d, want 2", got)
	}
}

// TestZooKeeperRestarts takes ZooKeeper away, for less time than a session lasts, and for good while
// the broker stops.
func TestZooKeeperRestarts(t *testing.T) {
	t.Parallel()
	z := cluster.StartZooKeeper(t)
	c := cluster.StartOn(t, z, 1, cluster.Props{"zookeeper.session.timeout.ms": "30000"})
	s := adopt(t, c, c.Broker(1))
	pid, epoch := c.Broker(1).PID(), c.Epoch(1)
	for range 2 {
		z.Stop()
		for range 20 {
			s.serves()
		}
		z.Start(t)
		s.serves()
		s.existing() // the session goes on: the broker controls
	}
	if got := c.Epoch(1); got != epoch {
		t.Errorf("broker epoch %d, want %d: the session was to survive", got, epoch)
	}
	z.Kill()
	for range 20 {
		s.serves()
	}
	z.Start(t)
	s.afterwards(pid)
}

// adopt is newSingle for a broker that runs.
func adopt(t *testing.T, c *cluster.Cluster, b *cluster.Broker) *single {
	t.Helper()
	s := &single{t: t, c: c, addr: b.Addr(), zk: openZooKeeper(t, c.ZooKeeper(), 30*time.Second)}
	s.create(theTopic)
	s.serves()
	return s
}

// afterwards checks a broker that has come through something: it is the same process, serves, and
// creates topics.
func (s *single) afterwards(pid int) {
	s.t.Helper()
	if got := s.c.Broker(1).PID(); got != pid {
		s.t.Errorf("the broker was restarted: process %d, was %d", got, pid)
	}
	s.serves()
	name := ""
	s.c.Await("topic created", func() bool {
		name = s.fresh()
		return len(s.tryCreate(name)) == 0
	})
	s.c.Produce(name, 10)
}
