package zkutil

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// do carries out op: it waits for a connection, sends, and after a lost connection sends again, in the
// same session. The answer to a repeated write is settled by resolve. Inherited says that op may have
// been done already, by a multi whose answer was lost.
//
// A request whose context ends is abandoned: its goroutine, which holds a token of inFlight, ends with
// the answer or the connection, so there are never more than MaxInFlight.
func (c *Client) do(ctx context.Context, op Op, inherited bool) Result {
	if err := op.check(len(c.chroot)); err != nil {
		return op.failed(err)
	}
	size := op.size(len(c.chroot))
	if c.limit.refuses(size, time.Now()) {
		return op.failed(ErrTooLarge)
	}
	doubt, losses := inherited, 0
	var bound *session
	for {
		s, err := c.acquire(ctx, bound)
		if err != nil {
			return op.failed(c.withDoubt(err, doubt && op.writes()))
		}
		bound = s
		r, sent, err := c.send(ctx, s, &op)
		if err != nil {
			return op.failed(c.withDoubt(err, (doubt || sent) && op.writes()))
		}
		if isConnectionLoss(r.Err) {
			doubt = true
			if losses++; losses == largeAttempts && size >= suspiciousBytes {
				c.limit.learn(size, time.Now())
				c.log.WithField("path", op.path).WithField("bytes", size).
					Warn("gave up a request behind which the connection was lost each time: it is larger than the server's jute.maxbuffer, it seems")
				return op.failed(ErrTooLarge)
			}
			continue
		}
		if doubt && r.Err != nil && op.writes() {
			if errors.Is(r.Err, ErrSessionExpired) {
				return op.failed(c.withDoubt(r.Err, true))
			}
			var again bool
			if r, again = c.resolve(ctx, s, &op, r); again {
				continue
			}
		}
		r.doubted = doubt
		return op.wrap(r)
	}
}

// check returns what is wrong with op whatever ZooKeeper holds.
func (op *Op) check(chroot int) error {
	if op.size(chroot) > maxRequestBytes {
		return ErrTooLarge
	}
	if op.kind != kindMulti {
		return checkPath(op.path, op.mode.sequential())
	}
	for i := range op.subs {
		if err := checkPath(op.subs[i].path, op.subs[i].mode.sequential()); err != nil {
			return op.subs[i].wrapError(err)
		}
	}
	return nil
}

// send has one request sent and answered on s. If ctx ends first it returns the context's error, and
// whether the request may have gone out.
func (c *Client) send(ctx context.Context, s *session, op *Op) (r Result, sent bool, err error) {
	select {
	case c.inFlight <- struct{}{}:
	case <-ctx.Done():
		return Result{}, false, ctx.Err()
	case <-c.quit:
		return Result{}, false, ErrClosed
	}
	answer := make(chan Result, 1)
	sending := *op // the goroutine may outlive the caller
	if !c.goRequest(func() {
		defer func() { <-c.inFlight }()
		answer <- s.call(&sending)
	}) {
		<-c.inFlight
		return Result{}, false, ErrClosed
	}
	select {
	case r := <-answer:
		return r, true, nil
	case <-ctx.Done():
		return Result{}, true, ctx.Err()
	}
}

// goRequest starts a goroutine that Close waits for, unless the Client is closed.
func (c *Client) goRequest(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.closed {
		return false
	}
	c.requests.Go(f)
	return true
}

// withDoubt adds to err that a write may have been done.
func (c *Client) withDoubt(err error, doubt bool) error {
	if !doubt {
		return err
	}
	return fmt.Errorf("%w; %w", err, ErrOutcomeUnknown)
}

// failed returns the result of an operation that got no answer.
func (op *Op) failed(err error) Result { return op.wrap(Result{Err: err}) }

// wrap gives r the path and the error the form in which callers get them.
func (op *Op) wrap(r Result) Result {
	if r.Path == "" {
		r.Path = op.path
	}
	if r.Err != nil {
		r.Err = op.wrapError(r.Err)
	}
	for i := range r.subs {
		if r.subs[i].Err != nil {
			r.subs[i].Err = op.subs[i].wrapError(r.subs[i].Err)
		}
	}
	return r
}

func (op *Op) wrapError(err error) error {
	if _, wrapped := errors.AsType[*Error](err); wrapped {
		return err
	}
	return &Error{Op: op.kind.String(), Path: op.path, Err: err}
}

func isNoNode(err error) bool     { return errors.Is(err, ErrNoNode) }
func isNodeExists(err error) bool { return errors.Is(err, ErrNodeExists) }
func isBadVersion(err error) bool { return errors.Is(err, ErrBadVersion) }
