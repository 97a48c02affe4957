package controller

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// tapped is a connection to ZooKeeper; before is called with each request that is about to be sent.
type tapped struct {
	net.Conn
	before func(request []byte)
}

func (c tapped) Write(p []byte) (int, error) {
	c.before(p)
	return c.Conn.Write(p)
}

// connectTo returns a client; before, unless it is nil, is called with each request that is about to be sent.
func connectTo(t *testing.T, addr string, before func(request []byte)) *zkutil.Client {
	t.Helper()
	c, err := zkutil.Connect(t.Context(), zkutil.Options{
		Connect: addr, SessionTimeout: time.Minute, ConnectionTimeout: 30 * time.Second,
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil && before != nil {
				conn = tapped{conn, before}
			}
			return conn, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestOrphanIsTakenUp has a broker find that it has been elected and is not in office, as after a failure to take it: it takes it.
func TestOrphanIsTakenUp(t *testing.T) {
	zk := connectTo(t, cluster.StartZooKeeper(t).Addr(), nil)
	c := startElected(t, zk)
	eventually(t, "it is the controller", func() bool { return c.IsActive() && c.Epoch() == 2 })
}

// startElected starts the controller of broker 1, which has been elected.
func startElected(t *testing.T, zk *zkutil.Client) *Controller {
	t.Helper()
	if err := zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := zk.ElectController(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{BrokerID: 1, ZK: zk, InterBrokerListener: "PLAINTEXT"})
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}

// TestOrphanThatIsReplaced: another broker, which takes this one for dead, takes its place just before it takes office. Its
// /controller stays.
func TestOrphanThatIsReplaced(t *testing.T) {
	addr := cluster.StartZooKeeper(t).Addr()
	other := connectTo(t, addr, nil)
	var one atomic.Pointer[zkutil.Client]
	var replaced atomic.Bool
	zk := connectTo(t, addr, func(request []byte) {
		if one.Load() == nil || len(request) < 12 || !bytes.Contains(request, []byte(zkutil.ControllerPath)) {
			return
		}
		const deletion, multi = 2, 14
		op := binary.BigEndian.Uint32(request[8:])
		_, stat, taken, err := other.Controller(t.Context(), nil)
		if op != deletion && op != multi || err != nil || !taken || replaced.Swap(true) {
			return
		}
		if _, err := other.ReplaceController(t.Context(), stat.EphemeralOwner, 2, 1); err != nil {
			t.Error(err)
		}
	})
	if err := zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.Store(zk)
	c := startElected(t, zk)
	eventually(t, "it knows the controller", func() bool { return replaced.Load() && c.ActiveID() >= 0 })
	node, stat, taken, err := other.Controller(t.Context(), nil)
	if err != nil || !taken || node.BrokerID != 2 || stat.EphemeralOwner != other.SessionID() || c.IsActive() {
		t.Errorf("the controller is %d (%v, %v), want 2", node.BrokerID, taken, err)
	}
}

// TestDeadControllerIsReplacedAfterAnExpiry has the controller's process die while the other broker loses its session: once that has
// another one, it does not wait for the end of the dead controller's.
func TestDeadControllerIsReplacedAfterAnExpiry(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	one := startCandidateWith(t, zk.Addr(), Options{BrokerID: 1, WatchProcesses: true})
	eventually(t, "1 is the controller", one.IsActive)
	two := startCandidateWith(t, zk.Addr(), Options{BrokerID: 2, WatchProcesses: true})
	eventually(t, "2 watches 1", func() bool {
		one.mu.Lock()
		defer one.mu.Unlock()
		return one.mu.count["ApiVersions"] > 0
	})
	two.gate.set(true)
	one.Peer.Close()
	eventually(t, "2 notices", func() bool { return two.vigil.Gone(1, one.zk.SessionID()) })
	one.expire(t, zk, 2)
	two.gate.set(false)
	eventually(t, "2 is the controller", two.IsActive)
}
