package storage

import (
	"math"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// candidate is a log that may be cleaned, and how dirty it is (LogToClean).
//
// A log has a clean part, which a cleaning has been over, and behind it a dirty one, which ends where it must not be
// cleaned yet: at the active segment, at the last stable offset, or at the first segment with a record younger than
// min.compaction.lag.ms, whichever comes first, rounded down to the beginning of a segment.
type candidate struct {
	log        *Log
	config     *LogConfig
	firstDirty int64 // where the dirty part begins
	end        int64 // where it ends: the first segment that must not be cleaned
	cleanBytes int64
	dirtyBytes int64
	// delayMs is how long ago the dirty part should have been cleaned because of max.compaction.lag.ms; 0: not yet.
	delayMs int64
	// invalid says that the checkpoint had an offset that cannot be.
	invalid bool
}

// ratio is the dirty share of what would be read.
func (c *candidate) ratio() float64 {
	return float64(c.dirtyBytes) / float64(c.cleanBytes+c.dirtyBytes)
}

// due reports whether the log is to be cleaned.
func (c *candidate) due() bool {
	return c.delayMs > 0 && c.dirtyBytes > 0 || c.ratio() > c.config.MinCleanableRatio
}

// empty reports whether there is nothing to be cleaned.
func (c *candidate) empty() bool { return c.cleanBytes+c.dirtyBytes == 0 }

// candidate looks how dirty the log is at the time now (LogCleanerManager.cleanableOffsets and what goes with it).
func (l *Log) candidate(now int64) (candidate, error) {
	c := candidate{log: l, config: l.config.Load()}
	segments := *l.segments.Load()
	if len(segments) == 0 {
		return c, nil
	}
	c.firstDirty, c.invalid = l.firstDirty(c.config)
	active := segments[len(segments)-1].Base()
	inactive := inactiveFrom(segments, c.firstDirty)
	end, err := uncleanableFrom(inactive, min(l.LastStableOffset(), active), c.config, now)
	if err != nil {
		return c, err
	}
	c.end = active
	if rest := inactiveFrom(segments, max(end, c.firstDirty)); len(rest) > 0 {
		c.end = rest[0].Base()
	}
	c.cleanBytes = bytesOf(between(segments, -1, c.firstDirty))
	c.dirtyBytes = bytesOf(between(segments, min(c.firstDirty, c.end), c.end))
	c.delayMs, err = compactionDelay(inactive, c.config, now)
	return c, err
}

// firstDirty returns where the dirty part begins; invalid means that the checkpoint had something else.
func (l *Log) firstDirty(c *LogConfig) (offset int64, invalid bool) {
	start, end := l.start.Load(), l.end.Load()
	offset = l.cleaned.Load()
	switch {
	case offset < 0:
		return start, false
	case offset < start:
		if !c.Delete { // else that is how it goes
			l.env.cleanerLogger().Warnf("Resetting first dirty offset of %s to log start offset %d since the checkpointed offset %d is invalid.",
				l.partition, start, offset)
		}
		return start, true
	case offset > end:
		l.env.cleanerLogger().Warnf("The last checkpoint dirty offset for partition %s is %d, which is larger than the log end offset %d. Resetting to the log start offset %d.",
			l.partition, offset, end, start)
		return start, true
	}
	return offset, false
}

// correct puts the checkpoint right if it was invalid, unless the log has been cut in between: were what comes behind the
// cut to count as clean, a tombstone there could go before what it deletes.
func (c *candidate) correct() {
	if !c.invalid {
		return
	}
	l := c.log
	l.mu.Lock()
	if l.start.Load() == c.firstDirty { // which is at most where the log ends
		l.cleaned.Store(c.firstDirty)
	}
	l.mu.Unlock()
	_ = l.dir.checkpointCleaned() // logged there
}

// uncleanableFrom returns the first offset that must not be cleaned: most, or the first of the dirty segments with a
// record younger than min.compaction.lag.ms.
func uncleanableFrom(dirty []*segment.Segment, most int64, c *LogConfig, now int64) (int64, error) {
	if c.MinCompactionLagMs <= 0 {
		return most, nil
	}
	for _, s := range dirty {
		newest, err := s.LargestTimestamp()
		if err != nil {
			return 0, err
		}
		if newest > now-c.MinCompactionLagMs {
			return min(most, s.Base()), nil
		}
	}
	return most, nil
}

// compactionDelay returns for how long the oldest of the dirty segments, by its first batch, has been older than
// max.compaction.lag.ms (KIP-354); 0 if it is not.
func compactionDelay(dirty []*segment.Segment, c *LogConfig, now int64) (int64, error) {
	if c.MaxCompactionLagMs > now {
		return 0, nil // no timestamp is as old as that
	}
	oldest := int64(math.MaxInt64)
	for _, s := range dirty {
		first, err := s.FirstTimestamp()
		if err != nil {
			return 0, err
		}
		if first > 0 {
			oldest = min(oldest, first)
		}
	}
	return max(0, now-c.MaxCompactionLagMs-oldest), nil
}

// between returns the segments that have offsets of [from, to): from the one that holds from on, or the first, up to
// the last that begins below to.
func between(segments []*segment.Segment, from, to int64) []*segment.Segment {
	if from >= to {
		return nil
	}
	lo, hi := max(0, floor(segments, from)), floor(segments, to-1)+1
	return segments[min(lo, hi):hi]
}

// inactiveFrom returns the segments that have offsets of from on, but for the active one.
func inactiveFrom(segments []*segment.Segment, from int64) []*segment.Segment {
	return between(segments, from, segments[len(segments)-1].Base())
}

func bytesOf(segments []*segment.Segment) (n int64) {
	for _, s := range segments {
		n += s.Size()
	}
	return n
}
