package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// lockFile is the file whose lock keeps two brokers out of one log directory.
const lockFile = ".lock"

// dir is one of the directories of log.dirs.
//
// Its checkpoints speak of logs by name. A log that is truncated, or deleted and created anew, must
// not find there what was true of its longer past: a recovery point above its end would keep records
// from being checked after a crash, a start offset above its end would remove them. So the dir
// remembers what its files say, and rewrites them before such a log takes records.
type dir struct {
	path   string
	env    *env
	logger logrus.FieldLogger
	failed func(*dir, error) // the Manager's reaction to the first failure

	offline atomic.Bool
	lock    io.Closer
	clean   bool // the last stop was clean; set before logs are loaded
	loaded  bool // every log was loaded; set before Open returns

	// created counts the logs made here, from 1 for those found at start; the names of the first synced
	// of them are durable.
	created   atomic.Int64
	syncingMu sync.Mutex // held while names are synced
	synced    int64      // guarded by syncingMu

	checkpointMu sync.Mutex // held while a checkpoint is made and written
	written      struct {   // what the files hold; guarded by checkpointMu
		recovery, starts, watermarks checkpoint.Offsets
	}

	mu struct {
		sync.Mutex
		logs  map[topic.Partition]*Log
		count int // logs, and those being created
		err   error
	}
}

// fail takes the directory offline because of err and returns what callers see: ErrStorage with the
// cause. Only the first failure has an effect.
func (d *dir) fail(err error) error {
	if d.offline.CompareAndSwap(false, true) {
		d.mu.Lock()
		d.mu.err = err
		d.mu.Unlock()
		d.logger.WithError(err).Error("Log directory failed: it is offline until the broker restarts")
		d.failed(d, err)
	}
	return fmt.Errorf("%w: %w", ErrStorage, err)
}

// failure returns what took the directory offline.
func (d *dir) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.err
}

// snapshot returns the logs of the directory.
func (d *dir) snapshot() []*Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	logs := make([]*Log, 0, len(d.mu.logs))
	for _, l := range d.mu.logs {
		logs = append(logs, l)
	}
	return logs
}

// reserve counts a log that is about to be created, so that others being created go elsewhere.
func (d *dir) reserve(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.count += n
}

func (d *dir) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.count
}

func (d *dir) add(l *Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.logs[l.partition] = l
}

func (d *dir) remove(l *Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.logs[l.partition] == l {
		delete(d.mu.logs, l.partition)
		d.mu.count--
	}
}

// checkpoint kinds: how a log's offset gets into each file; false leaves the log out.
func recoveryPointOf(l *Log) (int64, bool) { return l.recoveryPoint.Load(), true }
func highWatermarkOf(l *Log) (int64, bool) { return l.highWatermark.Load(), true }

// startOf: only a start offset within the first segment has to be remembered.
func startOf(l *Log) (int64, bool) {
	start, segments := l.start.Load(), *l.segments.Load()
	return start, len(segments) > 0 && start > segments[0].Base()
}

// checkpointRecoveryPoints writes the directory's recovery-point-offset-checkpoint.
func (d *dir) checkpointRecoveryPoints() error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.writeLocked(checkpoint.RecoveryPoints, &d.written.recovery, recoveryPointOf)
}

// checkpointStarts writes the directory's log-start-offset-checkpoint.
func (d *dir) checkpointStarts() error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.writeLocked(checkpoint.LogStarts, &d.written.starts, startOf)
}

// checkpointHighWatermarks writes the directory's replication-offset-checkpoint.
func (d *dir) checkpointHighWatermarks() error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.writeLocked(checkpoint.HighWatermarks, &d.written.watermarks, highWatermarkOf)
}

