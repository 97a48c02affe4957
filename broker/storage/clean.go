package storage

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/compact"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/topic"
)

// errAborted says that somebody has paused a partition that was being cleaned, or that the cleaner stops.
var errAborted = errors.New("storage: cleaning aborted")

// cleaning is one cleaning of one log.
type cleaning struct {
	*grabbed
	ctx     context.Context // of the goroutine; the cleaning does not outlive it
	cleaner *cleaner
	thread  int
	memory  *CleanerConfig
	now     int64 // ms since 1970, for all of the cleaning

	upTo int64 // the log is clean below it afterwards
	// producers are the last ones before the log was flushed: what has come since may be lost in a crash.
	producers map[int64]compact.LastRecord
	keys      *compact.OffsetMap
	stats     compact.Stats
	buf       []byte

	began, indexed, ended time.Time
}

func newCleaning(ctx context.Context, c *cleaner, thread int, config *CleanerConfig, g *grabbed) *cleaning {
	return &cleaning{
		grabbed: g, ctx: ctx, cleaner: c, thread: thread, memory: config, now: c.m.env.nowMs(),
		upTo: g.firstDirty, buf: make([]byte, config.ioBuffer()),
	}
}

// run cleans the log (Cleaner.doClean).
func (x *cleaning) run() error {
	x.began = time.Now()
	x.log.env.cleanerLogger().Infof("Beginning cleaning of log %s", x.log.partition)
	x.producers = x.log.lastRecords()
	if err := x.log.readyForCleaning(x.firstDirty, x.end); err != nil {
		return err
	}
	if err := x.index(); err != nil {
		return err
	}
	x.indexed = time.Now()
	if x.keys.End() > x.firstDirty { // else there is not even room for the keys of one batch
		if err := x.cleanGroups(x.keys.End()); err != nil {
			return err
		}
		x.upTo = x.keys.End()
	}
	x.ended = time.Now()
	return nil
}

// readyForCleaning makes durable what the cleaning goes by: that is more than what it cleans, which ends at end. The
// marker that says that a transaction was aborted, and the batch that is a producer's last one, may be in the active
// segment. On disk it is known then that all below end is durable, and that the log has gaps from now on. See cleaner.
func (l *Log) readyForCleaning(firstDirty, end int64) error {
	if err := l.Flush(); err != nil {
		return err
	}
	if l.dir.recoveryPointOnDisk(l.partition) < end {
		if err := l.dir.checkpointRecoveryPoints(); err != nil {
			return err
		}
	}
	if l.cleaned.CompareAndSwap(-1, firstDirty) {
		return l.dir.checkpointCleaned()
	}
	return nil
}

// recoveryPointOnDisk returns what recovery-point-offset-checkpoint says of a log.
func (d *dir) recoveryPointOnDisk(p topic.Partition) int64 {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	if !d.recovery.written {
		return -1
	}
	return d.recovery.holds[p]
}

// index notes where each key of the dirty part was written last (Cleaner.buildOffsetMap).
func (x *cleaning) index() error {
	segments := *x.log.segments.Load()
	dirty := between(segments, x.firstDirty, x.end)
	aborted, err := abortedBetween(segments, x.firstDirty, x.end)
	if err != nil {
		return x.log.readFailed("read the transaction index", err)
	}
	x.keys = compact.NewOffsetMap(x.keyMemory(), x.memory.LoadFactor)
	pass := compact.NewIndex(x.keys, x.firstDirty, aborted, &x.stats)
	for i, s := range dirty {
		err := s.Scan(max(x.firstDirty, s.Base()), &x.buf, func(chunk []byte) (int, error) {
			if err := x.proceed(len(chunk)); err != nil {
				return 0, err
			}
			n, full, err := pass.Add(chunk)
			if full {
				err = errStop
			}
			return n, err
		})
		switch {
		case errors.Is(err, errStop):
			return nil
		case err != nil:
			return x.failed("index", err)
		}
		next := x.end
		if i+1 < len(dirty) {
			next = dirty[i+1].Base()
		}
		pass.EndSegment(next)
	}
	return nil
}

// keyMemory returns how many bytes the keys of the dirty part can need at most, as far as there are as many.
func (x *cleaning) keyMemory() int64 {
	most := x.memory.dedupeBuffer()
	slots := math.Ceil(float64(x.end-x.firstDirty+1)/x.memory.LoadFactor) + 1
	if slots*compact.SlotBytes < float64(most) {
		return int64(slots) * compact.SlotBytes
	}
	return most
}

// failed tells an abortion from a failure, and takes the directory offline after one of the disk. Batches that a new
// segment cannot take, as segments of other brokers may have them, are none. Nor is a want of file descriptors: nothing is
// swapped yet, and what was made is removed.
func (x *cleaning) failed(what string, err error) error {
	if errors.Is(err, errAborted) || errors.Is(err, segment.ErrFull) || errors.Is(err, record.ErrOffsetsOutOfOrder) {
		return err
	}
	return x.log.readFailed(what, err)
}

// proceed is called for each n bytes read or written. It waits as long as the throttle says, and returns an error if
// the cleaning is to end.
func (x *cleaning) proceed(n int) error {
	if err := x.log.readable(); err != nil {
		return err
	}
	wait := x.cleaner.throttle.add(int64(n), time.Now())
	if wait <= 0 {
		select {
		case <-x.abort:
			return errAborted
		case <-x.ctx.Done():
			return errAborted
		default:
			return nil
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-x.abort:
		return errAborted
	case <-x.ctx.Done():
		return errAborted
	case <-timer.C:
		return nil
	}
}

// abortedBetween returns the aborted transactions that have anything in [from, to), and perhaps others.
func abortedBetween(segments []*segment.Segment, from, to int64) (aborted []segment.AbortedTxn, err error) {
	for _, s := range segments[max(0, floor(segments, from)):] {
		var done bool
		if aborted, done, err = s.Aborted(aborted, from, to); done || err != nil {
			break
		}
	}
	return aborted, err
}
