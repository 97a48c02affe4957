package storage

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// A replica is moved to another log directory by way of a future log there (KIP-113): a log of its own, in
// <topic>-<partition>.<32 hex>-future, that the owner of the replica fills from the current one. Once they
// are alike, Promote puts it into the current one's place:
//
//  1. The future log is synced, and gets a mark, promotionMark, and the entry of the current one in its directory's
//     cleaner-offset-checkpoint.
//  2. Its directory gets the name of a live replica.
//  3. The old log's directory gets the name of one to be deleted.
//  4. The mark goes.
//
// Each step is durable before the next. A crash between 2 and 3 leaves two live replicas, of which the one
// with the mark holds everything: the other is deleted at the next start. (Kafka, which has no mark, does not
// start then.) The mark stays as long as a directory is offline, since the old log may still be there.

// promotionMark is the file in a replica's directory that says that it has taken the place of another one.
const promotionMark = ".promoted"

// IsFuture reports whether the log is a copy that is being made in another log directory.
func (l *Log) IsFuture() bool { return l.future.Load() }

// Future returns the future log of p, nil if there is none.
func (m *Manager) Future(p topic.Partition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.futures[p]
}

// Moving reports whether there is any future log.
func (m *Manager) Moving() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.mu.futures) > 0
}

// FindDir returns the log directory that an absolute path means, as Options.Dirs names it. Errors:
// ErrUnknownDir, ErrStorage if it is offline.
func (m *Manager) FindDir(path string) (string, error) {
	d, err := m.findDir(path)
	if err != nil {
		return "", err
	}
	return d.path, nil
}

func (m *Manager) findDir(path string) (*dir, error) {
	i := slices.IndexFunc(m.dirs, func(d *dir) bool { return d.absolute() == path })
	switch {
	case i < 0:
		return nil, fmt.Errorf("%w: %s", ErrUnknownDir, path)
	case m.dirs[i].offline.Load():
		return nil, fmt.Errorf("%w: %s", ErrStorage, path)
	}
	return m.dirs[i], nil
}

// absolute returns the directory's path as it is shown outside.
func (d *dir) absolute() string {
	path, err := filepath.Abs(d.path)
	if err != nil { // the working directory is gone
		return d.path
	}
	return path
}

// Prefer has the log of p, once it is created, made in the directory that path means, unless p has a log
// or a future log there. Errors: ErrUnknownDir, ErrStorage.
func (m *Manager) Prefer(p topic.Partition, path string) error {
	d, err := m.findDir(path)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range []*Log{m.mu.logs[p], m.mu.futures[p]} {
		if l != nil && l.dir == d {
			return nil
		}
	}
	m.mu.preferred[p] = d.path
	return nil
}

// CreateFuture makes a future log of p, which has a log elsewhere, in the directory that path means. Errors:
// ErrUnknownDir, ErrExists if there is one, ErrClosed if p has no log, and ErrStorage if any directory is
// offline: a future log may be in it.
func (m *Manager) CreateFuture(p topic.Partition, path string) (*Log, error) {
	d, err := m.findDir(path)
	if err != nil {
		return nil, err
	}
	if m.anyOffline() {
		return nil, fmt.Errorf("create future log for partition %s: %w: one may be on a log directory that is offline", p, ErrStorage)
	}
	current := m.Log(p)
	if current == nil || current.dir == d {
		return nil, fmt.Errorf("create future log for partition %s: %w", p, ErrClosed)
	}
	m.mu.Lock()
	exists := m.mu.futures[p] != nil || m.mu.closed
	m.mu.Unlock()
	if exists {
		return nil, fmt.Errorf("%w: %s", ErrExists, p)
	}
	l, err := d.createFuture(p, *current.Config())
	if err == nil {
		err = l.SetTopicID(current.TopicID())
	}
	if err != nil {
		return nil, d.fail(fmt.Errorf("create future log for partition %s: %w", p, err))
	}
	d.reserve(1)
	m.publish(l)
	l.SetConfig(*current.Config()) // which may have been changed before Reconfigure could see l
	m.preferredDir(p)              // satisfied
	m.env.states().abort(p)        // and it does not begin again as long as there is a future log
	l.logger().Info("Created future log")
	return l, nil
}

