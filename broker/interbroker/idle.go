package interbroker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// errUnasked reports bytes of a broker that nobody has asked for.
var errUnasked = errors.New("response without a request")

// RemoteAddr returns the peer's address as it was dialled in the end: host:port, the host a number.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// AwaitEnd waits, without a time limit, until a connection that nobody uses ends, and says how: io.EOF or
// ECONNRESET if the peer's system has closed it, ETIMEDOUT if the peer does not answer the system's own
// probes, ctx's error. The connection is closed then.
func (c *Conn) AwaitEnd(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.err != nil {
		return fmt.Errorf("%w: %w", ErrBroken, c.mu.err)
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var one [1]byte
	_, err := c.conn.Read(one[:])
	if err == nil {
		err = errUnasked
	}
	c.conn.Close()
	c.mu.err = err
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
