package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
)

// CreateOptions go with Manager.Create.
type CreateOptions struct {
	// New: the controller says that this replica never existed here (LeaderAndIsr's isNew). Otherwise
	// nothing is created while a directory is offline, since the replica may be on that one.
	New     bool
	TopicID topic.ID   // zero: the controller gave none
	Config  *LogConfig // nil: Options.TopicConfig's
	Dir     string     // preferred directory, if it is online; "": the one with the fewest replicas
}

// Create makes an empty log for p, whose high watermark and offsets are 0. It returns ErrExists if
// there is one, ErrStorage if no directory can take it or if it may exist in one that is offline.
func (m *Manager) Create(p topic.Partition, o CreateOptions) (*Log, error) {
	if err := m.reserve(p); err != nil {
		return nil, err
	}
	defer m.unreserve(p)
	config := o.Config
	if config == nil {
		c := m.opts.TopicConfig(p.Topic)
		config = &c
	}
	if o.Dir == "" {
		o.Dir = m.preferredDir(p)
	}
	for {
		d, err := m.place(o)
		if err != nil {
			return nil, fmt.Errorf("create log for partition %s: %w", p, err)
		}
		l, err := m.createIn(d, p, config, o.TopicID)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, ErrStorage) {
			return nil, err
		}
	}
}

// createIn makes the log in d, which place has chosen. A failure of the file system takes d offline.
func (m *Manager) createIn(d *dir, p topic.Partition, c *LogConfig, id topic.ID) (*Log, error) {
	l, err := d.createLog(p, *c)
	if err != nil {
		d.reserve(-1)
		return nil, d.fail(fmt.Errorf("create log for partition %s: %w", p, err))
	}
	if err := l.SetTopicID(id); err != nil {
		d.reserve(-1)
		l.abandon()
		return nil, err
	}
	m.publish(l)
	l.logger().Debug("Created log")
	return l, nil
}

// preferredDir returns where Prefer wants p, and forgets it; "": anywhere.
func (m *Manager) preferredDir(p topic.Partition) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := m.mu.preferred[p]
	delete(m.mu.preferred, p)
	return path
}

// reserve keeps others from creating p, or says why it cannot be.
func (m *Manager) reserve(p topic.Partition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.mu.closed:
		return ErrClosed
	case m.mu.creating[p] || m.mu.logs[p] != nil:
		return fmt.Errorf("%w: %s", ErrExists, p)
	}
	m.mu.creating[p] = true
	return nil
}

func (m *Manager) unreserve(p topic.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.creating, p)
}

// place chooses the directory for a new log, the preferred one or that with the fewest, and counts the
// log there at once, so that logs created at the same time are spread too.
func (m *Manager) place(o CreateOptions) (*dir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	offline := func(d *dir) bool { return d.offline.Load() }
	if !o.New && slices.ContainsFunc(m.dirs, offline) {
		return nil, fmt.Errorf("%w: the replica may be on a log directory that is offline", ErrStorage)
	}
	var best *dir
	for _, d := range m.dirs {
		if offline(d) {
			continue
		}
		if o.Dir != "" && d.path == filepath.Clean(o.Dir) {
			best = d
			break
		}
		if best == nil || d.size() < best.size() {
			best = d
		}
	}
	if best == nil {
		return nil, fmt.Errorf("%w: none is left", ErrStorage)
	}
	best.reserve(1)
	return best, nil
}

// Delete closes p's log, renames its directory to end in -delete and removes it after
// file.delete.delay.ms; its future log goes, too. Without such a log it does nothing.
func (m *Manager) Delete(p topic.Partition) error {
	if err := m.DeleteFuture(p); err != nil {
		return err
	}
	l := m.Log(p)
	if l == nil {
		return nil
	}
	if err := l.online(); err != nil {
		return err
	}
	defer l.pauseCleaning()()
	path, err := l.retire()
	if err != nil || path == "" {
		return err
	}
	m.mu.Lock()
	delete(m.mu.logs, p)
	m.mu.Unlock()
	l.dir.remove(l)
	if l.cleaned.Load() >= 0 {
		if err := l.dir.checkpointCleaned(); err != nil {
			return err
		}
	}
	m.removeLater(l.dir, path, l.config.Load().FileDeleteDelayMs)
	return nil
}

// removeLater removes a directory of d whose deletion is pending.
func (m *Manager) removeLater(d *dir, path string, delayMs int64) {
	m.env.sched.after(milliseconds(delayMs), func() {
		if d.offline.Load() {
			return
		}
		if err := m.env.fs.RemoveAll(path); err != nil {
			_ = d.fail(fmt.Errorf("remove a deleted log: %w", err)) // logged there
			return
		}
		d.logger.WithField("path", path).Info("Deleted log")
	})
}

// retire closes the log for good and gives its directory the name of one to be removed, which it
// returns; "" if the log was closed already.
func (l *Log) retire() (string, error) {
	l.filesMu.Lock()
	defer l.filesMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Load() {
		return "", nil
	}
	path := filepath.Join(l.dir.path, deleteDirName(l.partition))
	if err := l.files.Rename(path); err != nil {
		return "", l.failed("rename for deletion", err)
	}
	l.closed.Store(true)
	for _, s := range *l.segments.Load() {
		s.Abandon()
	}
	l.logger().WithField("path", path).Info("Log is scheduled for deletion")
	return path, nil
}

// close flushes the log, writes what a clean stop leaves, and gives up the files.
func (l *Log) close() error {
	if l.online() != nil {
		l.abandon()
		return nil
	}
	err := l.Flush()
	if err == nil {
		err = l.settle()
	}
	if err == nil {
		err = l.saveFiles()
	}
	if err == nil {
		err = l.syncSettled()
	}
	l.abandon()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// settle writes what a clean stop leaves, without a sync: the last index entries, which come with Seal, and
// a snapshot of the producers. The small files are left to saveFiles.
func (l *Log) settle() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if l.trimmedLocked() {
		l.mu.changes++
	}
	err := l.snapshotLocked()
	for _, s := range *l.segments.Load() {
		err = errors.Join(err, s.Seal(), s.Spill())
	}
	if err != nil {
		return l.failed("close", err)
	}
	return nil
}

// syncSettled makes durable what settle has written. Without producers the snapshot only saves a look through
// the log. With them it may know of some whose records are gone, and has to be as durable as the mark of the
// clean stop.
func (l *Log) syncSettled() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	if l.mu.producers.Len() > 0 && len(l.mu.unsyncedSnapshots) > 0 {
		for _, offset := range l.mu.unsyncedSnapshots {
			err = errors.Join(err, syncFile(l.env.fs, l.snapshotFile(offset)))
		}
		err = errors.Join(err, l.files.Sync())
	}
	for _, s := range *l.segments.Load() {
		err = errors.Join(err, s.Flush())
	}
	if err != nil {
		return l.failed("close", err)
	}
	return nil
}

// abandon gives up the log's files without writing anything.
func (l *Log) abandon() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed.Store(true)
	for _, s := range *l.segments.Load() {
		s.Abandon()
	}
}
