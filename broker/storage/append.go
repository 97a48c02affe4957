package storage

import (
	"fmt"
	"math"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// AppendLeader is AppendLeaderAll of one Append. The error is its Err.
func (l *Log) AppendLeader(records []byte, o AppendOptions) (Appended, error) {
	one := [1]Append{{Records: records, Options: o}}
	l.AppendLeaderAll(one[:])
	return one[0].Done, one[0].Err
}

// Append is one of the appends that AppendLeaderAll does.
type Append struct {
	// Records are changed in place, and belong to the caller again when AppendLeaderAll returns.
	Records []byte
	Options AppendOptions

	// Done and Err are what has become of it. Errors: record's, producer's, ErrRecordListTooLarge,
	// ErrStorage, ErrClosed. A duplicate of one of the last batches of its producer is not an error
	// (Appended.Duplicate).
	Done Appended
	Err  error

	valid record.Validated
}

// AppendLeaderAll validates records, gives them offsets and appends them, in order and each as if it
// were alone; those that can be written together are, in one write, which costs the file system much
// less than several. What one is refused for does not keep out the next.
func (l *Log) AppendLeaderAll(appends []Append) {
	c := l.config.Load()
	for i := range appends {
		a := &appends[i]
		a.valid, a.Err = c.Policy.Validate(a.Records, a.Options.Origin, a.Options.Now)
		if a.Err == nil {
			a.Err = l.checkSize(c, &a.valid)
		}
		a.Done = l.nothing()
	}
	l.mu.Lock()
	for rest := appends; len(rest) > 0; {
		rest = rest[l.appendGroupLocked(c, rest):]
	}
	l.mu.Unlock()
	if err := l.flushIfDue(c); err != nil {
		for i := range appends {
			if appends[i].Err == nil {
				appends[i].Err = err
			}
		}
	}
}

// nothing is what an append did that wrote nothing.
func (l *Log) nothing() Appended {
	return Appended{First: -1, Last: -1, AppendTime: -1, LogStart: l.start.Load(), LogEnd: l.end.Load()}
}

func (l *Log) checkSize(c *LogConfig, v *record.Validated) error {
	if len(v.Records) > c.SegmentBytes {
		return fmt.Errorf("%w: message batch size is %d bytes in append to partition %s, which exceeds the maximum configured segment size of %d",
			ErrRecordListTooLarge, len(v.Records), l.partition, c.SegmentBytes)
	}
	return nil
}

// appendGroupLocked does the first of appends, and those behind it that can be written with it. It
// returns how many it has dealt with, at least one. It requires mu.
//
// Producers are checked before anything is touched, so that a refused or repeated batch leaves no
// trace: no epoch, no roll. What a batch is refused for may be that the one before it, with which it
// would be written, is not in the log yet; so the group ends there, and the batch is looked at again
// when the group is written.
func (l *Log) appendGroupLocked(c *LogConfig, appends []Append) int {
	if err := l.usableLocked(); err != nil {
		appends[0].refuse(err)
		return 1
	}
	pending := l.mu.producers.Prepare(appends[0].Options.Origin, appends[0].Options.VerifyTransaction)
	end, n := l.end.Load(), 0
	var g group
	for ; n < len(appends); n++ {
		a := &appends[n]
		if !a.written() {
			continue
		}
		a.valid.Assign(end, a.Options.Epoch) // first: whether it may join depends on its offsets
		if len(appends) > 1 && !l.mayJoinLocked(c, &g, a) {
			break
		}
		first, dup, err := addAll(pending, a)
		if err == nil && !dup {
			end = a.valid.LastOffset + 1
			g.add(a)
			continue
		}
		if g.appends > 0 {
			pending = l.prepareAgainLocked(appends[:n])
			break
		}
		if dup {
			a.Done = l.nothing()
			a.Done.First, a.Done.Last, a.Done.AppendTime, a.Done.Duplicate = first.FirstOffset(), first.LastOffset, first.Timestamp, true
			return n + 1
		}
		a.refuse(err)
		return n + 1
	}
	if g.appends > 0 {
		l.writeGroupLocked(c, appends[:n], &g, pending)
	}
	return n
}

// refuse notes why a is not in the log, unless that is known.
func (a *Append) refuse(err error) {
	if a.Err == nil {
		a.Err = err
	}
}

// addAll adds the batches of a to pending. See producer.Append.Add.
func addAll(pending *producer.Append, a *Append) (first producer.Batch, dup bool, err error) {
	for rest := a.valid.Records; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			return first, false, err
		}
		if first, dup, err = pending.Add(b, a.Options.Guard); err != nil || dup {
			return first, dup, err
		}
		rest = next
	}
	pending.Next()
	return first, false, nil
}

