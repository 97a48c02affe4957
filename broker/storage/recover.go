package storage

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// recover makes the segments sound.
//
// After a clean stop these are: only a segment with a missing or impossible index is recovered, and the last one
// if it does not end where it should. After
// a crash everything from the recovery point on is in doubt, from the segment on that holds it: its
// batches are checked, its indexes built anew, and producer state and leader epochs follow from the
// batches. At the first batch that is torn or broken the log ends, and so does it where a segment
// that should follow is missing, or what follows is of another past (see foreign). Nothing below the recovery point is checked.
func (ld *loader) recover() error {
	if err := ld.dropOrphanSnapshots(); err != nil {
		return err
	}
	first := len(ld.segments)
	if !ld.clean {
		first = max(0, floor(ld.segments, ld.recoveryPoint))
		ld.forgetDoubtfulEpochs(first)
		ld.setDoubtfulSnapshotsAside(first)
	}
	if err := ld.recoverIncomplete(first); err != nil {
		return err
	}
	if ld.clean {
		return ld.recoverEnd()
	}
	if first > 0 {
		if err := ld.resealSegment(first - 1); err != nil {
			return err
		}
	}
	ld.inDoubt, ld.lastEpoch = true, -1
	for i := first; i < len(ld.segments); i++ {
		cut, whole, err := ld.recoverSegment(i) // it is the last one then, if it was cut
		if err != nil {
			return err
		}
		if cut == 0 && ld.lostAfter(i, whole) {
			return ld.removeFrom(i + 1)
		}
	}
	return nil
}

var errTxnsLost = errors.New("its transaction index was being deleted")

// recoverIncomplete recovers those of the first n segments that lack an index or have an impossible one. What it makes
// of them is durable, since nobody will look there again.
func (ld *loader) recoverIncomplete(n int) error {
	for i, s := range ld.segments[:n] {
		why := s.Damage()
		if why == nil && slices.Contains(ld.txnsLost, s.Base()) {
			why = errTxnsLost
		}
		if why == nil {
			continue
		}
		ld.logger().WithError(why).WithField("segment", s.Base()).Warn("Recovering a segment")
		if _, _, err := ld.recoverSegment(i); err != nil {
			return err
		}
		if err := ld.syncSegment(s); err != nil {
			return err
		}
	}
	return nil
}

// recoverEnd recovers the last segment after a clean stop if it does not end where the log did. Kafka, which does
// not compare, fails to start or goes on from where the segment begins.
func (ld *loader) recoverEnd() error {
	if len(ld.segments) == 0 {
		return nil
	}
	last := len(ld.segments) - 1
	end, err := ld.segments[last].NextOffset()
	switch {
	case err != nil && !errors.Is(err, segment.ErrCorrupt):
		return err
	case err == nil && (!ld.checkpointed || end == ld.recoveryPoint):
		return nil
	}
	ld.logger().WithError(err).WithFields(logrus.Fields{"found": end, "stopped": ld.recoveryPoint}).
		Warn("Recovering the last segment: it does not end where the log ended when it was stopped cleanly")
	_, _, err = ld.recoverSegment(last)
	return err
}

// forgetDoubtfulEpochs forgets the epochs that began at the recovery point or later: the checkpoint may say
// what was true of a longer past of the log. The batches tell, as they do of all epochs if all of them are
// read, and none was compacted away.
func (ld *loader) forgetDoubtfulEpochs(first int) {
	switch {
	case first == 0 && !ld.compacted():
		ld.clearEpochsLocked()
	case ld.epochs.TruncateFromEnd(ld.recoveryPoint):
		ld.mu.changes++
	}
}

// resealSegment completes the indexes of the segment before the first one in doubt. All its records are
// below the recovery point; but if they were flushed while it was active, the entry with its largest
// timestamp, which comes last, may have been written after that and be lost, or be there and not be durable.
func (ld *loader) resealSegment(i int) error {
	ld.segments[i].MarkUnsynced()
	_, err := ld.segments[i].NextOffset()
	if err == nil {
		err = ld.segments[i].Seal()
	}
	if errors.Is(err, segment.ErrCorrupt) { // not our doing, and nobody can say what the right bytes were
		ld.logger().WithError(err).Warn("Found a corrupt segment below the recovery point")
		return nil
	}
	return err
}

// dropOrphanSnapshots removes the snapshots from before the first segment: what lies between cannot be
// replayed. Retention and truncation remove them with the segments, but for a crash.
func (ld *loader) dropOrphanSnapshots() error {
	first := int64(math.MaxInt64)
	if len(ld.segments) > 0 {
		first = ld.segments[0].Base()
	}
	return ld.removeSnapshotsLocked(func(o int64) bool { return o < first })
}

