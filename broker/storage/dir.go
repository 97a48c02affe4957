package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
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
	lock    atomic.Pointer[io.Closer] // nil: not locked
	clean   bool                      // the last stop was clean; set before logs are loaded
	// cleanedLost: cleaner-offset-checkpoint could not be read, so that nobody knows which logs were compacted once. Set
	// before logs are loaded.
	cleanedLost bool
	loaded      bool // every log was loaded; set before Open returns
	// startsWrong: log-start-offset-checkpoint has a start offset that a log could come to have by its end.
	startsWrong atomic.Bool

	// created counts the names that were given to logs here, from 1 for those found at start; the first synced
	// of them are durable.
	created   atomic.Int64
	syncingMu sync.Mutex // held while names are synced
	synced    int64      // guarded by syncingMu

	checkpointMu sync.Mutex // held while a checkpoint is made and written; guards the four
	recovery     checkpointFile
	starts       checkpointFile
	watermarks   checkpointFile
	cleaned      checkpointFile

	mu struct {
		sync.Mutex
		logs  map[topic.Partition]*Log
		count int // logs, and those being created
		err   error
		// retired are the logs deleted here that a crash may bring back, with the count that created had.
		retired map[topic.Partition]int64
	}
}

func newDir(path string, e *env, failed func(*dir, error)) *dir {
	d := &dir{
		path: filepath.Clean(path), env: e, logger: e.opts.Logger.WithField("dir", path), failed: failed,
		recovery:   checkpointFile{name: checkpoint.RecoveryPoints, of: recoveryPointOf},
		watermarks: checkpointFile{name: checkpoint.HighWatermarks, of: highWatermarkOf},
		cleaned:    checkpointFile{name: checkpoint.Cleaner, of: cleanedOf},
	}
	d.starts = checkpointFile{name: checkpoint.LogStarts, of: d.startOf}
	d.mu.logs = map[topic.Partition]*Log{}
	d.mu.retired = map[topic.Partition]int64{}
	d.created.Store(1)
	return d
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

// checkpointFile is one of the offset checkpoints of a directory.
type checkpointFile struct {
	name    string
	of      func(*Log) (int64, bool) // a log's offset; false leaves the log out
	holds   checkpoint.Offsets       // what the file holds
	written bool                     // by this process
}

func recoveryPointOf(l *Log) (int64, bool) { return l.recoveryPoint.Load(), true }
func highWatermarkOf(l *Log) (int64, bool) { return l.highWatermark.Load(), true }

// startOf: only a start offset within the first segment has to be remembered. One that was raised since the high watermarks were
// written is not believed without them (see reachedStart), and waits for the next time. It requires checkpointMu.
func (d *dir) startOf(l *Log) (int64, bool) {
	start, segments := l.start.Load(), *l.segments.Load()
	if watermark, ok := d.watermarks.holds[l.partition]; ok {
		start = min(start, watermark)
	}
	return start, len(segments) > 0 && start > segments[0].Base()
}

// cleanedOf: logs that were cleaned once, whatever their policy is now. A copy that is being made gets the offset
// just before it takes the place of its log.
func cleanedOf(l *Log) (int64, bool) {
	offset := l.cleaned.Load()
	return offset, offset >= 0
}

// cleanedDiffers reports whether cleaner-offset-checkpoint has something that is not true of the logs that were
// loaded: an offset of a replica that is gone, or one beyond the end of a log that was cut.
func (d *dir) cleanedDiffers() bool {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	logs := map[topic.Partition]*Log{}
	for _, l := range d.snapshot() {
		logs[l.partition] = l
	}
	for p, offset := range d.cleaned.holds {
		if l := logs[p]; l == nil || l.cleaned.Load() != offset {
			return true
		}
	}
	return false
}

// beyondEnd reports whether a checkpoint has an offset beyond the end of a log that was loaded, as a crash leaves which
// takes records that were not durable. Once the log has grown behind it, it would be taken for true: what is appended
// up to there would not be looked at after another crash, or pass for replicated.
func (d *dir) beyondEnd(f *checkpointFile) bool {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return slices.ContainsFunc(d.snapshot(), func(l *Log) bool { return f.holds[l.partition] > l.end.Load() })
}

// checkpointRecoveryPoints writes the directory's recovery-point-offset-checkpoint.
func (d *dir) checkpointRecoveryPoints() error { return d.checkpoint(&d.recovery) }

// checkpointStarts writes the directory's log-start-offset-checkpoint, after the high watermarks' one, by which a start
// offset is believed (see reachedStart).
func (d *dir) checkpointStarts() error {
	if err := d.checkpointHighWatermarks(); err != nil {
		return err
	}
	return d.checkpoint(&d.starts)
}

// checkpointHighWatermarks writes the directory's replication-offset-checkpoint.
func (d *dir) checkpointHighWatermarks() error { return d.checkpoint(&d.watermarks) }

// checkpointCleaned writes the directory's cleaner-offset-checkpoint.
func (d *dir) checkpointCleaned() error { return d.checkpoint(&d.cleaned) }

func (d *dir) checkpoint(f *checkpointFile) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	return d.checkpointLocked(f)
}

