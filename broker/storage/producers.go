package storage

import (
	"errors"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Producers lists the producers whose state the log keeps, by id.
func (l *Log) Producers() []ProducerState {
	l.mu.Lock()
	defer l.mu.Unlock()
	states := make([]ProducerState, 0, l.mu.producers.Len())
	for e := range l.mu.producers.All() {
		states = append(states, ProducerState{
			ProducerID:       e.ID,
			ProducerEpoch:    e.Epoch,
			LastSequence:     e.LastSequence(),
			LastTimestamp:    e.Timestamp,
			CoordinatorEpoch: e.CoordinatorEpoch,
			TxnStartOffset:   e.TxnFirstOffset,
		})
	}
	return states
}

// StartVerification begins the verification of a producer's transaction with its coordinator
// (KIP-890). The guard goes with the append that follows a positive answer; a zero guard means that
// the transaction has records here already and needs none.
func (l *Log) StartVerification(producerID int64, sequence int32, producerEpoch int16, now int64) producer.Guard {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.StartVerification(producerID, sequence, producerEpoch, now)
}

// HasOpenTransaction reports whether producerID has records of an undecided transaction in the log.
func (l *Log) HasOpenTransaction(producerID int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.producers.HasOpenTxn(producerID)
}

// lateTransaction is how long after transaction.max.timeout.ms an open transaction counts as late
// (LATE_TRANSACTION_BUFFER_MS).
const lateTransaction = 5 * time.Minute

// HasLateTransaction reports whether the oldest open transaction should have ended long ago, as its
// coordinator lets none live beyond transaction.max.timeout.ms: it hangs (KIP-664).
func (l *Log) HasLateTransaction(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	written, ok := l.mu.producers.OldestTxnTimestamp()
	return ok && now-written > (l.env.opts.MaxTransactionTimeout+lateTransaction).Milliseconds()
}

// expireProducers forgets producers that were idle for too long.
func (l *Log) expireProducers(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return
	}
	l.mu.producers.Expire(now, l.env.producerExpiry.Load())
}

// commitProducersLocked applies what an append changes and writes aborted transactions into the
// segment's transaction index. It requires mu.
func (l *Log) commitProducersLocked(s *segment.Segment, pending *producer.Append) error {
	return l.mu.producers.Commit(pending, func(t producer.CompletedTxn) error {
		if !t.Aborted {
			return nil
		}
		return s.AppendAborted(segment.AbortedTxn{
			ProducerID: t.ProducerID, FirstOffset: t.FirstOffset,
			LastOffset: t.LastOffset, LastStableOffset: t.LastStableOffset,
		})
	})
}

// updateUnstableLocked publishes the first unstable offset. It requires mu.
func (l *Log) updateUnstableLocked() {
	first, ok := l.mu.producers.FirstUnstableOffset()
	if !ok {
		first = math.MaxInt64
	} else {
		first = max(first, l.start.Load())
	}
	l.firstUnstable.Store(first)
}

// replayLocked applies a batch that is in the log already. It requires mu. It returns what the batch
// ends, for a transaction index that is being rebuilt into s; s may be nil.
func (l *Log) replayLocked(b record.Batch, s *segment.Segment) error {
	if b.BaseOffset() < l.mu.producers.End() && b.LastOffset() < l.mu.producers.End() {
		return nil // the snapshot includes it
	}
	pending := l.mu.producers.Prepare(record.Replication, false)
	if _, _, err := pending.Add(b, 0); err != nil {
		return err
	}
	var err error
	if s == nil {
		err = l.mu.producers.Commit(pending, nil)
	} else {
		err = l.commitProducersLocked(s, pending)
	}
	l.mu.producers.SetEnd(b.NextOffset())
	return err
}

