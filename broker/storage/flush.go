package storage

import (
	"errors"
	"io/fs"
	"math"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// Flush makes everything appended so far durable and moves the recovery point there.
func (l *Log) Flush() error { return l.flushTo(math.MaxInt64) }

// flushIfDue flushes once flush.messages records have come since the last flush.
func (l *Log) flushIfDue(c *LogConfig) error {
	if c.FlushMessages == math.MaxInt64 || l.end.Load()-l.recoveryPoint.Load() < c.FlushMessages {
		return nil
	}
	return l.Flush()
}

// flushTo makes everything below upTo durable. Appends go on meanwhile: mu is held only to see how
// far there is something to flush and, at the end, to move the recovery point.
func (l *Log) flushTo(upTo int64) error {
	l.flushMu.Lock()
	defer l.flushMu.Unlock()
	l.mu.Lock()
	if err := l.usableLocked(); err != nil {
		l.mu.Unlock()
		return err
	}
	from, to, cuts := l.recoveryPoint.Load(), min(upTo, l.end.Load()), l.mu.cuts
	segments := *l.segments.Load()
	snapshots := slices.Clone(l.mu.unsyncedSnapshots)
	unsaved := l.mu.unsaved()
	l.mu.Unlock()
	l.lastFlush.Store(l.env.nowMs())
	if to <= from {
		return nil
	}
	if unsaved { // below the recovery point no batch will be asked for its epoch any more
		if err := l.saveFiles(); err != nil {
			return err
		}
	}
	if err := l.syncFiles(segments, snapshots, from, to); err != nil {
		return l.failed("flush", err)
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	// A directory that has failed meanwhile has had its files closed, and what is closed was passed over.
	if err := l.online(); err != nil {
		return err
	}
	l.mu.unsyncedSnapshots = slices.DeleteFunc(l.mu.unsyncedSnapshots, func(o int64) bool {
		return slices.Contains(snapshots, o)
	})
	// A truncation meanwhile has lowered the recovery point; what was appended since is not flushed.
	if l.mu.cuts == cuts && !l.closed.Load() {
		l.recoveryPoint.Store(max(l.recoveryPoint.Load(), to))
	}
	return nil
}

// syncFiles syncs the segments that hold offsets from from to to, the producer snapshots, and the
// directory if it has got new names. The segment that ends at from is synced again: when it was
// sealed, after the flush before, its indexes got their last entries. It requires flushMu.
func (l *Log) syncFiles(segments []*segment.Segment, snapshots []int64, from, to int64) error {
	names := len(snapshots) > 0
	for _, s := range segments[max(0, floor(segments, from-1)):] {
		if s.Base() >= to {
			break
		}
		names = s.TakeUnnamed() || names || s.Base() >= from
		// A segment that was removed meanwhile, by retention or a truncation, needs no flush.
		if err := s.Flush(); err != nil && !errors.Is(err, segment.ErrClosed) {
			return err
		}
	}
	for _, offset := range snapshots {
		if err := syncFile(l.env.fs, l.snapshotFile(offset)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if names {
		if err := l.files.Sync(); err != nil {
			return err
		}
	}
	return l.dir.syncNames()
}

// background does, on the flusher's goroutine, what a roll left to do: sync what lies below the new
// segment.
func (l *Log) background() {
	err := l.flushTo(l.rolled.Load())
	if err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
		l.logger().WithError(err).Error("Could not flush the rolled segment")
	}
}

// flushIfOld flushes if flush.ms has passed since the last flush.
func (l *Log) flushIfOld(now int64) error {
	c := l.config.Load()
	if c.FlushMs == math.MaxInt64 || now-l.lastFlush.Load() < c.FlushMs {
		return nil
	}
	return l.Flush()
}