// prepareAgainLocked checks again what was found good, now without what was tried behind it. It
// requires mu.
func (l *Log) prepareAgainLocked(appends []Append) *producer.Append {
	pending := l.mu.producers.Prepare(appends[0].Options.Origin, appends[0].Options.VerifyTransaction)
	for i := range appends {
		if a := &appends[i]; a.written() {
			_, _, err := addAll(pending, a)
			a.refuse(err) // cannot be: it was added to the same state before
		}
	}
	return pending
}

// groupMax is how many appends are written at once.
const groupMax = 32

// group is what is known of appends that are written together.
type group struct {
	first, last *Append
	appends     int
	bytes       int
	alone       bool // the first append begins a segment: only then is known whether that takes another
}

func (g *group) add(a *Append) {
	if g.first == nil {
		g.first = a
	}
	g.last = a
	g.appends++
	g.bytes += len(a.valid.Records)
}

// mayJoinLocked reports whether a can be written together with the group before it: nothing in between
// may begin a new segment. Its offsets are assigned. It requires mu.
func (l *Log) mayJoinLocked(c *LogConfig, g *group, a *Append) bool {
	if g.alone {
		return false
	}
	if len(*l.segments.Load()) == 0 || l.active().Size() == 0 {
		g.alone = true
		return true
	}
	due, err := l.rollDueLocked(c, &a.valid, g.bytes, a.Options.Now)
	if g.appends == 0 {
		g.alone = due || err != nil // an error is met again when a is written
		return true
	}
	o, f := &a.Options, &g.first.Options
	return err == nil && !due && g.appends < groupMax &&
		o.Origin == f.Origin && o.VerifyTransaction == f.VerifyTransaction
}

// writeGroupLocked writes those of appends that are not refused, which are g's. It requires mu.
func (l *Log) writeGroupLocked(c *LogConfig, appends []Append, g *group, pending *producer.Append) {
	l.mu.group = l.mu.group[:0]
	for i := range appends {
		if appends[i].written() {
			l.mu.group = append(l.mu.group, appends[i].valid.Records)
		}
	}
	err := l.writeLocked(c, &g.first.valid, &g.last.valid, pending, g.first.Options.Now)
	for i := range appends {
		switch a := &appends[i]; {
		case !a.written():
		case err != nil:
			a.Err = err
		default:
			a.Done = l.appended(&a.valid)
		}
	}
}

// written reports whether a has something to write, and is not refused.
func (a *Append) written() bool { return a.Err == nil && len(a.valid.Records) > 0 }

func (l *Log) appended(v *record.Validated) Appended {
	return Appended{
		First: v.FirstOffset, Last: v.LastOffset, AppendTime: v.AppendTime,
		LogStart: l.start.Load(), LogEnd: l.end.Load(),
		Bytes: len(v.Records), Records: v.Count, Converted: v.Converted,
	}
}

