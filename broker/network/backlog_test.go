package network

import (
	"net"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"
	"golang.org/x/sys/unix"
)

// backlog returns how many connections l's queue may hold.
func backlog(t *testing.T, l *listener) int {
	t.Helper()
	raw, err := l.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	controlErr := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	return int(info.Sacked) // of a listening socket
}

// openFiles returns how many files this process may have open.
func openFiles(t *testing.T) int {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	return int(min(limit.Cur, 1<<20))
}

// TestBurst connects more often than socket.listen.backlog.size says before anything is accepted: no connection is
// made to try again.
func TestBurst(t *testing.T) {
	logger, _ := logtest.NewNullLogger()
	s, err := New(Options{
		Listeners: []Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1"}}, Router: routes{}, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Bind(); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown(t.Context())
	ln := s.mu.listeners[0]
	if backlog(t, ln) < burstBacklog {
		t.Skip("net.core.somaxconn is too small")
	}
	if openFiles(t) < burstBacklog+100 {
		t.Skip("too few files may be open")
	}
	for i := range burstBacklog {
		c, err := net.DialTimeout("tcp", ln.tcp.Addr().String(), 10*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { c.Close() })
	}
}

// TestBacklogIsKafkasWhileConnectionsAreHeldBack reaches max.connections, and leaves it again.
func TestBacklogIsKafkasWhileConnectionsAreHeldBack(t *testing.T) {
	s := start(t, routes{}.handle(keyEcho, false, echo), func(o *Options) {
		o.Backlog, o.Limits.Connections = 7, 1
	})
	ln := s.mu.listeners[0]
	before := backlog(t, ln)
	if before <= 7 {
		t.Fatalf("the queue has %d places", before)
	}
	c := s.dial()
	eventually(t, "a queue of the configured length", func() bool { return backlog(t, ln) == 7 })
	c.Close()
	eventually(t, "a queue for bursts", func() bool { return backlog(t, ln) == before })
}
