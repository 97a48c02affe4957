package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// PreparePromotion does what of Promote takes long. The owner may go on appending to both logs.
func (m *Manager) PreparePromotion(p topic.Partition) error {
	future := m.Future(p)
	if future == nil {
		return fmt.Errorf("promote the future log of %s: %w", p, ErrClosed)
	}
	err := future.Flush()
	if err == nil {
		err = future.saveFiles()
	}
	if err == nil {
		err = future.dir.checkpointStarts()
	}
	if err != nil {
		return err
	}
	return future.markForPromotion()
}

// rank is what a replica's mark makes it among several live ones for one partition.
type rank int

const (
	unmarked rank = iota
	promoted      // it has taken the place of another one
	remained      // it has kept its place, which another one was to take
)

// remainedMark is the content of the mark of a replica that has kept its place.
const remainedMark = "remained\n"

// readMark reads a mark; a file that does not exist is none.
func readMark(fsys vfs.FS, path string) (rank, error) {
	switch data, err := vfs.ReadFile(fsys, path); {
	case errors.Is(err, fs.ErrNotExist):
		return unmarked, nil
	case err != nil:
		return unmarked, err
	case string(data) == remainedMark:
		return remained, nil
	}
	return promoted, nil
}

// markForPromotion gives a future log its mark.
func (l *Log) markForPromotion() error { return l.mark("") }

// remain has the log outrank one that was to take its place, and may have its name on a disk that has failed.
func (l *Log) remain() error { return l.mark(remainedMark) }

// mark gives the log a mark, unless it was closed, as the copy of a move that was given up is: filesMu keeps its
// directory from being renamed meanwhile, which would look like a failure of the disk.
func (l *Log) mark(content string) error {
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	if err := l.readable(); err != nil {
		return err
	}
	if err := vfs.WriteFile(l.env.fs, l.file(promotionMark), []byte(content)); err != nil {
		return l.failed("mark for promotion", err)
	}
	return nil
}

// Promote puts the future log of p, which PreparePromotion has prepared, into the place of the current one.
// The owner keeps both from changing, and the future log ends where the current one does. It is not less
// durable afterwards, nor than the current one may have been when a process before was killed. The old log is closed.
//
// ErrStorage may mean the directory of either; if the future log is the current one by then, it is returned
// without an error.
func (m *Manager) Promote(p topic.Partition) (*Log, error) {
	current, future := m.Log(p), m.Future(p)
	if current == nil || future == nil {
		return nil, fmt.Errorf("promote the future log of %s: %w", p, ErrClosed)
	}
	if point := max(current.RecoveryPoint(), current.recovered.Load()); future.RecoveryPoint() < point {
		if err := future.flushTo(point); err != nil {
			return nil, err
		}
	}
	defer current.pauseCleaning()()
	if err := future.takeOverCleaned(current); err != nil {
		return nil, err
	}
	if named, err := future.becomeCurrent(current); err != nil {
		if named {
			err = errors.Join(err, current.remain())
		}
		return nil, err
	}
	m.mu.Lock()
	delete(m.mu.futures, p)
	m.mu.logs[p] = future
	m.mu.Unlock()
	future.logger().WithField("from", current.dir.path).Info("Moved the replica to another log directory")
	m.replaced(current, future)
	if current.cleaned.Load() >= 0 {
		_ = current.dir.checkpointCleaned() // a failure is logged there; the next start finds that the log is gone
	}
	return future, nil
}

// takeOverCleaned notes, also on disk, how far the current log is clean, and so that it has gaps: that must be known
// of whatever has the name of a live replica. While it is a future log the next start takes no notice.
func (l *Log) takeOverCleaned(current *Log) error {
	cleaned := current.cleaned.Load()
	if cleaned < 0 {
		return nil
	}
	l.cleaned.Store(cleaned)
	return l.dir.checkpointCleaned()
}

// becomeCurrent gives a future log the name of a live one, and what does not follow from the records. named reports
// whether it may have that name.
func (l *Log) becomeCurrent(current *Log) (named bool, err error) {
	l.SetConfig(*current.Config())
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return false, err
	}
	err = l.files.Rename(filepath.Join(l.dir.path, l.partition.String()))
	if err == nil {
		err = l.env.fs.SyncDir(l.dir.path)
	}
	if err != nil {
		return true, l.failed("promote", err)
	}
	l.uncleanable.Store(current.uncleanable.Load())
	l.future.Store(false)
	// A leader has an epoch in its checkpoint that no record tells of yet.
	if last, ok := current.epochs.Latest(); ok {
		if err := l.assignEpochLocked(last); err != nil {
			return true, l.failed("take over the leader epoch", err)
		}
		l.queueLocked()
	}
	l.setHighWatermarkLocked(current.HighWatermark())
	return true, nil
}

// replaced ends a log whose place another one has taken. A failure is its directory's, and keeps the mark.
func (m *Manager) replaced(old, by *Log) {
	old.dir.remove(old)
	path, err := old.retire()
	if err != nil || path == "" {
		old.abandon()
		return
	}
	if err := m.env.fs.SyncDir(old.dir.path); err != nil {
		_ = old.failed("rename for deletion", err) // logged there
		return
	}
	m.removeRetired(old, path)
	if m.anyOffline() {
		return
	}
	_, err = vfs.RemoveIfExists(m.env.fs, by.file(promotionMark))
	if err == nil { // or it may come back beside that of the next move
		err = by.files.Sync()
	}
	if err != nil {
		_ = by.failed("promote", err) // logged there
	}
}
