// Package bare is the least that a broker has to do: it copies what arrives on a socket to a file and
// answers, and it copies from the file to a socket. It looks at nothing but the size and the kind of a
// request. What a broker costs beyond it, it costs for being a broker.
//
// It understands the requests of package load. Produce requests are written to the file whole, from
// its beginning on for each connection, and Fetch requests are answered from the file by sendfile, one
// piece after the other, as large as they ask for.
//
// A server that has followers, other servers in processes of their own, is the least that a partition's
// leader has to do: it passes on what it is sent, writes it, and answers once all have answered.
package bare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// bufferBytes is how much is read from a socket at once. Large writes make large pieces of page cache,
// which cost less.
const bufferBytes = 2 << 20

// socketBytes is the size of the socket's send buffer, as brokers have it, the default of
// socket.send.buffer.bytes: a larger one costs more processor time. The receive buffer is left to the
// kernel, for a smaller one costs more.
const socketBytes = 102400

// headBytes are those at the beginning of a request that the server looks at: its size, the API's key
// and version, the correlation id, and the length of the client id.
const headBytes = 4 + 2 + 2 + 4 + 2

// A Server serves connections until its listener is closed.
type Server struct {
	file      *os.File
	followers []string // addresses
	ack       []byte   // the answer to a Produce request, but for the correlation id
	wg        sync.WaitGroup
}

// New returns a server that keeps what it is sent in the file at path, and has the servers at the addresses
// of its followers keep it too. It connects to them for each connection of its own.
func New(path string, followers ...string) (*Server, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return &Server{file: file, followers: followers, ack: produceAck()}, nil
}

// Close waits for the clients to close their connections, and closes the file. Serve must have
// returned.
func (s *Server) Close() error {
	s.wg.Wait()
	return s.file.Close()
}

// Serve takes connections until l is closed, and returns why it could take no more.
func (s *Server) Serve(l net.Listener) error {
	for {
		accepted, err := l.Accept()
		if err != nil {
			return err
		}
		c := accepted.(*net.TCPConn)
		s.wg.Go(func() { // ends with the connection
			if err := errors.Join(c.SetWriteBuffer(socketBytes), s.serve(c)); err != nil {
				fmt.Fprintf(os.Stderr, "bare: connection from %v: %v\n", c.RemoteAddr(), err)
			}
		})
	}
}

// serve serves a connection with plain blocking system calls on an OS thread of its own.
func (s *Server) serve(c *net.TCPConn) error {
	defer c.Close()
	socket, err := c.File()
	if err != nil {
		return err
	}
	defer socket.Close()
	followers, err := dialFollowers(s.followers)
	if err != nil {
		return err
	}
	defer followers.close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	conn := &conn{server: s, socket: int(socket.Fd()), file: int(s.file.Fd()), followers: followers, buf: make([]byte, bufferBytes)}
	if err := unix.SetNonblock(conn.socket, false); err != nil {
		return err
	}
	for {
		switch err := conn.step(); err {
		case nil:
		case io.EOF, unix.ECONNRESET, unix.EPIPE:
			return nil
		default:
			return err
		}
	}
}

// conn is one connection.
type conn struct {
	server       *Server
	socket, file int
	followers    followers

	buf     []byte
	held    int    // bytes at the beginning of buf that are not dealt with yet
	missing int    // bytes of the request that has begun, still to come
	written int64  // end of what was written to the file
	read    int64  // end of what was sent from it
	acks    []byte // of requests that are complete
	current []byte // the acknowledgement of the one that is not
	head    []byte // what stands before piece bytes of records
	piece   int64
}

// step reads once, deals with what came, and answers.
func (c *conn) step() error {
	n, err := c.receive()
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	data := c.buf[:c.held+n]
	used, fetched, err := c.consume(data)
	if err != nil {
		return err
	}
	if used > 0 && !fetched {
		if err := c.keep(data[:used]); err != nil {
			return err
		}
	}
	c.held = copy(c.buf, data[used:])
	if len(c.acks) == 0 {
		return nil
	}
	_, err = unix.Write(c.socket, c.acks)
	c.acks = c.acks[:0]
	return err
}

// receive reads what has come. With followers, it waits for all of a request that has begun: each piece of it
// would be a write more, a packet and a wake-up for every one of them.
func (c *conn) receive() (int, error) {
	if c.missing > 0 && len(c.followers) > 0 {
		n, _, err := unix.Recvfrom(c.socket, c.buf[:min(c.missing, len(c.buf))], unix.MSG_WAITALL)
		return n, err
	}
	return unix.Read(c.socket, c.buf[c.held:])
}

// keep writes data to the file while the followers, which are sent it first, do the same, and waits for them.
func (c *conn) keep(data []byte) error {
	if err := c.followers.pass(data); err != nil {
		return err
	}
	if _, err := unix.Pwrite(c.file, data, c.written); err != nil {
		return err
	}
	c.written += int64(len(data))
	return c.followers.await(c.acks)
}

// consume goes over the requests in data, answers a Fetch, and gathers the answers to those that are
// complete. It returns how many bytes it is done with.
func (c *conn) consume(data []byte) (used int, fetched bool, err error) {
	for used < len(data) {
		if c.missing == 0 {
			rest := data[used:]
			if len(rest) < headBytes {
				break
			}
			size := 4 + int(binary.BigEndian.Uint32(rest))
			if kmsg.Key(binary.BigEndian.Uint16(rest[4:])) == kmsg.Fetch {
				if len(rest) < size {
					break
				}
				if err := c.fetch(rest[:size]); err != nil {
					return 0, true, err
				}
				fetched = true
				used += size
				continue
			}
			c.missing = size
			c.current = append(c.current[:0], c.server.ack...)
			copy(c.current[4:8], rest[8:12]) // the correlation id
		}
		part := min(c.missing, len(data)-used)
		used += part
		c.missing -= part
		if c.missing == 0 {
			c.acks = append(c.acks, c.current...)
		}
	}
	return used, fetched, nil
}

// fetch sends the next piece of the file.
func (c *conn) fetch(request []byte) error {
	info, err := c.server.file.Stat()
	if err != nil {
		return err
	}
	client := int(binary.BigEndian.Uint16(request[headBytes-2:]))
	maxBytes := headBytes + client + 1 + 4 + 4 // after the header's tags, the longest wait and the least bytes
	if len(request) < maxBytes+4 {
		return fmt.Errorf("a Fetch request of %d bytes", len(request))
	}
	n := int64(binary.BigEndian.Uint32(request[maxBytes:]))
	if c.read+n > info.Size() {
		c.read = 0
	}
	if n = min(n, info.Size()); n != c.piece || c.head == nil {
		c.piece, c.head = n, fetchHead(n)
	}
	copy(c.head[4:8], request[8:12]) // the correlation id
	if _, err := unix.SendmsgN(c.socket, c.head, nil, nil, unix.MSG_MORE); err != nil {
		return err
	}
	for end := c.read + n; c.read < end; {
		switch sent, err := unix.Sendfile(c.socket, c.file, &c.read, int(end-c.read)); {
		case err != nil:
			return err
		case sent == 0:
			return io.ErrUnexpectedEOF
		}
	}
	_, err = unix.Write(c.socket, fetchTail)
	return err
}
