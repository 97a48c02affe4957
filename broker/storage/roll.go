package storage

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

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
// The old one is synced in the background, but for one that ends at or below the recovery point: the next start after a
// crash does not look there any more, and its indexes, made anew by a recovery or completed by this seal, may not be
// durable. It requires mu.
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
	if l.recoveryPoint.Load() >= l.end.Load() {
		if err := l.syncSegment(old); err != nil {
			return l.failed("flush", err)
		}
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

// syncSegment makes a segment durable, with the names of its files.
func (l *Log) syncSegment(s *segment.Segment) error {
	unnamed := s.TakeUnnamed()
	if err := s.Flush(); err != nil || !unnamed {
		return err
	}
	return l.files.Sync()
}

// drawJitterLocked draws the jitter of a new active segment. It requires mu.
func (l *Log) drawJitterLocked() {
	l.mu.jitterMs = 0
	if most := l.config.Load().maxJitterMs(); most > 0 {
		l.mu.jitterMs = rand.Int64N(most)
	}
}

// createSegment makes an empty segment of the log.
func (l *Log) createSegment(base int64) (*segment.Segment, error) {
	return segment.Create(l.segmentOptions(base))
}

func (l *Log) segmentOptions(base int64) segment.Options {
	c := l.config.Load()
	o := segment.Options{
		Dir: l.files, Files: l.env.files, Base: base,
		IndexIntervalBytes: c.IndexIntervalBytes, MaxIndexBytes: c.SegmentIndexBytes, NowMs: l.env.nowMs(),
	}
	if c.Preallocate {
		o.Preallocate = int64(c.SegmentBytes)
	}
	return o
}
