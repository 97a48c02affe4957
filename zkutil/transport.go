package zkutil

import (
	"bufio"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Packets of ZooKeeper's protocol, as far as transport reads them: a length of four bytes; then in the
// first packet of a connection the protocol version (4 bytes) and the last zxid that the client has
// seen (8), and in every other one the xid (4) and the operation (4).
const (
	packetHead     = 4 + 4 + 4
	connectHead    = 4 + 4 + 8
	opSetWatches   = 101
	setWatchesHead = packetHead + 8 // the relative zxid follows the head
	readBufferSize = 64 << 10
)

// transport is one TCP (or TLS) connection to a server, between go-zookeeper and the net.Conn. It
// makes up for these points of go-zookeeper 1.0.4:
//
//   - After a reconnection it sends SetWatches with the zxid that it has seen last, but reads that while
//     answers may already be coming in on the new connection. An answer that is faster would hide the
//     changes made during the absence: watches would never fire. transport puts in the zxid with which
//     the connection was begun, and tells the session once SetWatches is out; until then the session
//     lets no request through.
//   - It waits for the answer to its ConnectRequest for seven session timeouts, then without end, so
//     that one frozen server would cost the session though other servers live.
//   - It hands a failed write to the requester before it tells anyone that the connection is lost, so that
//     the requester would try again at once, and its request would wait in the queue for a later
//     connection. transport tells the session first.
//   - It reads an answer in two system calls; here most answers of a pipelined batch cost none.
type transport struct {
	net.Conn
	in         *bufio.Reader
	handshake  time.Duration // how long a server may take to answer the ConnectRequest
	setWatches func()        // called each time SetWatches has been written
	failed     func()        // called when a read or write has failed

	begun    bool // the ConnectRequest has been written; writes come from one goroutine at a time
	lastZxid [8]byte
	reading  atomic.Bool // the handshake's deadline has been set
	closed   sync.Once
}

func newTransport(conn net.Conn, handshake time.Duration, setWatches, failed func()) *transport {
	return &transport{
		Conn:       conn,
		in:         bufio.NewReaderSize(conn, readBufferSize),
		handshake:  handshake,
		setWatches: setWatches,
		failed:     failed,
	}
}

// Read reads through the buffer.
func (t *transport) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	if err != nil {
		t.failed()
	}
	return n, err
}

// Write sends p, which is one whole packet: go-zookeeper writes no other way.
func (t *transport) Write(p []byte) (int, error) {
	setWatches := false
	switch {
	case !t.begun:
		t.begun = true
		if len(p) >= connectHead {
			copy(t.lastZxid[:], p[connectHead-8:connectHead])
		}
	case len(p) >= setWatchesHead && binary.BigEndian.Uint32(p[packetHead-4:]) == opSetWatches:
		setWatches = true
		p = append([]byte(nil), p...)
		copy(p[packetHead:setWatchesHead], t.lastZxid[:])
	}
	n, err := t.Conn.Write(p)
	if err != nil {
		t.failed()
	} else if setWatches {
		t.setWatches()
	}
	return n, err
}

// SetReadDeadline keeps the first deadline, that of the handshake, short, and passes the others on.
// Removing a deadline is ignored: go-zookeeper removes it between reads, and within the handshake
// where it should not.
func (t *transport) SetReadDeadline(at time.Time) error {
	if at.IsZero() {
		return nil
	}
	if !t.reading.Swap(true) {
		if short := time.Now().Add(t.handshake); short.Before(at) {
			at = short
		}
	}
	return t.Conn.SetReadDeadline(at)
}

// Close closes the connection; further calls do nothing.
func (t *transport) Close() error {
	var err error
	t.closed.Do(func() { err = t.Conn.Close() })
	return err
}
