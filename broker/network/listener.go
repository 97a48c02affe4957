package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/broker/auth"
	"github.com/gregor-mq/gregor/broker/request"
)

// acceptRetry is the pause after an accept that failed for want of file descriptors or memory.
const acceptRetry = 100 * time.Millisecond

// listener is an open port; its goroutine accepts.
type listener struct {
	Listener
	srv    *Server
	tcp    *net.TCPListener
	log    *closeLog
	done   chan struct{} // closed when it ends
	closed bool          // done is; guarded by the server's mu
	full   time.Time     // tellFull has said so; the acceptor's
}

// open binds l's port.
func (s *Server) open(ctx context.Context, l Listener) (*listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlErr := raw.Control(func(fd uintptr) {
			// The receive buffer is inherited by connections; it must be set before the handshake for
			// the window to scale. SO_REUSEADDR is set by package net.
			if s.opts.ReceiveBuffer > 0 {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, s.opts.ReceiveBuffer)
			}
		})
		return errors.Join(controlErr, err)
	}}
	host := l.Host
	if host == "0.0.0.0" || host == "::" {
		host = ""
	}
	ln, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(l.Port)))
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	tcp := ln.(*net.TCPListener)
	opened := &listener{
		Listener: l, srv: s, tcp: tcp, done: make(chan struct{}),
		log: newCloseLog(s.opts.Logger.WithField("listener", l.Name)),
	}
	if err := opened.setBacklog(opened.burst()); err != nil {
		tcp.Close()
		return nil, fmt.Errorf("listener %s: backlog %d: %w", l.Name, opened.burst(), err)
	}
	return opened, nil
}

// burstBacklog is how many connections may come while the acceptor has no processor. A queue of Kafka's 50 is full
// within a millisecond or two, and every connection that finds it full costs its client a second, until TCP tries again.
const burstBacklog = 1024

// burst is the length of the queue while nothing holds connections back.
func (l *listener) burst() int { return max(l.srv.opts.Backlog, burstBacklog) }

// setBacklog changes the length of the queue of connections that nobody has accepted yet: listening
// again only does that. The system's net.core.somaxconn bounds it.
func (l *listener) setBacklog(n int) error {
	raw, err := l.tcp.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), n) })
	return errors.Join(controlErr, err)
}

// endpoint returns l with the port that it has.
func (l *listener) endpoint() Endpoint {
	return Endpoint{l.Name, l.Protocol, l.Host, l.tcp.Addr().(*net.TCPAddr).Port}
}

// accept is the listener's goroutine. It ends when the listener is closed.
func (l *listener) accept() {
	for l.awaitSlot() {
		tcp, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			l.admit(tcp)
		case errors.Is(err, net.ErrClosed):
			return
		case !l.recovers(err):
			return
		}
	}
}

// recovers prepares for another try after an accept that failed: the connection waits in the queue meanwhile. It returns
// false once l is closed.
func (l *listener) recovers(err error) bool {
	if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
		l.srv.opts.Logger.WithField("listener", l.Name).WithField("error", err).Warn("Accepting a connection failed")
	} else if l.srv.opts.OnNoDescriptor(err) {
		return true
	}
	return sleep(acceptRetry, l.done)
}

// awaitSlot waits until another connection may be accepted; it returns false once l is closed. While a limit holds
// connections back, no more of them are queued than socket.listen.backlog.size says: others are not to wait for an
// acceptor that does not come, but to try another broker.
func (l *listener) awaitSlot() bool {
	if l.srv.admission.hasSlot(l.Name) {
		return true
	}
	l.tellFull()
	l.setBacklog(l.srv.opts.Backlog) // it fails on a closed listener only, which done tells
	defer func() { l.setBacklog(l.burst()) }()
	return l.srv.admission.awaitSlot(l.Name, l.done)
}

// fullPeriod is the time between two lines that say that connections are held back.
const fullPeriod = time.Minute

// tellFull logs that the broker has as many connections as it may: clients time out, and nothing else tells why.
func (l *listener) tellFull() {
	n, limit := l.srv.admission.total()
	if limit <= 0 || n < limit || time.Since(l.full) < fullPeriod {
		return
	}
	l.full = time.Now()
	why := "max.connections"
	if limit == l.srv.opts.MaxConnections {
		why = "ulimit -n (LimitNOFILE), which leaves the others to files,"
	}
	l.srv.opts.Logger.WithField("listener", l.Name).Warnf("Connections wait to be accepted: %d are open, and %s allows no more", n, why)
}

// admit serves an accepted connection or closes it.
func (l *listener) admit(tcp *net.TCPConn) {
	remote := tcp.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	what, delay := l.srv.admission.take(l.Name, remote.Addr())
	switch what {
	case closeNow:
		tcp.Close()
		l.log.rejected(remote, "its address has too many connections")
		return
	case closeParked:
		l.srv.park(tcp, delay)
		l.log.rejected(remote, "its address opens connections too fast")
		return
	}
	if err := l.start(tcp, remote); err != nil {
		l.srv.admission.release(l.Name, remote.Addr())
		tcp.Close()
		l.log.rejected(remote, err.Error())
	}
}

// start makes a connection of tcp and its goroutine.
func (l *listener) start(tcp *net.TCPConn, remote netip.AddrPort) error {
	if n := l.srv.opts.SendBuffer; n > 0 {
		if err := tcp.SetWriteBuffer(n); err != nil {
			return err
		}
	}
	local := tcp.LocalAddr().(*net.TCPAddr).AddrPort()
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	c := &conn{
		srv: l.srv, lst: l,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		info: request.Conn{
			ID:       connID(local, remote, l.srv.connections.Add(1)-1),
			Listener: l.Name, SecurityProtocol: l.Protocol, Remote: remote,
			Principal: auth.Anonymous, InterBroker: l.InterBroker,
		},
	}
	c.in.lean = l.srv.queued.limited()
	c.last.Store(time.Now().UnixNano())
	tr, err := newPlain(tcp, &c.last) // TCP_NODELAY and keep-alive are set by package net
	if err != nil {
		return err
	}
	c.tr = tr
	if !l.srv.remember(c) {
		return errStopped
	}
	return nil
}

// connID is Kafka's: local:port-remote:port-index.
func connID(local, remote netip.AddrPort, index uint64) string {
	var b strings.Builder
	b.Grow(64)
	b.WriteString(local.String())
	b.WriteByte('-')
	b.WriteString(remote.String())
	b.WriteByte('-')
	b.WriteString(strconv.FormatUint(index, 10))
	return b.String()
}
