package storage

import (
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// TruncateTo removes every record at or above offset: the log's end is offset then, unless it was
// lower before. The batch that holds offset goes as a whole. The leader epochs that began at or after
// offset are forgotten in any case, since a leader may have noted one at its end without a record.
// What was removed cannot come back: the cut is durable on return.
func (l *Log) TruncateTo(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("%w: cannot truncate log %s to %d", ErrOffsetOutOfRange, l.partition, offset)
	}
	l.mu.Lock()
	if segments := *l.segments.Load(); len(segments) > 0 && offset < segments[len(segments)-1].Base() {
		l.mu.Unlock()
		defer l.pauseCleaning()()
		l.mu.Lock() // whatever has come in between: the cleaner is away
	}
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if offset >= l.end.Load() {
		l.truncateEpochsLocked(offset)
		return nil
	}
	l.logger().WithField("offset", offset).Info("Truncating log")
	if offset < (*l.segments.Load())[0].Base() { // there is one, since the log is not empty
		return l.truncateFullyLocked(offset)
	}
	segments := *l.segments.Load()
	active := segments[floor(segments, offset)].Base()
	if err := l.beginCutLocked(offset, min(l.start.Load(), offset), offset, active); err != nil {
		return err
	}
	if err := l.cutLocked(offset); err != nil {
		return l.failed("truncate", err)
	}
	l.truncateEpochsLocked(offset)
	return l.truncatedLocked(offset)
}

// TruncateFullyAndStartAt removes everything; the log is then empty and begins at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error {
	if offset < 0 {
		return fmt.Errorf("%w: cannot start log %s at %d", ErrOffsetOutOfRange, l.partition, offset)
	}
	defer l.pauseCleaning()()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	l.logger().WithField("offset", offset).Info("Truncating log fully")
	return l.truncateFullyLocked(offset)
}

// pauseCleaning keeps the cleaner off the log until the function that it returns is called. No lock of the log
// may be held.
func (l *Log) pauseCleaning() (resume func()) {
	if l.IsFuture() {
		return func() {}
	}
	states := l.env.states()
	states.pause(l.partition)
	return func() { states.resume(l.partition) }
}

// beginCutLocked makes ready for the removal of everything from first on. The end goes at once, so that
// no reader begins to read what is being removed. The recovery point goes down to first durably: if a
// crash undoes some of the removals and not others, the recovery looks there, and finds the gap. It
// requires mu.
//
// active is the base offset of the segment that is written to afterwards: what is dirty begins there at the latest,
// since the cleaner must look at its records once it is not written to any more.
func (l *Log) beginCutLocked(first, start, end, active int64) error {
	l.mu.cuts++
	l.end.Store(end)
	l.start.Store(start)
	l.highWatermark.Store(max(start, min(l.highWatermark.Load(), end)))
	l.recoveryPoint.Store(min(l.recoveryPoint.Load(), first))
	l.lowerCleaned(active)
	return l.dir.lowered(l)
}

// lowerCleaned has the dirty part begin at most at offset. A truncation of the active segment does so beside the cleaner,
// which may have noted at that moment that the log has never been cleaned but is from now on.
func (l *Log) lowerCleaned(offset int64) {
	for {
		before := l.cleaned.Load()
		if before <= offset || l.cleaned.CompareAndSwap(before, offset) {
			return
		}
	}
}

// cutLocked removes the records from offset on from the files, with the producer snapshots that know of
// them, and syncs: were the cut lost in a crash after records of a later epoch were written over it, old
// and new batches could be mistaken for one log, and an old snapshot for that of a segment begun at the
// same offset. Whole segments are gone durably before the one that holds offset is cut: a crash in between must not leave
// them behind a gap, which passes for compaction's in a log that was compacted. It requires mu.
func (l *Log) cutLocked(offset int64) error {
	segments := *l.segments.Load()
	keep := floor(segments, offset) + 1
	kept, removed := slices.Clone(segments[:keep]), segments[keep:]
	l.segments.Store(&kept)
	for _, s := range slices.Backward(removed) {
		if err := s.Delete(); err != nil {
			return err
		}
	}
	above := func(snapshot int64) bool { return snapshot > offset }
	if len(removed) > 0 || slices.ContainsFunc(l.mu.snapshots, above) {
		if err := l.removeSnapshotsLocked(above); err != nil {
			return err
		}
		if err := l.files.Sync(); err != nil {
			return err
		}
	}
	if len(removed) > 0 {
		l.drawJitterLocked()
	}
	active := kept[keep-1]
	if _, err := active.Truncate(offset, l.env.nowMs()); err != nil {
		return err
	}
	return active.Flush()
}

// truncatedLocked brings the producer state in line with the log's new end. It requires mu.
func (l *Log) truncatedLocked(offset int64) error {
	if err := l.loadProducersLocked(*l.segments.Load(), offset); err != nil {
		return l.failed("reload the producer state", err)
	}
	return nil
}

// truncateEpochsLocked forgets the epochs from offset on. It requires mu.
func (l *Log) truncateEpochsLocked(offset int64) {
	if l.epochs.TruncateFromEnd(offset) {
		l.mu.changes++
		l.queueLocked()
	}
}

// truncateFullyLocked replaces all segments by an empty one at offset, durably. The removal is durable before
// the new segment is: a crash must not leave old segments with a gap before the new one. It requires
// mu.
func (l *Log) truncateFullyLocked(offset int64) error {
	old := *l.segments.Load()
	first := offset
	if len(old) > 0 {
		first = min(old[0].Base(), offset)
	}
	if err := l.beginCutLocked(first, offset, offset, offset); err != nil {
		return err
	}
	if err := l.removeAllLocked(old); err != nil {
		return l.failed("truncate fully", err)
	}
	s, err := l.createSegment(offset)
	if err != nil {
		return l.failed("create a segment", err)
	}
	l.segments.Store(&[]*segment.Segment{s})
	l.mu.unnamed = true
	if err := l.nameFirstLocked(); err != nil {
		return err
	}
	l.drawJitterLocked()
	l.clearEpochsLocked()
	l.queueLocked()
	l.recoveryPoint.Store(offset)
	return l.truncatedLocked(offset)
}

func (l *Log) removeAllLocked(segments []*segment.Segment) error {
	for _, s := range slices.Backward(segments) {
		if err := s.Delete(); err != nil {
			return err
		}
	}
	if err := l.removeSnapshotsLocked(func(int64) bool { return true }); err != nil {
		return err
	}
	return l.files.Sync()
}

// IncrementStartOffset raises the start offset to offset; false if it is there already. Segments
// below go with the next retention check. ErrOffsetOutOfRange: offset is above the high watermark.
func (l *Log) IncrementStartOffset(offset int64) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return false, err
	}
	if hw := l.highWatermark.Load(); offset > hw {
		return false, fmt.Errorf("%w: cannot increment the log start offset to %d of partition %s since it is larger than the high watermark %d",
			ErrOffsetOutOfRange, offset, l.partition, hw)
	}
	return l.incrementStartLocked(offset), nil
}

// incrementStartLocked requires mu, and an offset up to the high watermark.
func (l *Log) incrementStartLocked(offset int64) bool {
	if offset <= l.start.Load() {
		return false
	}
	l.start.Store(offset)
	if l.epochs.TruncateFromStart(offset) {
		l.mu.trims++
	}
	l.mu.producers.SetLogStart(offset)
	l.updateUnstableLocked()
	return true
}
