package storage

import (
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
)

// This is where a recovered log ends before its files do.

// foreign reports whether a batch in doubt is of a lower leader epoch than one before it. A log has no such batches; but
// what was cut off, by a truncation that a kill ended or by a recovery, need not have been cut durably. If a power
// loss brings it back behind what was appended since, in a later epoch, nobody else would notice: the epochs, and the
// ends of logs, are all that replicas compare. Kafka keeps such batches.
func (ld *loader) foreign(b record.Batch) bool {
	if !ld.inDoubt || b.Magic() < record.MagicV2 || b.LeaderEpoch() < 0 {
		return false
	}
	if b.LeaderEpoch() < ld.lastEpoch {
		return true
	}
	ld.lastEpoch = b.LeaderEpoch()
	return false
}

// endWith removes the segments behind segment i, which is in doubt and about to be cut. They are gone durably before that:
// were the recovery ended in between, the next one would find nothing wrong with the segment, and take what is missing
// behind it, in a log that was compacted, for what compaction has removed.
func (ld *loader) endWith(i int) error {
	if !ld.inDoubt || i+1 == len(ld.segments) {
		return nil
	}
	if err := ld.removeFrom(i + 1); err != nil {
		return err
	}
	return ld.files.Sync()
}

// mostRecords is more than a segment, of 2 GiB at most, holds.
const mostRecords = 1 << 30

// lostAfter reports whether the log ends with segment i, which was not in need of a cut: records are missing between it
// and the next one, or that one is of another past (see foreign), since it begins below the end of this one.
//
// A power loss may take the end of a file that was not synced, at the boundary of a batch, and leave
// the segment that was begun after it. Kafka does not look for that; the log would have a hole in it,
// and its followers, comparing ends, would not notice. A gap is no loss if compaction made it, or the
// copying of a compacted log: then there are gaps within the segments, too, or the topic says so. Nor is one before
// a segment that is too far away to have been begun behind a lost tail: that one was split off (see split).
func (ld *loader) lostAfter(i int, whole bool) bool {
	if i+1 == len(ld.segments) {
		return false
	}
	next, err := ld.segments[i].NextOffset()
	switch {
	case err != nil || next == ld.segments[i+1].Base():
		return false
	case next > ld.segments[i+1].Base():
		ld.logger().WithField("end", next).WithField("next", ld.segments[i+1].Base()).
			Warn("A segment begins below the end of the one before")
		return true
	case !whole || ld.compacted() || ld.segments[i+1].Base()-ld.segments[i].Base() > mostRecords:
		return false
	}
	ld.logger().WithField("from", next).WithField("to", ld.segments[i+1].Base()).
		Warn("Records are missing between two segments")
	return true
}

// removeFrom removes the segments from i on, and what goes with them. The highest goes first: after a
// crash the rest is a log without a hole still.
func (ld *loader) removeFrom(i int) error {
	gone := ld.segments[i:]
	ld.segments = ld.segments[:i:i]
	for _, s := range slices.Backward(gone) {
		ld.logger().WithField("segment", s.Base()).Warn("Removing a segment behind the end of the recovered log")
		if err := s.Delete(); err != nil {
			return fmt.Errorf("remove segment %d: %w", s.Base(), err)
		}
	}
	return nil
}
