package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/topic"
)

// A loader brings one log from its directory into memory (LogLoader). It has the log to itself.
type loader struct {
	*Log
	clean         bool
	recoveryPoint int64 // of the checkpoint
	checkpointed  bool  // there is a recovery point in the checkpoint
	startOffset   int64 // of the checkpoint
	watermark     int64 // of the checkpoint
	segments      []*segment.Segment
	deleted       []fileName // files whose removal was pending
	epochsLost    bool       // the epoch checkpoint could not be read
	idNoted       bool       // the topic's id was noted, but not durable yet
	txnsLost      []int64    // bases of segments whose transaction index alone was given up, see noteLostTxns
	doubtful      []int64    // offsets of producer snapshots that a crash may have made wrong
	inDoubt       bool       // what is recovered lies above the recovery point, or in its segment
	lastEpoch     int32      // the highest leader epoch of what was recovered in doubt
}

// loadLog loads the log of p in the directory of that name, recovering it unless the directory's last stop was clean.
func (d *dir) loadLog(p topic.Partition, name string, c LogConfig) (*Log, error) {
	l := d.newLog(p, filepath.Join(d.path, name), c)
	l.future.Store(name != p.String())
	ld := &loader{Log: l, clean: d.clean}
	d.checkpointMu.Lock()
	ld.recoveryPoint, ld.startOffset = max(0, d.recovery.holds[p]), max(0, d.starts.holds[p])
	_, ld.checkpointed = d.recovery.holds[p]
	ld.watermark = d.watermarks.holds[p]
	if cleaned, ok := d.cleaned.holds[p]; ok && !l.IsFuture() {
		l.cleaned.Store(cleaned)
	}
	d.checkpointMu.Unlock()

	l.mu.Lock()
	defer l.mu.Unlock()
	for _, step := range []func() error{ld.readDir, ld.splitOverflowed, ld.readSmallFiles, ld.recover, ld.settle, ld.finish} {
		if err := step(); err != nil {
			for _, s := range ld.segments {
				s.Abandon()
			}
			return nil, err
		}
	}
	l.setHighWatermarkLocked(ld.watermark)
	return l, nil
}

// compacted is Log.compacted for what was loaded: whatever may have been compacted counts if nobody knows.
func (ld *loader) compacted() bool { return ld.dir.cleanedLost || ld.Log.compacted() }

