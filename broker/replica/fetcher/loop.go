package fetcher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// grace is how long a poll may go on after partitions have been added.
const grace = 10 * time.Millisecond

// shortestHold is how long a throttled partition is left out at least: its leader hears of that twice.
const shortestHold = 50 * time.Millisecond

// A large buffer is kept from one answer to the next while answers are large.
const (
	keepBuffer  = 1 << 20
	smallAnswer = 64 << 10
)

// note tells a loop of a partition: to follow it, to hand it over (see Pool.Resize) or, without either, not to
// follow it.
type note struct {
	name   topic.Partition
	follow *replica.Following
	move   bool
}

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

// leave leaves notes for the loop.
func (l *loop) leave(notes []note) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.notes = append(l.mu.notes, notes...)
	l.hurryLocked()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// hurryLocked gives a poll that is on a little more time, if there is a note about something to follow.
func (l *loop) hurryLocked() {
	adds := func(n note) bool { return n.follow != nil || n.move }
	if l.mu.interrupt != nil && l.mu.hurry == nil && slices.ContainsFunc(l.mu.notes, adds) {
		l.mu.hurry = time.AfterFunc(grace, l.hurryUp)
	}
}

// hurryUp breaks the poll off that keeps the loop from its notes.
func (l *loop) hurryUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.interrupt != nil && len(l.mu.notes) > 0 {
		l.mu.interrupt()
	}
}

func (l *loop) hasNotes() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.notes) > 0
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

// takeNotes takes over what is to be followed, and what not any more.
func (l *loop) takeNotes() {
	l.mu.Lock()
	notes := l.mu.notes
	l.mu.notes = nil
	select {
	case <-l.wake:
	default:
	}
	l.mu.Unlock()
	added, removed := 0, 0
	for _, n := range notes {
		copied := l.set.all[n.name]
		l.set.remove(n.name)
		if n.move && copied != nil {
			l.pool.moved(n.name, l, copied.Following)
		}
		if n.follow == nil {
			removed++
			continue
		}
		place, err := n.follow.Begin()
		if err != nil {
			l.refused(n.name, err)
			continue
		}
		l.set.add(*n.follow, n.name, n.follow.Replica.Log().TopicID(), place)
		added++
	}
	if added+removed > 0 {
		l.log.Debugf("fetching %d more partitions, %d less, %d in all", added, removed, len(l.set.all))
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

// errInterrupted ends a poll because there are notes.
var errInterrupted = errors.New("interrupted by changes")

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

// fetch sends one request and takes its answer over.
func (l *loop) fetch(ctx context.Context, req *wire.FetchRequest) error {
	req.ReplicaID, req.ReplicaEpoch = l.pool.opts.BrokerID, l.pool.opts.BrokerEpoch()
	body, err := l.poll(ctx, req)
	if err != nil {
		return err
	}
	in, err := wire.ReadFetch(req.Version, body)
	if err != nil {
		return err
	}
	switch in.ErrorCode {
	case 0:
		l.set.answered(in.SessionID)
	case kerr.FetchSessionIDNotFound.Code:
		l.set.lost()
		return nil
	case kerr.InvalidFetchSessionEpoch.Code, kerr.FetchSessionTopicIDError.Code:
		l.set.restart()
		return nil
	default:
		return kerr.ErrorForCode(in.ErrorCode)
	}
	var outside []*partition
	for a, ok := in.Next(); ok; a, ok = in.Next() {
		p := l.set.find(a)
		switch {
		case p == nil:
		case a.ErrorCode == kerr.OffsetOutOfRange.Code:
			outside = append(outside, p)
		default:
			place, err := p.take(a)
			if err == nil && l.pool.opts.Throttle.Throttled(p.name) {
				l.pool.opts.Throttle.Record(len(a.Records), time.Now())
			}
			l.settle(p, place, place.Offset >= a.HighWatermark, err)
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return l.outOfRange(ctx, outside)
}

// poll sends req and returns the body of the answer, which is valid until the next call.
func (l *loop) poll(ctx context.Context, req *wire.FetchRequest) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.mu.interrupt = cancel
	l.hurryLocked() // for notes that were left since takeNotes
	l.mu.Unlock()
	err := l.connect(ctx)
	var body []byte
	if err == nil {
		body, err = l.conn.Exchange(ctx, req, l.buffer[:0])
	}
	l.mu.Lock()
	l.mu.interrupt = nil
	if l.mu.hurry != nil {
		l.mu.hurry.Stop()
		l.mu.hurry = nil
	}
	l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if l.buffer = body; cap(body) > keepBuffer && len(body) < smallAnswer {
		l.buffer = nil
	}
	return body, err
}

// take carries out what the leader has answered for p.
func (p *partition) take(a *wire.FetchedFrom) (replica.Place, error) {
	switch {
	case a.ErrorCode != 0:
		return replica.Place{}, kerr.ErrorForCode(a.ErrorCode)
	case a.Diverging != wire.NoEpochEnd:
		place, err := p.Diverged(a.Diverging.Epoch, a.Diverging.EndOffset)
		if err == nil && place == p.toldAs {
			err = fmt.Errorf("the leader's log diverges at %d of epoch %d, which is of no help", a.Diverging.EndOffset, a.Diverging.Epoch)
		}
		return place, err
	}
	return p.Append(&replica.Fetched{
		Offset: p.toldAs.Offset, Records: a.Records, HighWatermark: a.HighWatermark, LogStart: a.LogStartOffset,
	})
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
