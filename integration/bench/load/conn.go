package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxResponse is the largest response that is read, in bytes.
const maxResponse = 64 << 20

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench"))

// A Conn is a connection to a broker that takes one request at a time.
type Conn struct {
	conn        net.Conn
	buf         []byte // the last response; requests before it
	correlation int32
}

// Dial connects to host:port.
func Dial(ctx context.Context, addr string) (*Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{conn: conn}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// RoundTrip sends a request and returns the response, which is valid until the next call. The request
// must have its version set.
func (c *Conn) RoundTrip(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.Close() })
	defer stop()
	c.correlation++
	c.conn.SetDeadline(time.Now().Add(2 * patience))
	c.buf = formatter.AppendRequest(c.buf[:0], req, c.correlation)
	if _, err := c.conn.Write(c.buf); err != nil {
		return nil, c.failed(ctx, req, err)
	}
	var err error
	if c.buf, err = readFrame(c.conn, c.buf); err != nil {
		return nil, c.failed(ctx, req, err)
	}
	resp := req.ResponseKind()
	if err := decode(c.buf, c.correlation, resp); err != nil {
		return nil, c.failed(ctx, req, err)
	}
	return resp, nil
}

func (c *Conn) failed(ctx context.Context, req kmsg.Request, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w", kmsg.NameForKey(req.Key()), err)
}

// readFrame reads a response without its size into buf, which it returns, enlarged if need be.
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	buf = append(buf[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(r, buf); err != nil {
		return buf, err
	}
	size := int(binary.BigEndian.Uint32(buf))
	if size > maxResponse {
		return buf, fmt.Errorf("a response of %d bytes", size)
	}
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	_, err := io.ReadFull(r, buf)
	return buf, err
}

var errTruncated = errors.New("the response is cut short")

// decode reads the response in frame, whose bytes resp may alias.
func decode(frame []byte, correlation int32, resp kmsg.Response) error {
	if len(frame) < 5 {
		return errTruncated
	}
	if got := int32(binary.BigEndian.Uint32(frame)); got != correlation {
		return fmt.Errorf("the response to request %d came where that to %d was expected", got, correlation)
	}
	body := frame[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		if body[0] != 0 {
			return errors.New("the response's header has tags")
		}
		body = body[1:]
	}
	return resp.ReadFrom(body)
}
