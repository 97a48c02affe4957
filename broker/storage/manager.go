package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	m.env = &env{fs: opts.FS, files: vfs.NewCache(opts.MaxOpenFiles), opts: &m.opts, sched: newScheduler(), flush: newFlusher()}
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
	for _, d := range m.dirs {
		switch err := d.open(); {
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
		if d.lock != nil {
			_ = d.lock.Close() // the error that led here counts
		}
	}
	m.stopHooks()
}

// schedule starts the periodic tasks.
func (m *Manager) schedule() {
	s, o := m.env.sched, &m.opts
	s.every(o.InitialTaskDelay+o.CheckpointInterval, o.CheckpointInterval, m.eachDir((*dir).checkpointRecoveryPoints))
	s.every(o.InitialTaskDelay+o.StartOffsetCheckpointInterval, o.StartOffsetCheckpointInterval, m.eachDir((*dir).checkpointStarts))
	s.every(o.HighWatermarkCheckpointInterval, o.HighWatermarkCheckpointInterval, m.CheckpointHighWatermarks)
	s.every(o.InitialTaskDelay, o.RetentionCheckInterval, m.checkRetention)
	s.every(o.ProducerExpiryCheckInterval, o.ProducerExpiryCheckInterval, m.expireProducers)
	if o.FlushCheckInterval < time.Duration(1<<62) {
		s.every(o.InitialTaskDelay+o.FlushCheckInterval, o.FlushCheckInterval, m.flushOld)
	}
}

// eachDir returns a task that does f with every directory that is online. Failures are logged where
// the directory goes offline.
func (m *Manager) eachDir(f func(*dir) error) func() {
	return func() {
		for _, d := range m.dirs {
			if !d.offline.Load() {
				_ = f(d)
			}
		}
	}
}

// CheckpointHighWatermarks writes every directory's replication-offset-checkpoint now; the Manager
// does so by itself every Options.HighWatermarkCheckpointInterval and at Close.
func (m *Manager) CheckpointHighWatermarks() { m.eachDir((*dir).checkpointHighWatermarks)() }

// checkRetention removes old segments, but for those of compacted logs: these are the cleaner's to remove, or, if there
// is none, stay (LogManager.cleanupLogs). A log whose policy was compact a moment ago may be at the cleaner still; then
// its turn comes with the next check.
func (m *Manager) checkRetention() {
	m.eachLog(func(l *Log) error {
		if l.config.Load().Compact {
			return nil
		}
		if !l.IsFuture() {
			if !m.env.states().tryPause(l.partition) {
				return nil
			}
			defer m.env.states().resume(l.partition)
		}
		_, err := l.deleteOldSegments(m.env.nowMs())
		return err
	})
}

func (m *Manager) expireProducers() {
	m.eachLog(func(l *Log) error {
		l.expireProducers(m.env.nowMs())
		return nil
	})
}

func (m *Manager) flushOld() {
	m.eachLog(func(l *Log) error { return l.flushIfOld(m.env.nowMs()) })
}

// eachLog does f with every log, future ones too. A log that is closed or offline by then is no news.
func (m *Manager) eachLog(f func(*Log) error) {
	for _, d := range m.dirs {
		for _, l := range d.snapshot() {
			err := f(l)
			if err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
				l.logger().WithError(err).Error("Background task failed")
			}
		}
	}
}

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

// Dirs describes the log directories in the order of Options.Dirs.
func (m *Manager) Dirs() []DirInfo {
	infos := make([]DirInfo, len(m.dirs))
	for i, d := range m.dirs {
		infos[i] = DirInfo{Path: d.path, Absolute: d.absolute(), Offline: d.offline.Load(), Logs: d.size(), Total: -1, Usable: -1}
		if infos[i].Offline {
			continue
		}
		if usage, err := m.env.fs.DiskUsage(d.path); err == nil {
			infos[i].Total, infos[i].Usable = usage.Total, usage.Usable
		}
	}
	return infos
}

// LogsIn returns the logs in a directory of Options.Dirs, future ones too, in no order.
func (m *Manager) LogsIn(path string) []*Log {
	for _, d := range m.dirs {
		if d.path == filepath.Clean(path) {
			return d.snapshot()
		}
	}
	return nil
}

// Close flushes and closes every log, writes all checkpoints and, for each directory where all that
// succeeded, the clean-shutdown marker. No append may be under way. It returns the first error, after
// having tried everything.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.mu.closed {
		m.mu.Unlock()
		return nil
	}
	m.mu.closed = true
	m.mu.Unlock()
	m.cancel()
	if m.env.cleaner != nil {
		m.env.cleaner.stop()
	}
	m.loops.Wait()
	errs := make([]error, len(m.dirs))
	var wg sync.WaitGroup
	for i, d := range m.dirs {
		wg.Go(func() { errs[i] = d.close(int(m.threads.Load())) })
	}
	wg.Wait()
	m.stopHooks()
	return errors.Join(errs...)
}

// close stops the directory's logs and leaves the checkpoints of a clean stop.
func (d *dir) close(threads int) error {
	err := d.closeLogs(d.snapshot(), threads)
	if !d.offline.Load() {
		err = errors.Join(err, d.checkpointRecoveryPoints(), d.checkpointStarts(), d.checkpointHighWatermarks())
	}
	// A directory whose logs were not all loaded is as clean as it was before.
	if err == nil && !d.offline.Load() && (d.loaded || d.clean) {
		if err = checkpoint.WriteCleanShutdown(d.env.fs, d.path, -1); err != nil {
			err = d.fail(fmt.Errorf("write %s: %w", checkpoint.CleanShutdown, err))
		}
	}
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// closeLogs stops logs, several at a time.
func (d *dir) closeLogs(logs []*Log, threads int) error {
	if len(logs) >= vfs.Many && !d.offline.Load() {
		if err := d.closeMany(logs, threads); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return eachInParallel(threads, logs, (*Log).close)
}

// closeMany stops logs with one sync for all of them: several for each log are what a stop would take most
// of its time for. errors.ErrUnsupported: not on this system.
func (d *dir) closeMany(logs []*Log, threads int) error {
	err := eachInParallel(threads, logs, func(l *Log) error {
		if err := l.settle(); !errors.Is(err, ErrClosed) {
			return err
		}
		return nil
	})
	if err == nil {
		err = d.saveSmallFiles(logs)
	}
	if err == nil {
		paths := []string{d.path}
		for _, l := range logs {
			if !l.closed.Load() {
				paths = append(paths, l.Path())
			}
		}
		err = d.env.fs.SyncVolumes(paths)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return err
		case err != nil:
			err = d.fail(fmt.Errorf("sync the logs: %w", err))
		}
	}
	for _, l := range logs {
		if err == nil {
			l.recoveryPoint.Store(l.end.Load())
		}
		l.abandon()
	}
	return err
}

// eachInParallel calls f with every item, on threads goroutines, and returns one of the errors.
func eachInParallel[T any](threads int, items []T, f func(T) error) error {
	var first atomic.Pointer[error]
	inParallel(threads, items, func(item T) {
		if err := f(item); err != nil {
			first.CompareAndSwap(nil, &err)
		}
	})
	if p := first.Load(); p != nil {
		return *p
	}
	return nil
}
