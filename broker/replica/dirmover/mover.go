// Package dirmover copies replicas into other log directories of the same broker (KIP-113; Kafka's
// ReplicaAlterLogDirsThread).
//
// A Pool has a queue of replicas, and as many goroutines as it may have, while there is something in it.
// Each takes a replica, copies a chunk of it, and puts it back behind the others; one that has been copied
// is put in the place of the old one (replica.Partition.Promote). How to copy and when to cut is package
// replica's business.
//
// Lock order: Pool.mu is a leaf.
package dirmover

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Throttle limits how fast is copied (replica.alter.log.dirs.io.max.bytes.per.second).
type Throttle interface {
	// Record counts bytes that were copied.
	Record(bytes int, now time.Time)
	// Wait returns how long nothing is to be copied.
	Wait(now time.Time) time.Duration
}

// Options configure a Pool. A zero field takes the default named beside it.
type Options struct {
	Threads  int                // goroutines (num.replica.alter.log.dirs.threads): 1
	Throttle Throttle           // none
	Logger   logrus.FieldLogger // required
}

// Pool copies replicas. It implements replica.Mover.
type Pool struct {
	opts   Options
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		ctx     context.Context // of goroutines; nil once closed
		queue   []*move
		moves   map[topic.Partition]*move // in the queue, or taken from it
		running int
	}
}

// move is one replica on its way.
type move struct {
	*replica.Partition
	began     time.Time
	copied    int64
	forgotten bool // guarded by Pool.mu, as is again:
	again     bool // it was to be moved since; perhaps just when the move before had come to its end
}

// New returns a Pool without anything to copy.
func New(opts Options) (*Pool, error) {
	if opts.Logger == nil {
		return nil, errors.New("dirmover: Options needs a Logger")
	}
	opts.Threads = max(1, cmp.Or(opts.Threads, 1))
	p := &Pool{opts: opts}
	p.mu.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.moves = map[topic.Partition]*move{}
	return p, nil
}

// Close ends the copying and returns when nothing is being copied any more. What is not finished goes on after
// the next start.
func (p *Pool) Close() {
	p.mu.Lock()
	p.mu.ctx = nil
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// Move implements replica.Mover.
func (p *Pool) Move(what *replica.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.ctx == nil {
		return
	}
	if m := p.mu.moves[what.Partition]; m != nil && m.Partition == what {
		m.again = true
		return
	}
	m := &move{Partition: what, began: time.Now()}
	p.mu.moves[what.Partition] = m
	p.mu.queue = append(p.mu.queue, m)
	if p.mu.running < p.opts.Threads {
		p.mu.running++
		ctx := p.mu.ctx
		p.wg.Go(func() { p.run(ctx) })
	}
}

// Forget implements replica.Mover.
func (p *Pool) Forget(name topic.Partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.mu.moves[name]
	if m == nil {
		return
	}
	m.forgotten = true
	delete(p.mu.moves, name)
	p.mu.queue = slices.DeleteFunc(p.mu.queue, func(q *move) bool { return q == m })
}

// run copies until nothing is left to copy, or ctx ends.
func (p *Pool) run(ctx context.Context) {
	var buf []byte
	for m := p.next(nil); m != nil; {
		again := p.pause(ctx) && p.step(m, &buf)
		switch {
		case ctx.Err() != nil:
			return
		case again:
			m = p.next(m)
		default:
			p.finished(m)
			m = p.next(nil)
		}
	}
}

// next takes the first replica of the queue, to whose end it puts back another one. Without any, nil, the
// goroutine is not counted as running any more.
func (p *Pool) next(back *move) *move {
	p.mu.Lock()
	defer p.mu.Unlock()
	if back != nil && !back.forgotten {
		p.mu.queue = append(p.mu.queue, back)
	}
	if len(p.mu.queue) == 0 {
		p.mu.queue = nil
		p.mu.running--
		return nil
	}
	m := p.mu.queue[0]
	p.mu.queue[0] = nil
	p.mu.queue = p.mu.queue[1:]
	return m
}

// finished ends a move, unless it is to begin again.
func (p *Pool) finished(m *move) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.mu.moves[m.Partition.Partition] != m:
	case m.again:
		m.again, m.began, m.copied = false, time.Now(), 0
		p.mu.queue = append(p.mu.queue, m)
	default:
		delete(p.mu.moves, m.Partition.Partition)
	}
}

// pause waits as long as the throttle says; false if ctx has ended.
func (p *Pool) pause(ctx context.Context) bool {
	for p.opts.Throttle != nil && ctx.Err() == nil {
		wait := p.opts.Throttle.Wait(time.Now())
		if wait <= 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(wait, longestPause)): // the limit may be raised meanwhile
		}
	}
	return ctx.Err() == nil
}

const longestPause = time.Second

// step copies a chunk. It returns false if there is nothing more to do for the replica.
func (p *Pool) step(m *move, buf *[]byte) bool {
	n, caughtUp, err := m.CopyToFuture(buf)
	m.copied += int64(n)
	if p.opts.Throttle != nil && n > 0 {
		p.opts.Throttle.Record(n, time.Now())
	}
	done := false
	switch {
	case err != nil:
	case caughtUp:
		done, err = m.Promote(buf)
	case n == 0:
		err = errors.New("the log has no records where the copy ends")
	}
	log := p.opts.Logger.WithField("topic", m.Topic).WithField("partition", m.Index)
	switch {
	case errors.Is(err, replica.ErrNotMoving), errors.Is(err, storage.ErrClosed):
		return false // cancelled or deleted
	case err != nil:
		log.WithError(err).Error("cannot move the replica to another log directory")
		return false
	case done:
		log.WithField("dir", m.Log().Dir()).WithField("bytes", m.copied).WithField("took", time.Since(m.began).Round(time.Millisecond)).
			Info("moved the replica to another log directory")
	}
	return !done
}

var _ replica.Mover = (*Pool)(nil)
