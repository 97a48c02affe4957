package zkutil_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Operations of ZooKeeper's protocol.
const (
	opCreate       = 1
	opDelete       = 2
	opGetData      = 4
	opSetData      = 5
	opMulti        = 14
	opCloseSession = -11
	opSetWatches   = 101
)

// proxy stands between a client and a server, and loses connections and answers on demand.
type proxy struct {
	t      testing.TB
	target string
	l      net.Listener
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		conns    map[net.Conn]bool
		refuse   bool          // new connections are closed at once
		silent   bool          // nothing is passed on, and no connection ends
		lose     int32         // the operation whose answer shall be lost, once; 0 for none
		loseXid  int32         // the xid of that request, once it has been seen
		lost     chan struct{} // closed when the answer has been lost
		session  int64
		password []byte
		ops      map[int32]int // requests seen, by operation
	}
}

func startProxy(t testing.TB, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{t: t, target: target, l: l}
	p.mu.conns = map[net.Conn]bool{}
	p.mu.ops = map[int32]int{}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cut(true)
		p.wg.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		conn, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse := p.mu.refuse
		p.mu.Unlock()
		server, err := net.Dial("tcp", p.target)
		if refuse || err != nil {
			conn.Close()
			if err == nil {
				server.Close()
			}
			continue
		}
		p.mu.Lock()
		p.mu.conns[conn], p.mu.conns[server] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.forward(server, conn, p.onRequest) })
		p.wg.Go(func() { p.forward(conn, server, p.onAnswer) })
	}
}

// forward copies packets until on refuses one or a side ends, then closes both.
func (p *proxy) forward(to, from net.Conn, on func(packet []byte, first bool) bool) {
	defer to.Close()
	defer from.Close()
	for first := true; ; first = false {
		packet := make([]byte, 4)
		if _, err := io.ReadFull(from, packet); err != nil {
			return
		}
		packet = append(packet, make([]byte, binary.BigEndian.Uint32(packet))...)
		if _, err := io.ReadFull(from, packet[4:]); err != nil {
			return
		}
		if !on(packet, first) {
			return
		}
		if p.isSilent() {
			continue
		}
		if _, err := to.Write(packet); err != nil {
			return
		}
	}
}

func (p *proxy) onRequest(packet []byte, first bool) bool {
	if first {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	op := int32(binary.BigEndian.Uint32(packet[8:]))
	p.mu.ops[op]++
	if p.mu.lose != 0 && p.mu.lose == op {
		p.mu.loseXid = int32(binary.BigEndian.Uint32(packet[4:]))
		p.mu.lose = 0
	}
	return true
}

func (p *proxy) onAnswer(packet []byte, first bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first { // ConnectResponse: protocol version, timeout, session, password
		p.mu.session = int64(binary.BigEndian.Uint64(packet[12:]))
		p.mu.password = append([]byte(nil), packet[24:40]...)
		return true
	}
	if p.mu.loseXid != 0 && int32(binary.BigEndian.Uint32(packet[4:])) == p.mu.loseXid {
		p.mu.loseXid = 0
		close(p.mu.lost)
		return false
	}
	return true
}

// loseAnswer has the next request of that operation carried out, but the connection cut instead of its
// answer passed on. The channel is closed when that has happened.
func (p *proxy) loseAnswer(op int32) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.lose, p.mu.lost = op, make(chan struct{})
	return p.mu.lost
}

// cut closes all connections; with refuse, new ones too until heal.
func (p *proxy) cut(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.refuse = refuse
	for conn := range p.mu.conns {
		conn.Close()
	}
	clear(p.mu.conns)
}

func (p *proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.silent
}

// freeze has the proxy accept all and say nothing, like a frozen server.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.silent = true
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.refuse = false
}

func (p *proxy) count(op int32) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.ops[op]
}

// expire ends the session of the client behind the proxy, as its timeout would: while the client is cut
// off, a second connection takes the session over and closes it.
func (p *proxy) expire() {
	p.t.Helper()
	p.cut(true)
	defer p.heal()
	p.mu.Lock()
	session, password := p.mu.session, p.mu.password
	p.mu.Unlock()
	conn, err := net.Dial("tcp", p.target)
	must(p.t, err)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	hello := binary.BigEndian.AppendUint32(nil, 44)    // length
	hello = binary.BigEndian.AppendUint32(hello, 0)    // protocol version
	hello = binary.BigEndian.AppendUint64(hello, 0)    // last zxid seen
	hello = binary.BigEndian.AppendUint32(hello, 5000) // timeout
	hello = binary.BigEndian.AppendUint64(hello, uint64(session))
	hello = binary.BigEndian.AppendUint32(hello, 16)
	hello = append(hello, password...)
	exchange(p.t, conn, hello)
	closeSession := int32(opCloseSession)
	bye := binary.BigEndian.AppendUint32(nil, 8)
	bye = binary.BigEndian.AppendUint32(bye, 1) // xid
	bye = binary.BigEndian.AppendUint32(bye, uint32(closeSession))
	exchange(p.t, conn, bye)
}

func exchange(t testing.TB, conn net.Conn, packet []byte) {
	t.Helper()
	_, err := conn.Write(packet)
	must(t, err)
	length := make([]byte, 4)
	_, err = io.ReadFull(conn, length)
	must(t, err)
	_, err = io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(length)))
	must(t, err)
}
