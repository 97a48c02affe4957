// Package peer is the socket of a broker that only takes a controller's orders. Tests and benchmarks of the controller have many of them
// in one process, and say themselves what is answered.
package peer

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Peer listens on a free port of loopback.
type Peer struct {
	answer   func(kmsg.Request) kmsg.Response
	read     []kmsg.Key // those whose contents are read; none: all
	listener net.Listener
	wg       sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

// Start returns a Peer that answers each request of a controller with what answer returns, which is called on the goroutine of
// the connection. ApiVersions it answers itself, as far as those who watch processes look at that; answer is told, and its
// response not sent. If read names keys, other requests come without their contents, which saves the time to read them.
func Start(answer func(kmsg.Request) kmsg.Response, read ...kmsg.Key) (*Peer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Peer{answer: answer, read: read, listener: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Port returns the port that it listens on.
func (p *Peer) Port() int32 { return int32(p.listener.Addr().(*net.TCPAddr).Port) }

// Close does what the system does when a process ends: the port and all connections are closed. It may be called again.
func (p *Peer) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true // a connection may just be accepted
	p.mu.Unlock()
	p.Disconnect()
	p.wg.Wait()
}

// Disconnect closes all connections, as a broker does with those that were idle for too long.
func (p *Peer) Disconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *Peer) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.converse(c) })
	}
}

// converse answers the requests of a connection.
func (p *Peer) converse(c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.conns[c] = true
	p.mu.Unlock()
	for r := bufio.NewReader(c); p.serve(c, r) == nil; {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// serve answers one request.
func (p *Peer) serve(w io.Writer, r io.Reader) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
	req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
	out := append(make([]byte, 4, 64), frame[4:8]...)
	if _, watches := req.(*kmsg.ApiVersionsRequest); watches {
		p.answer(req)
		out = req.ResponseKind().AppendTo(out) // its header has no tags
	} else {
		if len(p.read) == 0 || slices.Contains(p.read, kmsg.Key(req.Key())) {
			if err := readBody(req, frame[10+int(binary.BigEndian.Uint16(frame[8:]))+1:]); err != nil {
				return err
			}
		}
		out = p.answer(req).AppendTo(append(out, 0))
	}
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := w.Write(out)
	return err
}

func readBody(req kmsg.Request, body []byte) error {
	if _, stop := req.(*kmsg.StopReplicaRequest); stop { // kmsg has another order of fields
		body[4], body[5], body[6], body[7], body[8] = body[5], body[6], body[7], body[8], body[4]
	}
	return req.ReadFrom(body)
}

// Obeyed returns the response to a LeaderAndIsr request that is carried out.
func Obeyed(req *kmsg.LeaderAndISRRequest) *kmsg.LeaderAndISRResponse {
	resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
	for _, t := range req.TopicStates {
		answer := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
		for i := range t.PartitionStates {
			answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Partition: t.PartitionStates[i].Partition})
		}
		resp.Topics = append(resp.Topics, answer)
	}
	return resp
}
