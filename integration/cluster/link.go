package cluster

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
)

// A Link is a TCP proxy on an address of its own, for those who are to reach a server by it alone. It can be cut, as
// the system of a process that ends does it: connections through it are ended, and new ones refused.
type Link struct {
	t      testing.TB
	target string
	addr   string
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		listener net.Listener
		conns    map[net.Conn]bool
		cut      bool
	}
}

// NewLink returns a Link to target, host:port, that ends with t.
func NewLink(t testing.TB, target string) *Link {
	t.Helper()
	port, err := FreePort() // which is still free when the link is healed
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{t: t, target: target, addr: "127.0.0.1:" + strconv.Itoa(port)}
	l.mu.conns = map[net.Conn]bool{}
	l.Heal()
	t.Cleanup(l.Cut)
	return l
}

// Addr returns the address that leads to the target, host:port.
func (l *Link) Addr() string { return l.addr }

// Heal accepts connections, again on the same address.
func (l *Link) Heal() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.mu.listener, l.mu.cut = listener, false
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

// Cut ends all connections and refuses new ones. When it returns, nothing goes through any more.
func (l *Link) Cut() {
	l.mu.Lock()
	l.mu.cut = true
	l.mu.listener.Close()
	for c := range l.mu.conns {
		c.Close()
	}
	l.mu.Unlock()
	l.wg.Wait()
}

// forward connects c to the target until one of both ends.
func (l *Link) forward(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer to.Close()
	if !l.keep(c, to) {
		return
	}
	l.wg.Go(func() { pipe(c, to) })
	pipe(to, c)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.mu.conns, c)
	delete(l.mu.conns, to)
}

// keep notes connections that Cut is to end. It reports false if Cut has been called already.
func (l *Link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if !l.mu.cut {
			l.mu.conns[c] = true
		}
	}
	return !l.mu.cut
}

// pipe copies until one end closes, and then closes both.
func pipe(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	_, _ = io.Copy(to, from) // an end is what it is about
}
