// Package interbroker is a connection to another broker: the controller's to every broker, itself
// included, a follower's to its leader, a leader's to the controller.
//
// A Conn carries one request at a time and is not used again after an error; whoever uses it dials
// anew, when it sees fit. Versions are the caller's: brokers fix them by inter.broker.protocol.version
// and ask no ApiVersions (NetworkClient with discoverBrokerVersions=false).
package interbroker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrBroken reports a request on a Conn that was closed or had an error before.
var ErrBroken = errors.New("connection is closed")

// Dialer opens connections. A zero field takes the default named beside it.
type Dialer struct {
	ClientID string
	// Timeout bounds opening a connection and each request with its response (controller.socket.timeout.ms: 30 s).
	Timeout time.Duration
	// Net opens the byte stream: plain TCP. TLS and SASL go here.
	Net func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Dial connects to addr (host:port).
func (d *Dialer) Dial(ctx context.Context, addr string) (*Conn, error) {
	c := &Conn{clientID: d.ClientID, timeout: d.Timeout, addr: addr}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	open := d.Net
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := open(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to broker %s: %w", addr, err)
	}
	c.conn = conn
	return c, nil
}

// Conn is one connection. Its methods may be called from any goroutine; requests wait for one another.
type Conn struct {
	conn     net.Conn
	addr     string
	clientID string
	timeout  time.Duration

	mu struct {
		sync.Mutex           // held during a request: it orders them
		correlationID int32  // of the last request
		frame         []byte // request being sent; kept for the next one while small
		err           error  // why the connection cannot be used any more
	}
}

// keepFrame is the largest request buffer kept between requests. A LeaderAndIsr request about
// thousands of partitions is rare, and a connection lives long.
const keepFrame = 64 << 10

// Addr returns the address that was dialled.
func (c *Conn) Addr() string { return c.addr }

// Close closes the connection; a request under way fails. It may be called more than once.
func (c *Conn) Close() error { return c.conn.Close() }

// RoundTrip sends req in the version it is set to and returns the response, whose memory is the
// caller's. Any error leaves the connection closed.
func (c *Conn) RoundTrip(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	body, err := c.Exchange(ctx, req, nil)
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	if err := resp.ReadFrom(body); err != nil {
		c.Close()
		return nil, fmt.Errorf("%s response v%d from broker %s: %w", name(req), req.GetVersion(), c.addr, err)
	}
	return resp, nil
}

// Exchange sends req and returns the body of the response, undecoded, appended to dst. Any error
// leaves the connection closed.
func (c *Conn) Exchange(ctx context.Context, req kmsg.Request, dst []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err != nil {
		return dst, fmt.Errorf("%w: %w", ErrBroken, c.mu.err)
	}
	body, err := c.exchangeLocked(ctx, req, dst)
	if err != nil {
		c.conn.Close()
		c.mu.err = err
		return dst, fmt.Errorf("%s v%d to broker %s: %w", name(req), req.GetVersion(), c.addr, err)
	}
	return body, nil
}

func (c *Conn) exchangeLocked(ctx context.Context, req kmsg.Request, dst []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	body, err := c.transferLocked(req, dst)
	if !stop() && err == nil {
		// The deadline in the past may be set only now, after the next request has set its own.
		err = context.Canceled
	}
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx)
	}
	return body, err
}

func (c *Conn) transferLocked(req kmsg.Request, dst []byte) ([]byte, error) {
	c.mu.correlationID++
	frame := appendRequest(c.mu.frame[:0], req, c.mu.correlationID, c.clientID)
	if cap(frame) <= keepFrame {
		c.mu.frame = frame
	}
	if len(frame)-4 > math.MaxInt32 {
		return nil, fmt.Errorf("request of %d bytes", len(frame))
	}
	if _, err := c.conn.Write(frame); err != nil {
		return nil, err
	}
	return readResponse(c.conn, dst, c.mu.correlationID, flexibleResponse(req))
}

// readResponse appends the body of the next response to dst, after checking that it answers
// correlationID.
func readResponse(src io.Reader, dst []byte, correlationID int32, flexible bool) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if got := int32(binary.BigEndian.Uint32(head[4:])); size < 4 || got != correlationID {
		return nil, fmt.Errorf("response of %d bytes with correlation id %d instead of %d", size, got, correlationID)
	}
	start, left := len(dst), int(size)-4
	if flexible && left > 0 {
		// A header nearly always ends with a zero, for no tags; read apart, it need not be cut off the
		// front of a body of megabytes.
		if _, err := io.ReadFull(src, head[:1]); err != nil {
			return nil, err
		}
		if left--; head[0] == 0 {
			return appendN(dst, src, left)
		}
		dst = append(dst, head[0])
	}
	dst, err := appendN(dst, src, left)
	if err != nil || !flexible {
		return dst, err
	}
	n, err := tagsSize(dst[start:])
	if err != nil {
		return nil, err
	}
	return slices.Delete(dst, start, start+n), nil
}

// growBytes is how far a buffer grows ahead of what has arrived, so that a length alone, which may
// be wrong, allocates little.
const growBytes = 1 << 20

// appendN appends n bytes of src to dst.
func appendN(dst []byte, src io.Reader, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, max(growBytes, len(dst)))
		dst = slices.Grow(dst, step)
		part := dst[len(dst) : len(dst)+step]
		if _, err := io.ReadFull(src, part); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		dst, n = dst[:len(dst)+step], n-step
	}
	return dst, nil
}

func name(req kmsg.Request) string { return kmsg.NameForKey(req.Key()) }
