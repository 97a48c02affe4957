package fetcher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// shortestHold is how long a throttled partition is left out at least: its leader hears of that twice.
const shortestHold = 50 * time.Millisecond

// loop copies partitions from one leader over one connection. All but mu belongs to the goroutine of run.
type loop struct {
	pool   *Pool
	source source
	log    logrus.FieldLogger

	set      *set
	conn     *interbroker.Conn // nil: none
	buffer   []byte            // of the last answer
	failures int               // of the connection, in a row

	wake chan struct{} // holds an element once there are notes

	mu struct {
		sync.Mutex
		notes     []note             // bounded by what is followed: each partition is noted when it changes
		interrupt context.CancelFunc // of the poll that is on; nil: none
		hurry     *time.Timer        // will interrupt it; nil: not set
	}
}

func newLoop(p *Pool, from source) *loop {
	o := &p.opts
	return &loop{
		pool: p, source: from, wake: make(chan struct{}, 1),
		log: o.Logger.WithField("leader", from.leader).WithField("fetcher", from.number),
		set: newSet(limits{
			maxWait: o.MaxWait, minBytes: int32(o.MinBytes), maxBytes: int32(o.MaxBytes),
			partitionMaxBytes: int32(o.PartitionMaxBytes), pause: o.BackOff,
		}),
	}
}

// run copies until there is nothing left to copy, or ctx ends.
func (l *loop) run(ctx context.Context) {
	defer l.disconnect()
	for ctx.Err() == nil {
		l.takeNotes()
		if len(l.set.all) == 0 {
			if l.pool.retire(l) {
				return
			}
			continue
		}
		now := time.Now()
		l.holdThrottled(now)
		req, wait := l.set.next(now)
		if req == nil {
			l.sleep(ctx, wait)
			continue
		}
		if err := l.fetch(ctx, req); err != nil {
			l.failed(ctx, err)
		} else {
			l.failures = 0
		}
	}
}

// sleep waits for notes, or for d unless that is negative.
func (l *loop) sleep(ctx context.Context, d time.Duration) {
	var after <-chan time.Time
	if d >= 0 {
		after = time.After(d)
	}
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-after:
	}
}

// failed ends the connection and pauses. The leader may be gone, in which case the controller says so soon.
func (l *loop) failed(ctx context.Context, err error) {
	l.disconnect()
	l.set.restart()
	if ctx.Err() != nil || errors.Is(err, errInterrupted) {
		return
	}
	pause := pauseAfter(l.failures, l.pool.opts.BackOff)
	if l.failures++; l.failures == 1 || pause == l.pool.opts.BackOff && pauseAfter(l.failures-2, pause) < pause {
		l.log.WithError(err).Warn("cannot fetch from the leader, trying again")
	}
	l.sleep(ctx, pause)
}

func (l *loop) disconnect() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

func (l *loop) connect(ctx context.Context) error {
	if l.conn != nil {
		return nil
	}
	addr, ok := l.pool.opts.Address(l.source.leader)
	if !ok {
		return fmt.Errorf("broker %d is not alive", l.source.leader)
	}
	conn, err := l.pool.opts.Dial(ctx, addr)
	if err != nil {
		return err
	}
	l.conn = conn
	return nil
}

// holdThrottled leaves throttled partitions out while their rate is exceeded, but for those that have all that is
// committed: without the next records they would fall out of the ISR.
func (l *loop) holdThrottled(now time.Time) {
	throttle := l.pool.opts.Throttle
	if !throttle.Any() {
		return
	}
	if wait := throttle.Wait(now); wait > 0 {
		due := now.Add(min(max(wait, shortestHold), l.pool.opts.BackOff))
		l.set.hold(now, due, func(p *partition) bool { return !p.caughtUp && throttle.Throttled(p.name) })
	}
}

// settle notes where p continues, and whether it has all that is committed, or what is wrong with it.
func (l *loop) settle(p *partition, place replica.Place, caughtUp bool, err error) {
	switch {
	case err == nil:
		l.set.advance(p, place, caughtUp)
	case errors.Is(err, replica.ErrNotFollower), errors.Is(err, storage.ErrClosed), errors.Is(err, storage.ErrStorage):
		l.set.remove(p.name)
		l.refused(p.name, err)
	case errors.Is(err, replica.ErrUnexpectedOffset):
		if place, again := p.Begin(); again == nil {
			p.place = place
		}
		l.pause(p, err)
	default:
		l.pause(p, err)
	}
}

// refused logs why a replica is not fetched until the controller speaks of it again. That it does not follow
// any more is no news: a note about it is on its way.
func (l *loop) refused(name topic.Partition, err error) {
	if !errors.Is(err, replica.ErrNotFollower) && !errors.Is(err, storage.ErrClosed) {
		l.logger(name).WithError(err).Error("cannot write the replica, it is not fetched any more")
	}
}

// pause leaves p out for a while. What passes by itself, while the leader learns of its leadership, is logged
// only if it does not pass.
func (l *loop) pause(p *partition, err error) {
	first := p.failures == 0
	before := pauseAfter(p.failures-1, l.pool.opts.BackOff)
	after := l.set.fail(p, time.Now())
	_, fromLeader := errors.AsType[*kerr.Error](err)
	if first && !fromLeader || !first && after == l.pool.opts.BackOff && before < after {
		l.logger(p.name).WithField("offset", p.place.Offset).WithError(err).Warn("cannot fetch the partition, trying again")
	}
}

func (l *loop) logger(name topic.Partition) logrus.FieldLogger {
	return l.log.WithField("topic", name.Topic).WithField("partition", strconv.Itoa(int(name.Index)))
}
