package storage

import (
	"slices"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// deleteOldSegments removes the leading segments that the topic's retention does not keep
// (UnifiedLog.deleteOldSegments): those below the start offset and, unless the topic is only
// compacted, those beyond retention.bytes and retention.ms. It returns how many.
//
// Of a compacted log they go one by one, each durably before the next: no crash must bring back one of them without
// those behind it, or a key would have a value that a later one had replaced. Of other logs the next start finds that
// out (see removeLeftovers).
func (l *Log) deleteOldSegments(now int64) (total int, err error) {
	return l.deleteOldSegmentsWhile(now, func() bool { return true })
}

// deleteOldSegmentsWhile is deleteOldSegments that goes on to the next segment of a compacted log while may says so.
func (l *Log) deleteOldSegmentsWhile(now int64, may func() bool) (total int, err error) {
	l.proveAges(now)
	for range len(*l.segments.Load()) { // and not those that are begun meanwhile
		if !may() {
			break
		}
		n, err := l.deleteSomeOldSegments(now)
		if total += n; err != nil || n == 0 || !l.compacted() {
			return total, err
		}
	}
	return total, nil
}

// deleteSomeOldSegments removes all that are to go, or, of a compacted log, the first of them.
func (l *Log) deleteSomeOldSegments(now int64) (int, error) {
	l.mu.Lock()
	before := *l.segments.Load()
	n, err := l.deleteOldLocked(now)
	if n > 0 && l.trimmedLocked() {
		l.mu.changes++
		l.queueLocked()
	}
	first, cuts := (*l.segments.Load())[0].Base(), l.mu.cuts // and not the start offset, which may be further on, in what is unsynced
	l.mu.Unlock()
	if err != nil || n == 0 {
		return n, err
	}
	// Once no crash can bring them back, what was in the segments needs no flush.
	if err := l.files.Sync(); err != nil {
		return n, l.failed("delete segments", err)
	}
	l.removeLater(before[:n])
	l.mu.Lock()
	if l.mu.cuts == cuts {
		l.recoveryPoint.Store(max(l.recoveryPoint.Load(), first))
	}
	l.mu.Unlock()
	return n, nil
}

// retentionPass is one of the reasons for which the leading segments of a log go.
type retentionPass struct {
	count  func(c *LogConfig, now int64) (int, error) // how many of them do
	reason string                                     // for the log
}

// deleteOldLocked is deleteSomeOldSegments without what makes it durable. It requires mu.
func (l *Log) deleteOldLocked(now int64) (int, error) {
	if err := l.usableLocked(); err != nil {
		return 0, err
	}
	c := l.config.Load()
	passes := []retentionPass{{l.belowStartLocked, "log start offset breach"}}
	if c.Delete {
		passes = append(passes, retentionPass{l.overSizeLocked, "log retention size breach"}, retentionPass{l.overAgeLocked, "log retention time breach"})
	}
	total := 0
	for _, pass := range passes {
		n, err := pass.count(c, now)
		if err != nil {
			return total, l.readFailed("check the retention", err)
		}
		if n == 0 {
			continue
		}
		if l.compacted() {
			return 1, l.deleteLeadingLocked(1, pass.reason)
		}
		if err := l.deleteLeadingLocked(n, pass.reason); err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// belowStartLocked counts the leading segments that end at or below the start offset.
func (l *Log) belowStartLocked(*LogConfig, int64) (int, error) {
	start := l.start.Load()
	return l.leadingLocked(func(_ *segment.Segment, next int64, last bool) (bool, error) {
		return !last && next <= start, nil
	})
}

// overSizeLocked counts the leading segments without which the log still has retention.bytes.
func (l *Log) overSizeLocked(c *LogConfig, _ int64) (int, error) {
	excess := l.Size() - c.RetentionBytes
	if c.RetentionBytes < 0 || excess < 0 {
		return 0, nil
	}
	return l.leadingLocked(func(s *segment.Segment, _ int64, _ bool) (bool, error) {
		if excess < s.Size() {
			return false, nil
		}
		excess -= s.Size()
		return true, nil
	})
}

// overAgeLocked counts the leading segments whose newest record is older than retention.ms.
func (l *Log) overAgeLocked(c *LogConfig, now int64) (int, error) {
	if c.RetentionMs < 0 {
		return 0, nil
	}
	return l.leadingLocked(func(s *segment.Segment, _ int64, _ bool) (bool, error) { return c.overAge(s, now) })
}

// overAge reports whether the newest record of s is older than retention.ms. What the time index says of that is proven
// first where it matters: the segment would be deleted, or be kept since a record seems to be from the future.
func (c *LogConfig) overAge(s *segment.Segment, now int64) (bool, error) {
	largest, err := s.LargestTimestamp()
	if err == nil && (now-largest > c.RetentionMs || largest > now) {
		largest, err = s.ProvenTimestamp()
	}
	return now-largest > c.RetentionMs, err
}

// proveAges has the ages of the segments proven that overAgeLocked will ask for, but for the last one's. A proof may read many
// headers, and appends need not wait for that. What fails here fails there again.
func (l *Log) proveAges(now int64) {
	c, segments := l.config.Load(), *l.segments.Load()
	if !c.Delete || c.RetentionMs < 0 {
		return
	}
	for _, s := range segments[:max(0, len(segments)-1)] { // a new log has none yet
		if old, err := c.overAge(s, now); !old || err != nil {
			return
		}
	}
}

// leadingLocked counts the segments from the first on for which old says yes; next is where a segment
// ends. What is not below the high watermark stays, as does an empty last segment.
func (l *Log) leadingLocked(old func(s *segment.Segment, next int64, last bool) (bool, error)) (int, error) {
	segments := *l.segments.Load()
	for i, s := range segments {
		last := i == len(segments)-1
		next := l.end.Load()
		if !last {
			next = segments[i+1].Base()
		}
		if last && s.Size() == 0 || l.highWatermark.Load() < next {
			return i, nil
		}
		if yes, err := old(s, next, last); !yes || err != nil {
			return i, err
		}
	}
	return len(segments), nil
}

// deleteLeadingLocked removes the first n segments, beginning a new one if that is all. Their files
// are renamed now and removed later (see discardLocked). The name of the
// segment that is the first then is durable before: were it lost in a crash with those of the old ones, the log would
// begin behind records that nobody has deleted. So is its producer snapshot, which says what was in them. reason is for
// the log. It requires mu.
func (l *Log) deleteLeadingLocked(n int, reason string) error {
	if n == len(*l.segments.Load()) {
		if err := l.rollLocked(l.end.Load()); err != nil {
			return err
		}
	}
	segments := *l.segments.Load()
	old, kept := segments[:n], slices.Clone(segments[n:])
	base := kept[0].Base()
	if base >= l.recoveryPoint.Load() { // nothing of it was ever synced
		l.mu.unnamed = true
	}
	if err := l.nameFirstLocked(); err != nil {
		return err
	}
	if err := l.syncSnapshotLocked(base); err != nil {
		return l.failed("sync a producer snapshot", err)
	}
	l.incrementStartLocked(base)
	l.segments.Store(&kept)
	if err := l.discardLocked(old); err != nil {
		return l.failed("delete a segment", err)
	}
	if err := l.removeSnapshotsLocked(func(offset int64) bool { return offset < base }); err != nil {
		return l.failed("delete producer snapshots", err)
	}
	l.logger().WithField("segments", n).WithField("from", old[0].Base()).WithField("to", base).
		Infof("Deleted segments due to %s", reason)
	return nil
}

// milliseconds converts ms to a Duration, the largest one if it does not fit.
func milliseconds(ms int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(min(ms, most)) * time.Millisecond
}
