package storage

import (
	"fmt"
	"path/filepath"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/topic"
)

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
	m.removeRetired(l, path)
	return nil
}

// removeRetired removes a log that was retired to path after file.delete.delay.ms. Until then, who has found something to
// read in it can read it.
func (m *Manager) removeRetired(l *Log, path string) {
	m.removeLater(l.dir, path, l.config.Load().FileDeleteDelayMs, *l.segments.Load()...)
}

// removeLater removes a directory of d whose deletion is pending, and closes the segments in it that are known.
func (m *Manager) removeLater(d *dir, path string, delayMs int64, segments ...*segment.Segment) {
	m.env.sched.after(milliseconds(delayMs), func() {
		for _, s := range segments {
			s.Abandon()
		}
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
// returns; "" if the log was closed already. Its segments stay readable, see removeRetired.
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
	l.dir.retire(l.partition)
	l.closed.Store(true)
	l.logger().WithField("path", path).Info("Log is scheduled for deletion")
	return path, nil
}
