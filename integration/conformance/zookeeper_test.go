package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestZooKeeperSessionExpires cuts a broker off from ZooKeeper, and ends its session meanwhile. Clients are
// served meanwhile; the broker then registers anew, is controller again, and creates topics.
func TestZooKeeperSessionExpires(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, 0, cluster.Props{"zookeeper.session.timeout.ms": "60000"}) // no other session is to end
	host, chroot, _ := strings.Cut(c.ZooKeeper(), "/")
	l := cluster.NewLink(t, host)
	b := c.Add(cluster.Props{"zookeeper.connect": l.Addr() + "/" + chroot})
	s := adopt(t, c, b)
	pid, epoch := b.PID(), c.Epoch(1)

	l.Cut()
	s.serves()
	c.EndSession(1)
	s.serves()
	l.Heal()
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