// loadProducersLocked rebuilds the producer state as of offset end: the newest usable snapshot at or
// below it, and what segments hold from there on. If nobody was known at end or later, nobody is known
// before, and a segment need not be read for it (UnifiedLog.rebuildProducerState). It requires mu.
func (l *Log) loadProducersLocked(segments []*segment.Segment, end int64) error {
	nobody := l.mu.producers.IsEmpty() && l.mu.producers.End() >= end
	if err := l.loadSnapshotLocked(end); err != nil {
		return err
	}
	from := l.mu.producers.End()
	for _, s := range segments[max(0, floor(segments, from)):] {
		if s.Base() >= end || nobody {
			break
		}
		err := s.EachBatch(max(from, s.Base()), func(b record.Batch) error {
			if b.BaseOffset() >= end {
				return errStop
			}
			return l.replayLocked(b, nil)
		})
		if err != nil && !errors.Is(err, errStop) {
			return err
		}
	}
	l.mu.producers.SetEnd(end)
	l.mu.producers.SetHighWatermark(l.highWatermark.Load())
	l.updateUnstableLocked()
	return nil
}

// errStop ends an iteration early.
var errStop = errors.New("stop")

// loadSnapshotLocked starts over from the newest snapshot up to end that can be read; those that
// cannot are removed. Without one the state is empty as of the first segment. It requires mu.
func (l *Log) loadSnapshotLocked(end int64) error {
	for _, offset := range slices.Backward(slices.Clone(l.mu.snapshots)) {
		if offset > end {
			continue
		}
		data, err := vfs.ReadFile(l.env.fs, l.snapshotFile(offset))
		if err == nil {
			var entries []producer.Entry
			if entries, err = producer.ParseSnapshot(data); err == nil {
				l.mu.producers.Load(entries, offset, l.env.nowMs(), l.env.producerExpiry.Load())
				return nil
			}
			l.logger().WithError(err).WithField("offset", offset).Warn("Removed an unreadable producer snapshot")
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := l.removeSnapshotsLocked(func(o int64) bool { return o == offset }); err != nil {
			return err
		}
	}
	l.mu.producers.Reset(0)
	return nil
}

// snapshotLocked writes the producer state to a snapshot named after its end offset, unless there is
// one as new. The file is synced when the log is. It requires mu.
func (l *Log) snapshotLocked() error {
	offset := l.mu.producers.End()
	last := int64(0)
	if n := len(l.mu.snapshots); n > 0 {
		last = l.mu.snapshots[n-1]
	}
	if offset <= last {
		return nil
	}
	if err := writeFile(l.env.fs, l.snapshotFile(offset), l.mu.producers.AppendSnapshot(nil)); err != nil {
		return err
	}
	l.mu.snapshots = append(l.mu.snapshots, offset)
	l.mu.unsyncedSnapshots = append(l.mu.unsyncedSnapshots, offset)
	return nil
}

// syncSnapshotLocked makes the snapshot at offset durable, if it may not be. It requires mu.
func (l *Log) syncSnapshotLocked(offset int64) error {
	i := slices.Index(l.mu.unsyncedSnapshots, offset)
	if i < 0 {
		return nil
	}
	if err := syncFile(l.env.fs, l.snapshotFile(offset)); err != nil {
		return err
	}
	if err := l.files.Sync(); err != nil {
		return err
	}
	l.mu.unsyncedSnapshots = slices.Delete(l.mu.unsyncedSnapshots, i, i+1)
	return nil
}

// removeSnapshotsLocked removes the snapshots whose offset which says yes to. It requires mu.
func (l *Log) removeSnapshotsLocked(which func(offset int64) bool) error {
	for _, offset := range l.mu.snapshots {
		if !which(offset) {
			continue
		}
		if _, err := vfs.RemoveIfExists(l.env.fs, l.snapshotFile(offset)); err != nil {
			return err
		}
	}
	l.mu.snapshots = slices.DeleteFunc(l.mu.snapshots, which)
	l.mu.unsyncedSnapshots = slices.DeleteFunc(l.mu.unsyncedSnapshots, which)
	return nil
}

func (l *Log) snapshotFile(offset int64) string {
	return l.file(segment.FileName(offset, segment.SnapshotExt))
}

// writeFile writes a file in place, without a sync. It never cuts the file to nothing: ext4 takes that,
// followed by a close, for a replacement that must not be lost and starts to write at once.
func writeFile(fsys vfs.FS, path string, data []byte) error {
	f, err := fsys.OpenFile(path, vfs.ReadWrite|vfs.Create)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	return errors.Join(err, f.Close())
}

// syncFile makes a file's content durable.
func syncFile(fsys vfs.FS, path string) error {
	f, err := fsys.OpenFile(path, vfs.ReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
