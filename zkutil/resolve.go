package zkutil

import (
	"bytes"
	"context"
	"slices"
)

// resolve settles a write whose first answer was lost with the connection and whose repetition was
// refused with r: was it refused because of what the first sending did?
//
//   - create: the node is there. It is ours if it has the data that we gave it and, for an ephemeral one,
//     our session as owner. (Another broker may have made the same node with the same data: then it
//     does no harm to believe that it was us.)
//   - set with a version: the node has the next version and our data.
//   - delete: the node is gone. Whoever did it, it is done.
//   - multi: it is atomic, so that it was done if every part of it looks done.
//   - sequential create is not refused: a second node may be made, which the readers of all of Kafka's
//     sequential nodes bear. A set without a version is simply done twice.
//
// What was done and then undone or overwritten by others is reported as not done. Resolve returns
// again if the write should be sent once more, since what was in its way has gone.
func (c *Client) resolve(ctx context.Context, s *session, op *Op, r Result) (settled Result, again bool) {
	switch op.kind {
	case kindDelete:
		if isNoNode(r.Err) {
			return Result{Path: op.path}, false
		}
	case kindCreate:
		if isNodeExists(r.Err) {
			got := c.readAgain(ctx, s, op)
			switch {
			case isNoNode(got.Err):
				return r, true
			case got.Err != nil:
				return got, false
			case op.madeBy(s, &got, op.data):
				return Result{Path: op.path}, false
			}
		}
	case kindSet:
		if isBadVersion(r.Err) {
			got := c.readAgain(ctx, s, op)
			if got.Err != nil && !isNoNode(got.Err) {
				return got, false
			}
			if got.Err == nil && op.setBy(&got) {
				return Result{Path: op.path, Stat: got.Stat}, false
			}
		}
	case kindMulti:
		return c.resolveMulti(ctx, s, op, r), false
	}
	return r, false
}

// readAgain reads the node of op. Its failure leaves the doubt.
func (c *Client) readAgain(ctx context.Context, s *session, op *Op) Result {
	get := GetOp(op.path)
	get.raw = op.raw
	got := c.do(WithSession(ctx, s.id()), get, false)
	if got.Err != nil && !isNoNode(got.Err) {
		got.Err = c.withDoubt(got.Err, true)
	}
	return got
}

// madeBy reports whether got is the node that op, a create, has made in session s with data.
func (op *Op) madeBy(s *session, got *Result, data []byte) bool {
	if op.mode.ephemeral() != (got.Stat.EphemeralOwner != 0) {
		return false
	}
	if op.mode.ephemeral() && got.Stat.EphemeralOwner != s.id() {
		return false
	}
	return bytes.Equal(got.Data, data)
}

// setBy reports whether got is the node as op, a set, has left it.
func (op *Op) setBy(got *Result) bool {
	return bytes.Equal(got.Data, op.data) && (op.version == AnyVersion || got.Stat.Version == op.version+1)
}

// resolveMulti settles a multi: its result if all of it looks done, and else r.
func (c *Client) resolveMulti(ctx context.Context, s *session, op *Op, r Result) Result {
	if r.subs == nil || !mayBeOwnDoing(r) {
		return r
	}
	if slices.ContainsFunc(op.subs, func(sub Op) bool { return sub.kind == kindCreate && sub.mode.sequential() }) {
		r.Err = c.withDoubt(r.Err, true) // the node's name is in the lost answer
		return r
	}
	done := Result{subs: make([]Result, len(op.subs))}
	for i := range op.subs {
		sub := &op.subs[i]
		done.subs[i] = Result{Path: sub.path}
		if sub.kind == kindCheck {
			continue
		}
		got := c.readAgain(ctx, s, sub)
		if got.Err != nil && !isNoNode(got.Err) {
			return Result{Err: got.Err}
		}
		last := op.lastOn(sub.path)
		switch {
		case sub.kind == kindDelete && last.kind == kindDelete:
			if got.Err == nil {
				return r
			}
		case got.Err != nil:
			return r
		case sub.kind == kindCreate:
			if !sub.madeBy(s, &got, last.data) {
				return r
			}
		case sub.kind == kindSet && last.version == sub.version:
			if !sub.setBy(&got) {
				return r
			}
			done.subs[i].Stat = got.Stat
		}
	}
	return done
}

// lastOn returns the last operation of a multi that changes path, which has left the data there.
func (op *Op) lastOn(path string) *Op {
	for i := len(op.subs) - 1; i >= 0; i-- {
		if sub := &op.subs[i]; sub.path == path && sub.kind != kindCheck {
			return sub
		}
	}
	return nil
}

// mayBeOwnDoing reports whether the failure r of a multi can come of its own earlier success.
func mayBeOwnDoing(r Result) bool {
	return slices.ContainsFunc(r.subs, func(sub Result) bool {
		return isNodeExists(sub.Err) || isBadVersion(sub.Err) || isNoNode(sub.Err)
	})
}
