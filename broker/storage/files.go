package storage

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// A log that has held no record is a directory, and at first not more than that: of everything that a
// broker does for a new partition, creating files takes the longest, and syncing them longer still. The
// files are
//
//   - written, and the two small ones (leader-epoch-checkpoint and partition.metadata) made durable,
//     before the first record is written (persistFilesLocked), and
//   - written without a sync, for whoever looks into the directory, as soon as no more logs are being
//     created (freshLogs).
//
// What a crash then loses the controller says again when the broker is back.

// smallFiles is what a Log remembers of its files; mu guards it.
type smallFiles struct {
	idUnsaved     bool // partition.metadata does not durably hold the topic's id
	epochsUnsaved bool // leader-epoch-checkpoint does not durably hold what epochs does
	epochsTrimmed bool // leader-epoch-checkpoint begins before the log does; a load would trim it, too
	fresh         bool // the log holds no record: losing the files would do no harm
	unshown       bool // fresh, and the files do not show what is known; the log is in env.fresh
}

// freshLogs are the fresh logs whose files are to be written.
type freshLogs struct {
	sched *scheduler

	mu   sync.Mutex
	logs []*Log
	seen int // logs when the task last ran
}

// quietTime is how long no log must have been created before the files are written.
const quietTime = time.Second

// add has l's files written before long.
func (f *freshLogs) add(l *Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logs = append(f.logs, l)
	if len(f.logs) == 1 {
		f.seen = 1
		f.sched.after(quietTime, f.showIfQuiet)
	}
}

func (f *freshLogs) showIfQuiet() {
	f.mu.Lock()
	busy := len(f.logs) != f.seen
	f.seen = len(f.logs)
	f.mu.Unlock()
	if busy {
		f.sched.after(quietTime, f.showIfQuiet)
		return
	}
	f.show()
}

func (f *freshLogs) show() {
	f.mu.Lock()
	logs := f.logs
	f.logs = nil
	f.mu.Unlock()
	for _, l := range logs {
		l.mu.Lock()
		_ = l.showFilesLocked() // a failure has taken the directory offline
		l.mu.Unlock()
	}
}

// LatestEpoch returns the last leader epoch in the log's epoch cache; false if there is none.
func (l *Log) LatestEpoch() (int32, bool) {
	e, ok := l.epochs.Latest()
	return e.Epoch, ok
}

// EpochEndOffset returns the largest known epoch that is <= epoch and the offset at which it ends;
// false if the log cannot tell (KIP-101, KIP-279).
func (l *Log) EpochEndOffset(leaderEpoch int32) (found int32, end int64, ok bool) {
	found, end = l.epochs.EndOffsetFor(leaderEpoch, l.end.Load())
	return found, end, found != epoch.Undefined
}

// EpochAt returns the leader epoch that the record at offset was written under, -1 if not known.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.EpochAt(offset) }

// AssignEpoch records that epoch begins at offset start; a new leader calls it with its end offset.
// The checkpoint is written soon after, and made durable before the first record of the epoch is.
func (l *Log) AssignEpoch(leaderEpoch int32, start int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if err := l.epochs.Assign(leaderEpoch, start); err != nil {
		return fmt.Errorf("log %s: %w", l.partition, err)
	}
	l.changedLocked()
	return nil
}

// TopicID returns the id of the log's topic; the zero ID if it is not known.
func (l *Log) TopicID() topic.ID {
	if id := l.topicID.Load(); id != nil {
		return *id
	}
	return topic.ID{}
}

// SetTopicID gives the log its topic's id, which becomes partition.metadata before the first record
// is written. It returns ErrInconsistentTopicID if the log has another one.
func (l *Log) SetTopicID(id topic.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil || id.IsZero() {
		return err // a controller before KIP-516 knows none
	}
	if known := l.TopicID(); !known.IsZero() {
		if known == id {
			return nil
		}
		return fmt.Errorf("%w: log %s is of topic id %s, not %s", ErrInconsistentTopicID, l.partition, known, id)
	}
	l.topicID.Store(&id)
	l.mu.idUnsaved = true
	if l.mu.fresh {
		l.changedLocked()
		return nil
	}
	return l.persistFilesLocked()
}

// persistFilesLocked makes ready for a record: there is a segment, and the small files are durable. It
// requires mu.
func (l *Log) persistFilesLocked() error {
	if l.mu.fresh {
		return l.persistFreshLocked()
	}
	if l.mu.idUnsaved {
		if err := checkpoint.WritePartitionMetadata(l.env.fs, l.file(checkpoint.PartitionMetadata), l.TopicID()); err != nil {
			return l.failed("write partition.metadata", err)
		}
		l.mu.idUnsaved = false
	}
	if l.mu.epochsUnsaved {
		if err := l.saveEpochs(); err != nil {
			return err
		}
		l.mu.epochsUnsaved, l.mu.epochsTrimmed = false, false
	}
	return nil
}

// persistFreshLocked does that for a log that holds no record. What its files held needs no
// protection, so that they are written in place and need one sync of the directory together. It
// requires mu.
func (l *Log) persistFreshLocked() error {
	l.mu.unshown = true // write the epochs even if they are shown: they may be newer now
	if err := l.showFilesLocked(); err != nil {
		return err
	}
	err := syncFile(l.env.fs, l.file(checkpoint.LeaderEpochs))
	if err == nil && l.mu.idUnsaved {
		err = syncFile(l.env.fs, l.file(checkpoint.PartitionMetadata))
	}
	if err == nil {
		err = l.files.Sync()
	}
	if err != nil {
		return l.failed("sync the files of a new log", err)
	}
	l.mu.smallFiles = smallFiles{}
	return nil
}

// saveEpochs makes the leader epochs durable.
func (l *Log) saveEpochs() error {
	l.epochsMu.Lock()
	defer l.epochsMu.Unlock()
	if err := checkpoint.WriteEpochs(l.env.fs, l.file(checkpoint.LeaderEpochs), l.epochs.Entries()); err != nil {
		return l.failed("write the leader epochs", err)
	}
	return nil
}

// changedLocked has the small files of a fresh log shown soon. It requires mu.
func (l *Log) changedLocked() {
	if l.mu.fresh && !l.mu.unshown {
		l.mu.unshown = true
		l.env.fresh.add(l)
	}
}

// showFilesLocked writes the files of a fresh log, without a sync: they stay unsaved. It requires mu.
func (l *Log) showFilesLocked() error {
	if !l.mu.unshown || l.readable() != nil {
		return nil
	}
	l.mu.unshown = false
	if len(*l.segments.Load()) == 0 {
		s, err := l.createSegment(l.end.Load())
		if err != nil {
			return l.failed("create a segment", err)
		}
		l.segments.Store(&[]*segment.Segment{s})
	}
	if l.mu.idUnsaved {
		data := checkpoint.AppendPartitionMetadata(nil, l.TopicID())
		if err := writeFile(l.env.fs, l.file(checkpoint.PartitionMetadata), data); err != nil {
			return l.failed("write partition.metadata", err)
		}
	}
	l.epochsMu.Lock()
	defer l.epochsMu.Unlock()
	data := checkpoint.AppendEpochs(nil, l.epochs.Entries())
	if err := writeFile(l.env.fs, l.file(checkpoint.LeaderEpochs), data); err != nil {
		return l.failed("write the leader epochs", err)
	}
	return nil
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
