package storage

import (
	"fmt"
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
		err = future.dir.checkpointHighWatermarks()
	}
	if err == nil {
		err = future.dir.checkpointStarts()
	}
	if err != nil {
		return err
	}
	return future.markForPromotion()
}

// markForPromotion gives the log its mark, unless the move was given up: filesMu keeps its directory from being
// renamed meanwhile, which would look like a failure of the disk.
func (l *Log) markForPromotion() error {
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	if err := l.readable(); err != nil {
		return err
	}
	if err := vfs.WriteFile(l.env.fs, l.file(promotionMark), nil); err != nil {
		return l.failed("mark for promotion", err)
	}
	return nil
}

// Promote puts the future log of p, which PreparePromotion has prepared, into the place of the current one.
// The owner keeps both from changing, and the future log ends where the current one does. It is not less
// durable afterwards. The old log is closed.
//
// ErrStorage may mean the directory of either; if the future log is the current one by then, it is returned
// without an error.
func (m *Manager) Promote(p topic.Partition) (*Log, error) {
	current, future := m.Log(p), m.Future(p)
	if current == nil || future == nil {
		return nil, fmt.Errorf("promote the future log of %s: %w", p, ErrClosed)
	}
	if point := current.RecoveryPoint(); future.RecoveryPoint() < point {
		if err := future.flushTo(point); err != nil {
			return nil, err
		}
	}
	defer current.pauseCleaning()()
	if err := future.takeOverCleaned(current); err != nil {
		return nil, err
	}
	if err := future.becomeCurrent(current); err != nil {
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

// becomeCurrent gives a future log the name of a live one, and what does not follow from the records.
func (l *Log) becomeCurrent(current *Log) error {
	l.SetConfig(*current.Config())
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	path := l.files.Path()
	if err := l.files.Rename(filepath.Join(l.dir.path, l.partition.String())); err != nil {
		return l.failed("promote", err)
	}
	if err := l.env.fs.SyncDir(l.dir.path); err != nil {
		// The old log goes on, so that this one must not win over it when the directory is back.
		_ = l.files.Rename(path)
		return l.failed("promote", err)
	}
	l.uncleanable.Store(current.uncleanable.Load())
	l.future.Store(false)
	// A leader has an epoch in its checkpoint that no record tells of yet.
	if last, ok := current.epochs.Latest(); ok {
		if err := l.epochs.Assign(last.Epoch, last.Start); err != nil {
			return l.failed("take over the leader epoch", err)
		}
		l.queueLocked()
	}
	l.setHighWatermarkLocked(current.HighWatermark())
	return nil
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
	m.removeLater(old.dir, path, old.config.Load().FileDeleteDelayMs)
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
