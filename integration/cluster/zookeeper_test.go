package cluster

import (
	"net"
	"testing"
	"time"
)

func TestZooKeeperRestartsWithItsAddress(t *testing.T) {
	z := StartZooKeeper(t)
	addr := z.Addr()
	for _, end := range []func(){z.Stop, z.Kill} {
		end()
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			t.Fatal("the port still answers after the end")
		}
		z.Start(t)
		if !z.answers() || z.Addr() != addr {
			t.Fatalf("no answer at %s (was %s) after the restart", z.Addr(), addr)
		}
	}
	z.Pause()
	if z.answers() {
		t.Error("a paused server answers")
	}
	z.Resume()
	if !z.answers() {
		t.Error("a resumed server does not answer")
	}
}
