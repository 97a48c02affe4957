package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Manager owns the log directories and every log in them (Kafka's LogManager).
type Manager struct {
	opts   Options
	env    *env
	dirs   []*dir
	cancel context.CancelFunc
	loops  sync.WaitGroup // scheduler and flusher
	hooks  hooks

	threads atomic.Int32 // Options.RecoveryThreads, as it may have been changed

	mu struct {
		sync.RWMutex
		closed   bool
		logs     map[topic.Partition]*Log
		futures  map[topic.Partition]*Log // see future.go
		creating map[topic.Partition]bool
		// preferred are the directories for logs that are to be created; bounded by what administrators
		// have asked for.
		preferred map[topic.Partition]string
	}
}

// Open locks opts.Dirs, creating those that do not exist, and loads every log. A directory that
// cannot be used is offline from the start; that is an error only for all of them. A directory that
// another process has locked, and one that holds a directory which is not a replica's, are errors.
func Open(opts Options) (*Manager, error) {
	m, err := open(opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.loops.Go(func() { m.env.sched.run(ctx) })
	m.loops.Go(func() { m.env.flush.run(ctx) })
	if m.env.cleaner != nil {
		m.env.cleaner.start()
	}
	return m, nil
}

// open is Open without the goroutines that run what is due.
func open(opts Options) (*Manager, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	m := &Manager{opts: opts, cancel: func() {}}
	files := vfs.NewCache(opts.MaxOpenFiles)
	frugal := &vfs.Frugal{FS: opts.FS, Files: files, Patience: opts.DescriptorPatience, Short: opts.OnNoDescriptor}
	m.env = &env{fs: frugal, files: files, opts: &m.opts, sched: newScheduler(), flush: newFlusher()}
	m.env.unsaved = &unsavedLogs{sched: m.env.sched, flush: m.env.flush}
	if opts.Cleaner != nil {
		m.env.cleaner = newCleaner(m, *opts.Cleaner)
	}
	m.SetProducerExpiry(m.opts.ProducerExpiry)
	m.SetRecoveryThreads(m.opts.RecoveryThreads)
	m.mu.logs = map[topic.Partition]*Log{}
	m.mu.futures = map[topic.Partition]*Log{}
	m.mu.creating = map[topic.Partition]bool{}
	m.mu.preferred = map[topic.Partition]string{}
	if err := m.openDirs(); err != nil {
		m.abandon()
		return nil, err
	}
	if err := m.load(); err != nil {
		m.abandon()
		return nil, err
	}
	m.schedule()
	return m, nil
}

// openDirs locks the directories. Two names of one directory fail at the second lock.
func (m *Manager) openDirs() error {
	for _, path := range m.opts.Dirs {
		m.dirs = append(m.dirs, newDir(path, m.env, m.dirFailed))
	}
	for i, d := range m.dirs {
		err := m.opts.Unusable[m.opts.Dirs[i]]
		if err == nil {
			err = d.open()
		}
		switch {
		case errors.Is(err, vfs.ErrLocked):
			return fmt.Errorf("failed to acquire lock on file %s in %s: a Kafka instance in another process or thread is using this directory: %w",
				lockFile, d.path, err)
		case err != nil:
			_ = d.fail(fmt.Errorf("open the directory: %w", err)) // logged there
		}
	}
	return m.anyOnline()
}

// abandon gives up what Open has opened so far.
func (m *Manager) abandon() {
	m.cancel()
	m.loops.Wait()
	for _, d := range m.dirs {
		for _, l := range d.snapshot() {
			l.abandon()
		}
		if d.clean && !d.offline.Load() {
			// Nothing was recovered and nothing written: the stop before is as clean as it was.
			_ = checkpoint.WriteCleanShutdown(m.env.fs, d.path, -1)
		}
		_ = d.unlock() // the error that led here counts
	}
	m.stopHooks()
	m.closeFiles()
}

// CloseIdleFiles closes some files that are open and not in use, since somebody else wants a descriptor, and returns how
// many.
func (m *Manager) CloseIdleFiles() int { return m.env.files.Shed(vfs.ShedFiles) }

// Log returns the log of p, nil if there is none. The log of a directory that is offline is there, and
// answers ErrStorage.
func (m *Manager) Log(p topic.Partition) *Log {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.logs[p]
}

// Logs yields every log, in no order.
func (m *Manager) Logs() iter.Seq[*Log] {
	return func(yield func(*Log) bool) {
		m.mu.RLock()
		logs := slices.Collect(maps.Values(m.mu.logs))
		m.mu.RUnlock()
		for _, l := range logs {
			if !yield(l) {
				return
			}
		}
	}
}
