package cluster

import (
	"fmt"
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
		if z.Addr() != addr {
			t.Fatalf("%s after the restart, was %s", z.Addr(), addr)
		}
		Await(t, awaitTimeout, "answer after the restart", z.answers)
	}
	z.Pause()
	if z.answers() {
		t.Error("a paused server answers")
	}
	z.Resume()
	Await(t, awaitTimeout, "answer of a resumed server", z.answers)
}

// TestSilentZooKeeper: a server that takes a connection and does not answer on it, as one does that is starting, does not hold up who asks.
func TestSilentZooKeeper(t *testing.T) {
	z := StartZooKeeper(t)
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	r, err := OpenRegistry(silent.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first, err := silent.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	l := &Link{t: t, target: z.Addr(), addr: silent.Addr().String()}
	l.mu.conns = map[net.Conn]bool{}
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	l.Heal()
	defer l.Cut()
	begun := time.Now()
	if err := answered(func() error { _, err := r.epoch(1); return err }); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("the answer took %v", took)
	}
}
