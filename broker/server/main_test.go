package server

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// shared is the ZooKeeper of all tests; each client has a chroot, which it may share with others.
var shared struct {
	sync.Once
	zk  *cluster.ZooKeeper
	dir string
	err error
	n   atomic.Int32 // chroots so far
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.zk != nil {
		shared.zk.Kill()
	}
	os.RemoveAll(shared.dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// newChroot returns the address of a part of a real ZooKeeper that nobody else uses.
func newChroot(t testing.TB) string {
	t.Helper()
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "server"); shared.err == nil {
			shared.zk, shared.err = cluster.NewZooKeeper(shared.dir)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return fmt.Sprintf("%s/test%d", shared.zk.Addr(), shared.n.Add(1))
}

func connectTo(t testing.TB, address string) *zkutil.Client {
	t.Helper()
	c, err := zkutil.Connect(t.Context(), zkutil.Options{
		Connect: address, SessionTimeout: 10 * time.Second, ConnectionTimeout: time.Minute, Logger: silent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t testing.TB) *zkutil.Client { return connectTo(t, newChroot(t)) }