// createFuture makes an empty future log.
func (d *dir) createFuture(p topic.Partition, c LogConfig) (*Log, error) {
	if err := d.correct(p, 0, 0, 0, -1); err != nil {
		return nil, err
	}
	path := filepath.Join(d.path, uniqueDirName(p, dirFuture))
	if err := d.env.fs.MkdirAll(path); err != nil {
		return nil, err
	}
	l := d.newLog(p, path, c)
	l.future.Store(true)
	d.created.Add(1)
	if err := l.setEpochs(nil); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.changes++ // there is no file yet
	l.queueLocked()
	return l, nil
}

// DeleteFuture gives up the future log of p: its files are removed later, if its directory is online.
// Without a future log it does nothing.
func (m *Manager) DeleteFuture(p topic.Partition) error {
	m.mu.Lock()
	l := m.mu.futures[p]
	delete(m.mu.futures, p)
	m.mu.Unlock()
	if l == nil {
		return nil
	}
	l.dir.remove(l)
	if l.online() != nil {
		l.abandon()
		return nil
	}
	path, err := l.retire()
	if err != nil || path == "" {
		return err
	}
	m.removeLater(l.dir, path, l.config.Load().FileDeleteDelayMs)
	return nil
}

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

func (m *Manager) anyOffline() bool {
	return slices.ContainsFunc(m.dirs, func(d *dir) bool { return d.offline.Load() })
}

// found is what listDir has found of one replica.
type found struct {
	topic.Partition
	dir      *dir
	name     string // of its directory
	promoted bool   // it has taken the place of another one
}

// settleReplicas decides between several directories for one partition: of live ones the one that was
// promoted last stays, of future ones any, and none beside the live one. What goes is deleted later.
func (m *Manager) settleReplicas(live, futures []found) ([]found, []found, error) {
	byName := map[topic.Partition]int{} // index in kept
	var kept []found
	for _, f := range live {
		i, twice := byName[f.Partition]
		switch {
		case !twice:
			byName[f.Partition] = len(kept)
			kept = append(kept, f)
			continue
		case f.promoted == kept[i].promoted:
			return nil, nil, fmt.Errorf("duplicate log directories found: %s, %s",
				filepath.Join(kept[i].dir.path, kept[i].name), filepath.Join(f.dir.path, f.name))
		case f.promoted:
			f, kept[i] = kept[i], f
		}
		m.discard(f)
	}
	seen := map[topic.Partition]bool{}
	var copies []found
	for _, f := range futures {
		i, hasLive := byName[f.Partition]
		if seen[f.Partition] || hasLive && kept[i].dir == f.dir {
			m.discard(f)
			continue
		}
		seen[f.Partition] = true
		copies = append(copies, f)
	}
	m.removeMarks(kept)
	return kept, copies, nil
}

// discard has a replica's directory deleted, and the name durable that says so.
func (m *Manager) discard(f found) {
	f.dir.logger.WithField("name", f.name).Warn("Deleting a replica whose place another one has taken")
	to := filepath.Join(f.dir.path, deleteDirName(f.Partition))
	err := m.env.fs.Rename(filepath.Join(f.dir.path, f.name), to)
	if err == nil {
		err = m.env.fs.SyncDir(f.dir.path)
	}
	if err != nil {
		_ = f.dir.fail(fmt.Errorf("rename for deletion: %w", err)) // logged there
		return
	}
	m.removeLater(f.dir, to, m.opts.Defaults.FileDeleteDelayMs)
}

// removeMarks removes the marks of promotions once nothing is left for them to decide.
func (m *Manager) removeMarks(live []found) {
	if m.anyOffline() {
		return
	}
	for _, f := range live {
		if !f.promoted {
			continue
		}
		path := filepath.Join(f.dir.path, f.name)
		err := m.env.fs.Remove(filepath.Join(path, promotionMark))
		if err == nil {
			err = m.env.fs.SyncDir(path)
		}
		if err != nil {
			_ = f.dir.fail(fmt.Errorf("remove a mark: %w", err)) // logged there
		}
	}
}
