package storage

import (
	"fmt"
	"path/filepath"

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
//
// If 2 fails, nobody knows what the failed disk has of it. The old log goes on, with a mark of its own that outranks
// the other: it holds what is appended from then on.

// promotionMark is the file in a replica's directory that says that it has taken the place of another one, or that it
// has kept its own.
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
	m.removeRetired(l, path)
	return nil
}