// readDir finishes what was under way when the broker stopped, and opens the segments.
func (ld *loader) readDir() error {
	names, err := ld.list()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, func(n fileName) bool { return n.suffix == segment.CleanedSuffix || n.suffix == segment.SwapSuffix }) {
		if err := finishReplacements(ld.env.fs, ld.files.Path(), names); err != nil {
			return err
		}
		if names, err = ld.list(); err != nil {
			return err
		}
	}
	logs, txns := map[int64]bool{}, map[int64]bool{} // bases with such a file
	for _, n := range names {
		switch {
		case n.suffix == segment.DeletedSuffix:
			ld.deleted = append(ld.deleted, n)
		case n.ext == segment.LogExt:
			logs[n.base] = true
			s, err := segment.Open(ld.segmentOptions(n.base))
			if err != nil {
				return err
			}
			ld.segments = append(ld.segments, s)
		case n.ext == segment.SnapshotExt:
			ld.mu.snapshots = append(ld.mu.snapshots, n.base)
		case n.ext == segment.TxnExt:
			txns[n.base] = true
		}
	}
	for _, s := range ld.segments {
		if !txns[s.Base()] {
			continue
		}
		if err := s.CheckAborted(); err != nil {
			return err
		}
	}
	ld.noteLostTxns(logs, txns)
	for _, n := range names {
		if n.suffix == "" && n.ext != segment.SnapshotExt && !logs[n.base] {
			ld.logger().WithField("file", n.full).Warn("Removing an index without its log")
			if err := ld.env.fs.Remove(ld.file(n.full)); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(ld.segments, func(a, b *segment.Segment) int { return int(min(1, max(-1, a.Base()-b.Base()))) })
	slices.Sort(ld.mu.snapshots)
	if len(ld.deleted) == 0 {
		return nil
	}
	return ld.removeLeftovers()
}

// noteLostTxns looks for segments whose transaction index ends in .deleted although the log does not: a power loss
// has brought the log back, and not the index, which need not exist, so that nobody would miss it. Consumers would
// take what was aborted for committed. After a clean stop such files are what compaction has left.
func (ld *loader) noteLostTxns(logs, txns map[int64]bool) {
	if ld.clean {
		return
	}
	for _, n := range ld.deleted {
		if n.ext == segment.TxnExt && logs[n.base] && !txns[n.base] {
			ld.txnsLost = append(ld.txnsLost, n.base)
		}
	}
}

// readSmallFiles reads the topic id and the leader epochs. A file that cannot be read is nothing lost
// while the log holds no record; otherwise the epochs are gathered from the batches again.
func (ld *loader) readSmallFiles() error {
	fsys := ld.env.fs
	id, ok, err := checkpoint.ReadPartitionMetadata(fsys, ld.file(checkpoint.PartitionMetadata))
	switch {
	case ok:
		ld.topicID.Store(&id)
	case errors.Is(err, checkpoint.ErrMalformed) && ld.empty():
		ld.logger().WithError(err).Warn("Removing the unreadable topic id of an empty log")
		err = fsys.Remove(ld.file(checkpoint.PartitionMetadata))
	case err == nil:
		if id, ld.idNoted, err = checkpoint.ReadNotedPartitionMetadata(fsys, ld.file(checkpoint.PartitionMetadata)); ld.idNoted {
			ld.topicID.Store(&id)
		}
	}
	if err != nil {
		return err
	}
	entries, err := checkpoint.ReadEpochs(fsys, ld.file(checkpoint.LeaderEpochs))
	if errors.Is(err, checkpoint.ErrMalformed) {
		ld.logger().WithError(err).Warn("Rebuilding the leader epochs from the log")
		entries, err, ld.epochsLost = nil, nil, true
		ld.mu.changes++
	}
	if err == nil {
		ld.epochs, err = epoch.NewCache(entries)
	}
	return err
}

// empty reports whether no segment holds a byte.
func (ld *loader) empty() bool {
	return !slices.ContainsFunc(ld.segments, func(s *segment.Segment) bool { return s.Size() > 0 })
}

// reachedStart reports whether the log has once reached the checkpointed start offset, below which it ends now.
//
// It has if records were deleted up to there (DeleteRecords) that were not durable, and a power loss took them: then all
// that is left of the log was deleted, too. A start offset is never above the high watermark, the checkpoint of which is
// written before. If that says less, log-start-offset-checkpoint is damaged or not of this log. Kafka deletes the
// segments in either case (LogLoader.recoverLog); here a digit that has changed must not cost the log.
func (ld *loader) reachedStart() bool { return ld.watermark >= ld.startOffset }

// settle decides on the log's bounds, once its segments are sound.
func (ld *loader) settle() error {
	end := ld.startOffset
	if n := len(ld.segments); n > 0 {
		var err error
		if end, err = ld.segments[n-1].NextOffset(); err != nil {
			return err
		}
	}
	if end < ld.startOffset && !ld.reachedStart() {
		ld.logger().WithField("end", end).WithField("start", ld.startOffset).
			Error("Ignoring the checkpointed start offset: the log has never reached it")
		ld.startOffset = 0
		ld.dir.startsWrong.Store(true)
	}
	if end < ld.startOffset {
		ld.logger().WithField("end", end).WithField("start", ld.startOffset).
			Warn("Removing all segments: the log ends below its checkpointed start offset")
		if err := ld.removeAllLocked(ld.segments); err != nil {
			return err
		}
		ld.segments, end = nil, ld.startOffset
	}
	if end < ld.recoveryPoint {
		ld.logger().WithField("end", end).WithField("durable", ld.recoveryPoint).
			Error("Records are lost that had been durable: the log ends below its recovery point")
	}
	if len(ld.segments) == 0 && ld.startOffset > 0 {
		s, err := ld.createSegment(ld.startOffset)
		if err != nil {
			return err
		}
		ld.segments = []*segment.Segment{s}
	}
	start := ld.startOffset
	if len(ld.segments) > 0 {
		start = max(start, ld.segments[0].Base())
	}
	point := end
	if !ld.clean {
		point = max(start, min(ld.recoveryPoint, end))
		ld.recovered.Store(end)
	}
	if cleaned := ld.cleaned.Load(); cleaned > end {
		ld.logger().WithField("end", end).WithField("cleaned", cleaned).Warn("Taking all of the log as dirty: it ends below what was cleaned")
		ld.cleaned.Store(start)
	}
	ld.start.Store(start)
	ld.end.Store(end)
	ld.Log.recoveryPoint.Store(point)
	ld.highWatermark.Store(start)
	ld.Log.segments.Store(&ld.segments)
	return nil
}

// finish brings what follows from the records in line with them: epochs and producers.
func (ld *loader) finish() error {
	start, end := ld.start.Load(), ld.end.Load()
	if err := ld.fillEpochs(); err != nil {
		return err
	}
	cut := ld.epochs.TruncateFromEnd(end)
	ld.epochs.TruncateFromStart(start)
	if cut || !ld.clean { // what was read after a crash may not be durable
		ld.mu.changes++
	}
	ld.mu.idUnsaved = ld.idNoted || !ld.clean && !ld.TopicID().IsZero()
	ld.mu.unnamed = !ld.clean
	if len(ld.segments) == 0 {
		ld.mu.changes++ // the log has never had its files
		ld.queueLocked()
	}
	if err := ld.removeStraySnapshots(); err != nil {
		return err
	}
	if ld.mu.producers.End() == end && !ld.clean {
		ld.mu.producers.SetHighWatermark(start)
		ld.updateUnstableLocked()
	} else if err := ld.loadProducersLocked(ld.segments, end); err != nil {
		return err
	}
	settle := ld.snapshotLocked
	if !ld.clean {
		settle = ld.settleSnapshots
	}
	if err := settle(); err != nil {
		return fmt.Errorf("producer snapshots: %w", err)
	}
	return ld.removeDeleted()
}

// removeStraySnapshots removes the snapshots that belong to no segment, except one beyond the last
// segment's base, which a clean stop leaves (ProducerStateManager.removeStraySnapshots).
func (ld *loader) removeStraySnapshots() error {
	bases := map[int64]bool{}
	for _, s := range ld.segments {
		bases[s.Base()] = true
	}
	last, newest := int64(0), int64(-1)
	if n := len(ld.segments); n > 0 {
		last = ld.segments[n-1].Base()
	}
	if n := len(ld.mu.snapshots); n > 0 && ld.mu.snapshots[n-1] >= last {
		newest = ld.mu.snapshots[n-1]
	}
	end := ld.end.Load()
	return ld.removeSnapshotsLocked(func(o int64) bool { return o > end || !bases[o] && o != newest })
}