// writeLocked writes one checkpoint unless the file holds just that. It requires checkpointMu.
func (d *dir) writeLocked(name string, written *checkpoint.Offsets, of func(*Log) (int64, bool)) error {
	if d.offline.Load() {
		return fmt.Errorf("write %s: %w", filepath.Join(d.path, name), ErrStorage)
	}
	offsets := make(checkpoint.Offsets, len(*written))
	changed := false
	for _, l := range d.snapshot() {
		offset, ok := of(l)
		if !ok {
			continue
		}
		offsets[l.partition] = offset
		if before, ok := (*written)[l.partition]; !ok || before != offset {
			changed = true
		}
	}
	if !changed && len(offsets) == len(*written) && *written != nil {
		return nil
	}
	if err := checkpoint.WriteOffsets(d.env.fs, filepath.Join(d.path, name), offsets); err != nil {
		return d.fail(fmt.Errorf("write %s: %w", name, err))
	}
	*written = offsets
	return nil
}

// lowered rewrites the checkpoints that hold more for l than is true now, after l was truncated.
func (d *dir) lowered(l *Log) error {
	return d.correct(l.partition, l.recoveryPoint.Load(), l.start.Load(), l.highWatermark.Load())
}

// correct rewrites the checkpoints that hold an offset of p above these.
func (d *dir) correct(p topic.Partition, recoveryPoint, start, watermark int64) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	var err error
	if offset, ok := d.written.recovery[p]; ok && offset > recoveryPoint {
		err = d.writeLocked(checkpoint.RecoveryPoints, &d.written.recovery, recoveryPointOf)
	}
	if offset, ok := d.written.starts[p]; ok && offset > start && err == nil {
		err = d.writeLocked(checkpoint.LogStarts, &d.written.starts, startOf)
	}
	if offset, ok := d.written.watermarks[p]; ok && offset > watermark && err == nil {
		err = d.writeLocked(checkpoint.HighWatermarks, &d.written.watermarks, highWatermarkOf)
	}
	return err
}

// syncNames makes the names of all logs that were created before durable.
func (d *dir) syncNames() error {
	d.syncingMu.Lock()
	defer d.syncingMu.Unlock()
	created := d.created.Load()
	if d.synced == created {
		return nil
	}
	if err := d.env.fs.SyncDir(d.path); err != nil {
		return err
	}
	d.synced = created
	return nil
}

// readCheckpoint reads one checkpoint. One that cannot be parsed is reported and taken as empty, as
// Kafka's loader does; one that cannot be read fails the directory.
func (d *dir) readCheckpoint(name string) (checkpoint.Offsets, error) {
	offsets, err := checkpoint.ReadOffsets(d.env.fs, filepath.Join(d.path, name))
	if errors.Is(err, checkpoint.ErrMalformed) {
		d.logger.WithError(err).Warn("Ignoring a checkpoint that cannot be read")
		return nil, nil
	}
	return offsets, err
}

// make creates the directory and its parents where they do not exist, durably.
func (d *dir) make() error {
	var parents []string // of what has to be made
	for path := d.path; ; path = filepath.Dir(path) {
		exists, err := vfs.Exists(d.env.fs, path)
		if err != nil {
			return err
		}
		if exists || filepath.Dir(path) == path {
			break
		}
		parents = append(parents, filepath.Dir(path))
	}
	if len(parents) == 0 {
		return nil
	}
	if err := d.env.fs.MkdirAll(d.path); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := d.env.fs.SyncDir(parent); err != nil {
			return err
		}
	}
	return nil
}

// open prepares the directory: it exists, is locked, and its checkpoints are read.
func (d *dir) open() error {
	if err := d.make(); err != nil {
		return err
	}
	lock, err := d.env.fs.Lock(filepath.Join(d.path, lockFile))
	if err != nil {
		return err
	}
	d.lock = lock
	if d.clean, _, err = checkpoint.TakeCleanShutdown(d.env.fs, d.path); err != nil {
		return err
	}
	if d.written.recovery, err = d.readCheckpoint(checkpoint.RecoveryPoints); err != nil {
		return err
	}
	if d.written.starts, err = d.readCheckpoint(checkpoint.LogStarts); err != nil {
		return err
	}
	d.written.watermarks, err = d.readCheckpoint(checkpoint.HighWatermarks)
	return err
}
