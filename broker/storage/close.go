package storage

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Close flushes and closes every log, writes all checkpoints and, for each directory where all that
// succeeded, the clean-shutdown marker. No append may be under way. It returns all errors, after
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
	m.closeFiles()
	return errors.Join(errs...)
}

// closeFiles closes what is open still: files of segments that are no part of a log any more, because they were to be
// removed later or because a failure came between.
func (m *Manager) closeFiles() { m.env.files.Evict(func(vfs.Opener) bool { return true }) }

// close stops the directory's logs and leaves the checkpoints of a clean stop.
func (d *dir) close(threads int) error {
	err := d.closeLogs(d.snapshot(), threads)
	if !d.offline.Load() {
		err = errors.Join(err, d.checkpointRecoveryPoints(), d.checkpointStarts())
	}
	// A directory whose logs were not all loaded is as clean as it was before.
	if err == nil && !d.offline.Load() && (d.loaded || d.clean) {
		if err = checkpoint.WriteCleanShutdown(d.env.fs, d.path, -1); err != nil {
			err = d.fail(fmt.Errorf("write %s: %w", checkpoint.CleanShutdown, err))
		}
	}
	return errors.Join(err, d.unlock())
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