// setDoubtfulSnapshotsAside forgets the snapshots above the first segment in doubt: they may not have
// been synced, or speak of records that are gone. Their files stay until the recovery is done.
func (ld *loader) setDoubtfulSnapshotsAside(first int) {
	if first == len(ld.segments) {
		return
	}
	base := ld.segments[first].Base()
	n := 0
	for n < len(ld.mu.snapshots) && ld.mu.snapshots[n] <= base {
		n++
	}
	ld.doubtful, ld.mu.snapshots = ld.mu.snapshots[n:], ld.mu.snapshots[:n:n]
}

// settleSnapshots leaves a snapshot of what was recovered, if there is anything in it, and no other
// above the first segment that was in doubt. Files are made and removed only if they have to be: after
// the crash of a broker with many logs most hold the right bytes already.
func (ld *loader) settleSnapshots() error {
	end := ld.mu.producers.End()
	kept := false
	if slices.Contains(ld.doubtful, end) {
		data, err := vfs.ReadFile(ld.env.fs, ld.snapshotFile(end))
		if err != nil {
			return err
		}
		if kept = bytes.Equal(data, ld.mu.producers.AppendSnapshot(nil)); kept {
			ld.mu.snapshots = append(ld.mu.snapshots, end)
			ld.mu.unsyncedSnapshots = append(ld.mu.unsyncedSnapshots, end)
		}
	}
	if ld.mu.producers.Len() > 0 {
		kept = true
		if err := ld.snapshotLocked(); err != nil {
			return err
		}
	}
	for _, offset := range ld.doubtful {
		if offset == end && kept {
			continue
		}
		if err := ld.env.fs.Remove(ld.snapshotFile(offset)); err != nil {
			return err
		}
	}
	return nil
}

// recoverSegment recovers segment i, with the producer state as of its base. It returns how many bytes
// were cut off, and whether the offsets of what is left have no gap.
func (ld *loader) recoverSegment(i int) (cut int64, whole bool, err error) {
	s := ld.segments[i]
	if i == 0 || ld.mu.producers.End() != s.Base() {
		if err := ld.loadProducersLocked(ld.segments[:i], s.Base()); err != nil {
			return 0, false, err
		}
	}
	next := s.Base()
	whole = true
	cut, err = s.Recover(func(b record.Batch) error {
		if ld.foreign(b) {
			return segment.ErrForeign
		}
		// The first offset of an old format's compressed message is not known: that may be a gap.
		whole = whole && b.Magic() >= record.MagicV2 && b.BaseOffset() == next
		next = b.NextOffset()
		if err := ld.noteEpoch(b); err != nil {
			return err
		}
		return ld.replayLocked(b, s)
	}, func() error { return ld.endWith(i) })
	if err == nil && cut > 0 {
		ld.logger().WithField("segment", s.Base()).WithField("end", next).
			Warnf("Cut %d bytes that are no whole, valid batches off a segment", cut)
	}
	return cut, whole, err
}

// noteEpoch records the leader epoch of a batch that was found in the log, as the append of it did, unless the checkpoint
// has a later one.
func (ld *loader) noteEpoch(b record.Batch) error {
	latest, ok := ld.epochs.Latest()
	if ok && b.Magic() >= record.MagicV2 && latest.Epoch >= b.LeaderEpoch() {
		return nil
	}
	return ld.noteEpochLocked(b)
}

// fillEpochs gathers from the batches the leader epochs that the checkpoint lacks: all, if it could
// not be read; or the first ones, if the checkpoint was trimmed to a start offset that was not
// remembered because of a crash.
func (ld *loader) fillEpochs() error {
	known := ld.epochs.Entries()
	upTo := ld.end.Load()
	if len(known) > 0 {
		upTo = known[0].Start
	}
	if ld.start.Load() >= upTo || ld.clean && !ld.epochsLost {
		return nil
	}
	var entries []epoch.Entry
	for _, s := range ld.segments {
		if s.Base() >= upTo {
			break
		}
		err := s.EachBatch(max(s.Base(), ld.start.Load()), func(b record.Batch) error {
			if b.BaseOffset() >= upTo {
				return errStop
			}
			e := epoch.Entry{Epoch: b.LeaderEpoch(), Start: b.BaseOffset()}
			if n := len(entries); e.Epoch >= 0 && (n == 0 || entries[n-1].Epoch < e.Epoch) {
				entries = append(entries, e)
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			return err
		}
	}
	if n := len(entries); n > 0 && len(known) > 0 && entries[n-1].Epoch == known[0].Epoch {
		known = known[1:] // it began earlier than the checkpoint says
	}
	var err error
	ld.epochs, err = epoch.NewCache(append(entries, known...))
	return err
}