// checkpointLocked writes one checkpoint, also if the file holds just that: as in Kafka, it is by these writes that a
// directory is found to be of no use that nobody else writes to, since its disk is full or fails. It requires checkpointMu.
func (d *dir) checkpointLocked(f *checkpointFile) error {
	if d.offline.Load() {
		return fmt.Errorf("write %s: %w", filepath.Join(d.path, f.name), ErrStorage)
	}
	offsets := make(checkpoint.Offsets, len(f.holds))
	for _, l := range d.snapshot() {
		if offset, ok := f.of(l); ok {
			offsets[l.partition] = offset
		}
	}
	if f.written {
		if err := d.probe(f.name); err != nil {
			return err
		}
	}
	if err := checkpoint.WriteOffsets(d.env.fs, filepath.Join(d.path, f.name), offsets); err != nil {
		return d.fail(fmt.Errorf("write %s: %w", f.name, err))
	}
	f.holds, f.written = offsets, true
	return nil
}

// probe finds out that the directory has vanished, with its disk or by mistake, and that an empty mount point is in its
// place, where a checkpoint could be written: neither the checkpoint is there nor the lock. A checkpoint may be alone in
// being gone.
func (d *dir) probe(name string) error {
	for _, file := range []string{name, lockFile} {
		if there, err := vfs.Exists(d.env.fs, filepath.Join(d.path, file)); err != nil {
			return d.fail(fmt.Errorf("look for %s: %w", file, err))
		} else if there {
			return nil
		}
	}
	return d.fail(fmt.Errorf("look for %s: %w", name, fs.ErrNotExist))
}

// lowered rewrites the checkpoints that hold more for l than is true now, after l was truncated.
func (d *dir) lowered(l *Log) error {
	return d.correct(l.partition, l.recoveryPoint.Load(), l.start.Load(), l.highWatermark.Load(), l.cleaned.Load())
}

// correct rewrites the checkpoints that hold an offset of p above these.
func (d *dir) correct(p topic.Partition, recoveryPoint, start, watermark, cleaned int64) error {
	d.checkpointMu.Lock()
	defer d.checkpointMu.Unlock()
	var err error
	for _, c := range []struct {
		file *checkpointFile
		most int64
	}{{&d.recovery, recoveryPoint}, {&d.starts, start}, {&d.watermarks, watermark}, {&d.cleaned, cleaned}} {
		if offset, ok := c.file.holds[p]; ok && offset > c.most && err == nil {
			err = d.checkpointLocked(c.file)
		}
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
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.mu.retired, func(_ topic.Partition, count int64) bool { return count <= created })
	return nil
}

// retire notes that the log of p has got the name of one to be deleted.
func (d *dir) retire(p topic.Partition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.retired[p] = d.created.Add(1)
}

// forget makes durable that the log of p was deleted here, if it was. Otherwise a crash could leave it beside one that was created in another directory.
func (d *dir) forget(p topic.Partition) error {
	d.mu.Lock()
	_, retired := d.mu.retired[p]
	d.mu.Unlock()
	switch {
	case !retired:
		return nil
	case d.offline.Load():
		return fmt.Errorf("%w: %s may have the replica still", ErrStorage, d.path)
	}
	if err := d.syncNames(); err != nil {
		return d.fail(fmt.Errorf("make the deletion of %s durable: %w", p, err))
	}
	return nil
}

// readCheckpoint reads one checkpoint, and reports one that cannot be parsed as lost: it is taken as empty, so that logs
// are recovered and cleaned from their beginning, and begin with their first segment. Of most such files Kafka takes the
// directory offline, at this start and at each one after it, so that a broker with one directory does not come back until
// somebody removes the file. One that cannot be read fails the directory here, too.
func (d *dir) readCheckpoint(f *checkpointFile) (lost bool, err error) {
	f.holds, err = checkpoint.ReadOffsets(d.env.fs, filepath.Join(d.path, f.name))
	if errors.Is(err, checkpoint.ErrMalformed) {
		d.logger.WithError(err).Warn("Ignoring a checkpoint that cannot be read")
		return true, nil
	}
	return false, err
}

// make creates the directory and its parents where they do not exist, durably. One that nobody has locked yet may have
// been created by a process that was killed before it was durable: a later power loss would take all that has been put
// there since.
func (d *dir) make() error {
	locked, err := vfs.Exists(d.env.fs, filepath.Join(d.path, lockFile))
	if locked || err != nil {
		return err
	}
	var made []string // the parents of what has to be made
	path := d.path
	for ; filepath.Dir(path) != path; path = filepath.Dir(path) {
		exists, err := vfs.Exists(d.env.fs, path)
		if err != nil {
			return err
		}
		if exists {
			break
		}
		made = append(made, filepath.Dir(path))
	}
	if len(made) > 0 {
		if err := d.env.fs.MkdirAll(d.path); err != nil {
			return err
		}
	}
	for _, parent := range made {
		if err := d.env.fs.SyncDir(parent); err != nil {
			return err
		}
	}
	for ; filepath.Dir(path) != path; path = filepath.Dir(path) {
		_ = d.env.fs.SyncDir(filepath.Dir(path)) // it may be another's, who does not let us read it
	}
	return nil
}

// unlock gives the directory to whoever wants it. It may be called more than once.
func (d *dir) unlock() error {
	if lock := d.lock.Swap(nil); lock != nil {
		return (*lock).Close()
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
	d.lock.Store(&lock)
	if d.clean, _, err = checkpoint.TakeCleanShutdown(d.env.fs, d.path); err != nil {
		return err
	}
	if !d.clean { // what a process has created and deleted that was killed is not undone by a power loss later
		if err := d.syncNames(); err != nil {
			return err
		}
	}
	for _, f := range []*checkpointFile{&d.recovery, &d.starts, &d.watermarks, &d.cleaned} {
		lost, err := d.readCheckpoint(f)
		if err != nil {
			return err
		}
		d.cleanedLost = lost && f == &d.cleaned
	}
	return nil
}
