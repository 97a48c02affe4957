package zkutil

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// Bounds of one multi made by MultiBatch. A server refuses a request of more than jute.maxbuffer, by
// default 1 MiB, and a multi holds up all other clients while it is carried out.
const (
	batchOps   = 128
	batchBytes = 256 << 10
	// batchesInFlight is how many multis of one MultiBatch are out at once: enough to keep the server
	// busy, few enough to leave room for others.
	batchesInFlight = 8
)

// Do carries out ops, which do not depend on each other, with up to MaxInFlight of them out at once,
// and returns the result of each, in the order of ops. They may be done in any order.
func (c *Client) Do(ctx context.Context, ops ...Op) []Result {
	results := make([]Result, len(ops))
	c.each(len(ops), c.opts.MaxInFlight, func(i int) { results[i] = c.do(ctx, ops[i], false) })
	return results
}

// GetAll reads many nodes. The results are in the order of paths; that of an absent node has an error
// that wraps ErrNoNode.
func (c *Client) GetAll(ctx context.Context, paths []string) []Result {
	return c.GetAllW(ctx, paths, nil)
}

// GetAllW is GetAll, and has w, unless it is nil, called for each node that is changed or deleted.
func (c *Client) GetAllW(ctx context.Context, paths []string, w *Watcher) []Result {
	ops := make([]Op, len(paths))
	for i, path := range paths {
		ops[i] = GetOp(path).Watch(w)
	}
	return c.Do(ctx, ops...)
}

// MultiBatch carries out ops, which do not depend on each other, each under the condition guard (a
// CheckOp), in few multis of many operations. When a multi fails, its operations are tried one by one,
// each with the guard, so that each gets its own result. The results are in the order of ops.
//
// The error is that of the guard: if it is not nil, the operations that were done have their results,
// and the others this error. Errors of operations are in the results only.
func (c *Client) MultiBatch(ctx context.Context, guard Op, ops []Op) ([]Result, error) {
	groups := make([][]Op, len(ops))
	for i := range ops {
		groups[i] = ops[i : i+1]
	}
	grouped, err := c.MultiGroups(ctx, guard, groups)
	results := make([]Result, len(ops))
	for i := range grouped {
		results[i] = grouped[i][0]
	}
	return results, err
}

// MultiGroups is MultiBatch for groups of operations that must be done in order, such as a node and its
// child. A group is not atomic: if its multi fails, its operations are done one after the other, those
// behind a failed one too.
func (c *Client) MultiGroups(ctx context.Context, guard Op, groups [][]Op) ([][]Result, error) {
	results := make([][]Result, len(groups))
	var guardError atomic.Pointer[error]
	batches := splitBatches(groups, len(c.chroot))
	c.each(len(batches), batchesInFlight, func(i int) {
		b := batches[i]
		if err := guardError.Load(); err != nil {
			failGroups(results, groups, b, *err)
			return
		}
		if err := c.batch(ctx, guard, groups, results, b); err != nil {
			guardError.CompareAndSwap(nil, &err)
		}
	})
	if err := guardError.Load(); err != nil {
		return results, *err
	}
	return results, nil
}

// span is a range of groups: first to end-1.
type span struct{ first, end int }

// splitBatches cuts groups into spans that each fit into one multi, or hold one group that does not.
func splitBatches(groups [][]Op, chroot int) []span {
	var spans []span
	ops, size := 0, 0
	for i, group := range groups {
		groupSize := 0
		for j := range group {
			groupSize += group[j].size(chroot)
		}
		if len(spans) == 0 || ops+len(group) > batchOps || size+groupSize > batchBytes {
			spans = append(spans, span{i, i})
			ops, size = 0, 0
		}
		spans[len(spans)-1].end = i + 1
		ops += len(group)
		size += groupSize
	}
	return spans
}

// batch does the groups of b in one multi or, if that fails, one by one. It returns the guard's error.
func (c *Client) batch(ctx context.Context, guard Op, groups [][]Op, results [][]Result, b span) error {
	multi := Op{kind: kindMulti, subs: []Op{guard}}
	for _, group := range groups[b.first:b.end] {
		multi.subs = append(multi.subs, group...)
	}
	r := c.do(ctx, multi, false)
	switch {
	case r.Err == nil:
		n := 1
		for i := b.first; i < b.end; i++ {
			results[i] = r.subs[n : n+len(groups[i]) : n+len(groups[i])]
			n += len(groups[i])
		}
		return nil
	case r.subs == nil: // not even refused: no connection, no session, too large
		failGroups(results, groups, b, r.Err)
		return nil
	case !errors.Is(r.subs[0].Err, ErrRolledBack):
		failGroups(results, groups, b, r.subs[0].Err)
		return r.subs[0].Err
	case len(multi.subs) == 2:
		results[b.first] = r.subs[1:]
		return nil
	}
	return c.singly(ctx, guard, groups, results, b, r.doubted)
}

// singly does the groups of b side by side, and the operations of each one after the other. Doubted says
// that they may have been done already.
func (c *Client) singly(ctx context.Context, guard Op, groups [][]Op, results [][]Result, b span, doubted bool) error {
	var guardError atomic.Pointer[error]
	c.each(b.end-b.first, c.opts.MaxInFlight, func(i int) {
		group := groups[b.first+i]
		results[b.first+i] = make([]Result, len(group))
		for j := range group {
			multi := Op{kind: kindMulti, subs: []Op{guard, group[j]}}
			r := c.do(ctx, multi, doubted)
			result := &results[b.first+i][j]
			switch {
			case r.subs == nil:
				*result = group[j].failed(ofMulti(r.Err))
			case r.subs[0].Err != nil && !errors.Is(r.subs[0].Err, ErrRolledBack):
				*result = group[j].failed(r.subs[0].Err)
				guardError.CompareAndSwap(nil, &r.subs[0].Err)
			default:
				*result = r.subs[1]
			}
		}
	})
	if err := guardError.Load(); err != nil {
		return *err
	}
	return nil
}

// failGroups gives all operations of b the error of their multi, as if it were their own.
func failGroups(results [][]Result, groups [][]Op, b span, err error) {
	err = ofMulti(err)
	for i := b.first; i < b.end; i++ {
		results[i] = make([]Result, len(groups[i]))
		for j := range groups[i] {
			results[i][j] = groups[i][j].failed(err)
		}
	}
}

// ofMulti takes the name of the multi off err, which then can be given the name of an operation.
func ofMulti(err error) error {
	if whole, ok := errors.AsType[*Error](err); ok && whole.Path == "" {
		return whole.Err
	}
	return err
}

// each calls f for 0 to n-1 on up to limit goroutines, and returns when all are done.
func (c *Client) each(n, limit int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, limit) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
