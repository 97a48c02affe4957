package storage

import (
	"fmt"
	"math"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// AppendLeader validates records, gives them offsets and appends them in one write. records is
// changed in place and belongs to the caller again when AppendLeader returns. A duplicate of one of
// the last batches of its producer is not an error (Appended.Duplicate).
//
// Errors: record's, producer's, ErrRecordListTooLarge, ErrStorage, ErrClosed.
func (l *Log) AppendLeader(records []byte, o AppendOptions) (Appended, error) {
	c := l.config.Load()
	v, err := c.Policy.Validate(records, o.Origin, o.Now)
	if err == nil {
		err = l.checkSize(c, &v)
	}
	if err != nil {
		return l.nothing(), err
	}
	l.mu.Lock()
	a, err := l.appendLeaderLocked(c, &v, &o)
	l.mu.Unlock()
	if err == nil {
		err = l.flushIfDue(c)
	}
	return a, err
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

// appendLeaderLocked requires mu.
func (l *Log) appendLeaderLocked(c *LogConfig, v *record.Validated, o *AppendOptions) (Appended, error) {
	if err := l.usableLocked(); err != nil || len(v.Records) == 0 {
		return l.nothing(), err
	}
	v.Assign(l.end.Load(), o.Epoch)
	// Producers are checked before anything is touched, so that a refused or repeated batch leaves no
	// trace: no epoch, no roll.
	pending := l.mu.producers.Prepare(o.Origin, o.VerifyTransaction)
	for rest := v.Records; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err != nil {
			return l.nothing(), err
		}
		first, dup, err := pending.Add(b, o.Guard)
		if err != nil {
			return l.nothing(), err
		}
		if dup {
			a := l.nothing()
			a.First, a.Last, a.AppendTime, a.Duplicate = first.FirstOffset(), first.LastOffset, first.Timestamp, true
			return a, nil
		}
		rest = next
	}
	if err := l.writeLocked(c, v, pending, o.Now); err != nil {
		return l.nothing(), err
	}
	return l.appended(v), nil
}

// AppendFollower appends what was fetched from the leader: whole batches, offsets and epochs as they
// are; a partial batch at the end is left out. An empty log whose end lies within the first batch
// starts anew at that batch's base offset.
//
// Errors: record's, ErrUnexpectedAppendOffset, ErrRecordListTooLarge, ErrStorage, ErrClosed.
func (l *Log) AppendFollower(records []byte) (Appended, error) {
	c := l.config.Load()
	v, err := record.CheckReplicated(records)
	if err == nil {
		err = l.checkSize(c, &v)
	}
	if err != nil {
		return l.nothing(), err
	}
	l.mu.Lock()
	a, err := l.appendFollowerLocked(c, &v)
	l.mu.Unlock()
	if err == nil {
		err = l.flushIfDue(c)
	}
	return a, err
}

// appendFollowerLocked requires mu.
func (l *Log) appendFollowerLocked(c *LogConfig, v *record.Validated) (Appended, error) {
	if err := l.usableLocked(); err != nil || len(v.Records) == 0 {
		return l.nothing(), err
	}
	if end := l.end.Load(); v.FirstOffset < end {
		// The leader's start may lie within a batch (after DeleteRecords): what it sends for it then
		// begins before the offset asked for. Only a log that holds nothing can take that.
		if l.start.Load() != end || v.LastOffset < end {
			return l.nothing(), fmt.Errorf("%w: first offset %d of the append to %s is below the log's end %d",
				ErrUnexpectedAppendOffset, v.FirstOffset, l.partition, end)
		}
		if err := l.truncateFullyLocked(v.FirstOffset); err != nil {
			return l.nothing(), err
		}
	}
	pending := l.mu.producers.Prepare(record.Replication, false)
	err := v.Each(func(b record.Batch) error {
		_, _, err := pending.Add(b, 0)
		return err
	})
	if err != nil {
		return l.nothing(), err
	}
	if err := l.writeLocked(c, v, pending, l.env.nowMs()); err != nil {
		return l.nothing(), err
	}
	return l.appended(v), nil
}

func (l *Log) appended(v *record.Validated) Appended {
	return Appended{
		First: v.FirstOffset, Last: v.LastOffset, AppendTime: v.AppendTime,
		LogStart: l.start.Load(), LogEnd: l.end.Load(),
		Bytes: len(v.Records), Records: v.Count, Converted: v.Converted,
	}
}

// writeLocked appends batches whose offsets are final, and then applies what they change in the
// producer state. It requires mu. An error means that the log's directory has failed.
func (l *Log) writeLocked(c *LogConfig, v *record.Validated, pending *producer.Append, now int64) error {
	for rest := v.Records; len(rest) > 0; {
		b, next, err := record.Next(rest)
		if err == nil {
			err = l.assignEpochLocked(b)
		}
		if err != nil {
			return l.failed("record the leader epoch", err)
		}
		rest = next
	}
	l.queueLocked()
	if err := l.createFirstLocked(); err != nil {
		return err
	}
	if err := l.rollIfDueLocked(c, v, now); err != nil {
		return err
	}
	active := l.active()
	if err := active.Append(v.Records); err != nil {
		return l.failed("append", err)
	}
	if err := l.commitProducersLocked(active, pending); err != nil {
		return l.failed("write the transaction index", err)
	}
	l.mu.producers.SetEnd(v.LastOffset + 1)
	l.updateUnstableLocked() // before the end: nobody may read the beginning of a transaction as stable
	l.end.Store(v.LastOffset + 1)
	return nil
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

// rollIfDueLocked begins a new segment if v must not go into the active one. It requires mu.
func (l *Log) rollIfDueLocked(c *LogConfig, v *record.Validated, now int64) error {
	state, err := l.active().RollState()
	if err != nil {
		return l.failed("read the first batch", err)
	}
	limits := segment.RollLimits{Bytes: int64(c.SegmentBytes), AgeMs: c.maxSegmentMs(), JitterMs: l.mu.jitterMs}
	in := segment.Incoming{Size: int64(len(v.Records)), MaxTimestamp: v.MaxTimestamp, LastOffset: v.LastOffset}
	if !segment.ShouldRoll(limits, state, in, now) {
		return nil
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