// writeLocked appends the batches in mu.group, whose offsets are final and of which first and last are
// the first and the last ones, and then applies what they change in the producer state. It requires
// mu. An error means that the log's directory has failed.
func (l *Log) writeLocked(c *LogConfig, first, last *record.Validated, pending *producer.Append, now int64) error {
	defer l.dropGroupLocked()
	for _, records := range l.mu.group {
		if err := record.Each(records, l.assignEpochLocked); err != nil {
			return l.failed("record the leader epoch", err)
		}
	}
	l.queueLocked()
	if err := l.createFirstLocked(); err != nil {
		return err
	}
	if err := l.rollIfDueLocked(c, first, now); err != nil {
		return err
	}
	active := l.active()
	if err := active.Append(l.mu.group...); err != nil {
		return l.failed("append", err)
	}
	if err := l.commitProducersLocked(active, pending); err != nil {
		return l.failed("write the transaction index", err)
	}
	l.mu.producers.SetEnd(last.LastOffset + 1)
	l.updateUnstableLocked() // before the end: nobody may read the beginning of a transaction as stable
	l.end.Store(last.LastOffset + 1)
	return nil
}

// dropGroupLocked lets go of what was written. It requires mu.
func (l *Log) dropGroupLocked() {
	clear(l.mu.group)
	l.mu.group = l.mu.group[:0]
}

// assignEpochLocked notes the leader epoch of a batch; the old formats have none, and make what is
// known useless (KIP-101). It requires mu.
func (l *Log) assignEpochLocked(b record.Batch) error {
	if b.Magic() < record.MagicV2 {
		return l.epochs.Clear()
	}
	if b.LeaderEpoch() < 0 {
		return nil // written before KIP-101 by a broker that knew no epochs
	}
	return l.epochs.Assign(b.LeaderEpoch(), b.BaseOffset())
}

// rollDueLocked reports whether a new segment has to begin before v, if ahead bytes are appended to the
// active one before. It requires mu.
func (l *Log) rollDueLocked(c *LogConfig, v *record.Validated, ahead int, now int64) (bool, error) {
	state, err := l.active().RollState()
	if err != nil {
		return false, l.failed("read the first batch", err)
	}
	state.Size += int64(ahead)
	limits := segment.RollLimits{Bytes: int64(c.SegmentBytes), AgeMs: c.maxSegmentMs(), JitterMs: l.mu.jitterMs}
	in := segment.Incoming{Size: int64(len(v.Records)), MaxTimestamp: v.MaxTimestamp, LastOffset: v.LastOffset}
	return segment.ShouldRoll(limits, state, in, now), nil
}

// rollIfDueLocked begins a new segment if v must not go into the active one. It requires mu.
func (l *Log) rollIfDueLocked(c *LogConfig, v *record.Validated, now int64) error {
	due, err := l.rollDueLocked(c, v, 0, now)
	if err != nil || !due {
		return err
	}
	base := v.FirstOffset
	if record.Batch(v.Records).Magic() < record.MagicV2 {
		// The first offset of a compressed message is not known without decompressing it; this is the
		// lowest base that still lets the last offset be indexed.
		base = v.LastOffset - math.MaxInt32
	}
	return l.rollLocked(base)
}

// rollLocked seals the active segment and begins one at base or, if that is higher, at the log's end.
// The old one is synced in the background. It requires mu.
func (l *Log) rollLocked(base int64) error {
	base = max(base, l.end.Load())
	old := l.active()
	if old.Base() == base {
		return nil // it is empty, and can be used as it is
	}
	if err := l.nameFirstLocked(); err != nil {
		return err
	}
	if err := old.Seal(); err != nil {
		return l.failed("seal a segment", err)
	}
	l.mu.producers.SetEnd(base)
	if err := l.snapshotLocked(); err != nil {
		return l.failed("write a producer snapshot", err)
	}
	s, err := l.createSegment(base)
	if err != nil {
		return l.failed("create a segment", err)
	}
	segments := append(slices.Clip(*l.segments.Load()), s)
	l.segments.Store(&segments)
	l.drawJitterLocked()
	l.logger().WithField("offset", base).Info("Rolled new log segment")
	l.rolled.Store(base)
	l.env.flush.add(l)
	return nil
}
