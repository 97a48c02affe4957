package network

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/broker/request"
)

// errWouldBlock reports that the socket is full and the caller did not want to wait.
var errWouldBlock = errors.New("the socket's buffer is full")

// errNoSendfile reports that a section must be copied.
var errNoSendfile = errors.New("sendfile is not possible")

// transport is the byte stream of a connection. One goroutine may read while another one writes;
// interrupt and close may be called from any.
type transport interface {
	// read waits until something can be read and only then asks in for room. It returns io.EOF at
	// the end and os.ErrDeadlineExceeded after interrupt.
	read(in *inbound) (int, error)
	// poll is read if that need not wait, and otherwise returns 0 without an error.
	poll(in *inbound) (int, error)
	// write writes p and returns how much of it. more announces that other bytes follow at once. If
	// the socket is full, it waits or returns errWouldBlock.
	write(p []byte, more, wait bool) (int, error)
	// sendfile writes n bytes of sec from pos on, as write does, and has its file open only while it does not wait.
	// errNoSendfile: nothing was written.
	sendfile(sec request.Section, pos int64, n int, wait bool) (int, error)
	interrupt()
	close()
}

// plain is the transport of a TCP connection without TLS. Its callbacks are made once, so that
// reading and writing allocate nothing; they pass arguments in fields, which belong to the one reader
// and the one writer.
type plain struct {
	conn *net.TCPConn
	raw  syscall.RawConn
	// last is when bytes last moved, or were ready to, in ns since 1970, for the idle rule. It is noted before
	// they are sent, so that it has the order in which peers see them.
	last *atomic.Int64

	reading struct {
		in   *inbound
		wait bool
		n    int
		err  error
		try  func(fd uintptr) bool
	}
	writing struct {
		p     []byte
		flags int
		src   request.Section // to send from
		pos   int64           // in src
		left  int
		n     int
		wait  bool
		err   error
		try   func(fd uintptr) bool
		send  func(fd uintptr) bool
	}
}

// newPlain returns the transport of conn, which notes in last when bytes move.
func newPlain(conn *net.TCPConn, last *atomic.Int64) (*plain, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &plain{conn: conn, raw: raw, last: last}
	p.reading.try = p.tryRead
	p.writing.try = p.tryWrite
	p.writing.send = p.trySendfile
	return p, nil
}

func (p *plain) read(in *inbound) (int, error) { return p.receive(in, true) }

func (p *plain) poll(in *inbound) (int, error) {
	n, err := p.receive(in, false)
	if err == errWouldBlock {
		return 0, nil
	}
	return n, err
}

func (p *plain) receive(in *inbound, wait bool) (int, error) {
	p.reading.in, p.reading.wait, p.reading.n, p.reading.err = in, wait, 0, nil
	err := p.raw.Read(p.reading.try)
	switch {
	case p.reading.err != nil:
		return 0, p.reading.err
	case err != nil:
		return 0, err
	case p.reading.n == 0:
		return 0, io.EOF
	}
	return p.reading.n, nil
}

// tryRead reads without waiting and reports whether that was not in vain. A buffer taken in vain is
// given back: the wait that follows holds none.
func (p *plain) tryRead(fd uintptr) bool {
	room := p.reading.in.room()
	for {
		n, err := unix.Read(int(fd), room)
		switch err {
		case nil:
			p.reading.n = n
			p.reading.in.filled(n)
			return true
		case unix.EINTR:
		case unix.EAGAIN:
			p.reading.in.rest()
			if !p.reading.wait {
				p.reading.err = errWouldBlock
			}
			return !p.reading.wait
		default:
			p.reading.err = os.NewSyscallError("read", err)
			return true
		}
	}
}

func (p *plain) write(b []byte, more, wait bool) (int, error) {
	w := &p.writing
	w.p, w.flags, w.n, w.wait, w.err = b, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, wait, nil
	if more {
		w.flags |= unix.MSG_MORE
	}
	err := p.raw.Write(w.try)
	w.p = nil
	if w.err != nil {
		err = w.err
	}
	return w.n, err
}

func (p *plain) tryWrite(fd uintptr) bool {
	w := &p.writing
	for w.n < len(w.p) {
		p.last.Store(time.Now().UnixNano())
		n, err := unix.SendmsgN(int(fd), w.p[w.n:], nil, nil, w.flags)
		if n > 0 && err == nil {
			w.n += n
			continue
		}
		if again, done := p.writeFailed(fd, "sendmsg", err); !again {
			return done
		}
	}
	return true
}

// writeFailed judges a failed system call: again says to repeat it, done what the callback returns.
//
// Bytes written with MSG_MORE, and those of a sendfile that is not over, do not leave before they fill
// a segment. If the socket is full, there may not be room for that: the client would wait for them
// and the socket for the client, until a timer of 200 ms. Setting TCP_NODELAY sends them.
func (p *plain) writeFailed(fd uintptr, call string, err error) (again, done bool) {
	if err == unix.EAGAIN {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	switch {
	case err == unix.EINTR:
		return true, false
	case err == unix.EAGAIN && p.writing.wait:
		return false, false
	case err == unix.EAGAIN:
		p.writing.err = errWouldBlock
	default:
		p.writing.err = os.NewSyscallError(call, err)
	}
	return false, true
}

func (p *plain) interrupt() { p.conn.SetReadDeadline(time.Unix(1, 0)) }

func (p *plain) close() { p.conn.Close() }
