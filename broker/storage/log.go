package storage

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/epoch"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Log is one replica's records on disk (Kafka's UnifiedLog): an ordered list of segments, the last of
// which is written to, with the producer state and the leader epochs that follow from the records.
//
// One writer at a time appends, rolls, truncates and deletes, under mu. Readers take no lock: they
// load the segment list, which is replaced and never changed, and the offsets, which are atomics.
//
// Invariants:
//   - start <= highWatermark <= end, and recoveryPoint <= end, once the log is loaded
//   - the base offsets of segments increase, and the last one's is <= end; only a log that has held no
//     record since it was created may have no segment
//   - end never decreases but by truncation; start never decreases but by a full truncation
//   - everything below recoveryPoint survives a power loss, and so do its index entries, but for those of the last
//     segment, which a start after it makes anew
type Log struct {
	partition topic.Partition
	env       *env
	dir       *dir
	files     *segment.Dir // the log's own directory

	segments atomic.Pointer[[]*segment.Segment]
	config   atomic.Pointer[LogConfig]
	topicID  atomic.Pointer[topic.ID] // nil: none known
	epochs   *epoch.Cache             // changed under mu only

	start         atomic.Int64
	end           atomic.Int64
	highWatermark atomic.Int64
	firstUnstable atomic.Int64 // math.MaxInt64: no transaction is open or unreplicated
	recoveryPoint atomic.Int64
	// recovered is where a recovery has found the end, 0 after a clean stop: nobody knows how much of what lies below was durable.
	recovered   atomic.Int64
	lastFlush   atomic.Int64 // ms since the epoch
	rolled      atomic.Int64 // base of the last segment begun: what lies below is to be synced
	cleaned     atomic.Int64 // first dirty offset, as cleaner-offset-checkpoint has it; -1: it was never cleaned
	lastHole    atomic.Int64 // end of the last hole in the records that was logged
	uncleanable atomic.Bool  // a cleaning has failed: no other is tried until the broker restarts
	closed      atomic.Bool  // stored under mu
	future      atomic.Bool  // see future.go; stored under mu

	flushMu sync.Mutex // held while a flush syncs files, so that flushes follow one another
	filesMu sync.Mutex // held while the small files are written or the log's directory gets another name

	mu struct {
		sync.Mutex
		producers *producer.State
		jitterMs  int64  // by which the active segment is rolled early; drawn for each anew
		cuts      uint64 // counts truncations, for flushes under way
		// group holds what is being written, during writeLocked.
		group [][]byte
		// snapshots are the offsets of the producer snapshots on disk, ascending; unsyncedSnapshots
		// those that a crash may take.
		snapshots, unsyncedSnapshots []int64
		discarded                    []*segment.Segment // renamed, and to be removed after file.delete.delay.ms
		smallFiles
	}
}

// env is what all logs of a Manager share.
type env struct {
	fs      vfs.FS
	files   *vfs.Cache
	opts    *Options
	sched   *scheduler
	flush   *flusher
	unsaved *unsavedLogs
	cleaner *cleaner // nil: logs are not cleaned

	producerExpiry atomic.Int64 // in milliseconds
}

func (e *env) nowMs() int64 { return e.opts.Now().UnixMilli() }

func (e *env) cleanerLogger() logrus.FieldLogger { return e.opts.CleanerLogger }

// states returns what is known of cleanings; nil if there are none.
func (e *env) states() *cleanerStates {
	if e.cleaner == nil {
		return nil
	}
	return e.cleaner.states
}

// Partition returns whose replica this is.
func (l *Log) Partition() topic.Partition { return l.partition }

// Dir returns the log directory (one of Options.Dirs) that the log is in.
func (l *Log) Dir() string { return l.dir.path }

// Path returns the directory of the log's own files.
func (l *Log) Path() string { return l.files.Path() }

// Config returns the configuration in force. It must not be changed.
func (l *Log) Config() *LogConfig { return l.config.Load() }

// SetConfig replaces the configuration. Appends that have begun finish under the old one, and a cleaning ends
// if the log is not to be compacted any more.
func (l *Log) SetConfig(c LogConfig) {
	c.Policy.Partition = l.partition.String()
	c.Policy.Compacted = c.Compact
	old := l.config.Swap(&c)
	if old != nil && old.Compact && !c.Compact && !l.IsFuture() {
		l.env.states().abort(l.partition)
	}
}

// StartOffset returns the first offset that can be read (logStartOffset).
func (l *Log) StartOffset() int64 { return l.start.Load() }

// EndOffset returns the offset that the next record will get (logEndOffset).
func (l *Log) EndOffset() int64 { return l.end.Load() }

// HighWatermark returns the offset below which every in-sync replica holds the records.
func (l *Log) HighWatermark() int64 { return l.highWatermark.Load() }

// LastStableOffset returns the offset below which no transaction is undecided: the high watermark,
// or the start of the first open transaction below it (KIP-98).
//
// The high watermark is looked at first. Where a transaction begins is known before the high watermark passes that, so
// that what is read second includes whatever begins below what was read first; the other way round a transaction
// that begins in between, and is replicated, would pass for stable.
func (l *Log) LastStableOffset() int64 {
	hw := l.highWatermark.Load()
	return min(hw, l.firstUnstable.Load())
}

// RecoveryPoint returns the offset below which everything is on disk.
func (l *Log) RecoveryPoint() int64 { return l.recoveryPoint.Load() }

// Size returns the bytes of all segments' .log files.
func (l *Log) Size() int64 {
	var n int64
	for _, s := range *l.segments.Load() {
		n += s.Size()
	}
	return n
}

// Segments returns the base offsets of all segments, ascending.
func (l *Log) Segments() []int64 {
	segments := *l.segments.Load()
	bases := make([]int64, len(segments))
	for i, s := range segments {
		bases[i] = s.Base()
	}
	return bases
}

// SetHighWatermark moves the high watermark to hw, kept between the log's start and end, and returns
// where it is then. The caller, who knows what replicas hold, keeps it from going backwards.
func (l *Log) SetHighWatermark(hw int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.setHighWatermarkLocked(hw)
}

// setHighWatermarkLocked requires mu.
func (l *Log) setHighWatermarkLocked(hw int64) int64 {
	hw = max(l.start.Load(), min(hw, l.end.Load()))
	if l.highWatermark.Load() == hw {
		return hw
	}
	l.highWatermark.Store(hw)
	l.mu.producers.SetHighWatermark(hw)
	l.updateUnstableLocked()
	return hw
}

// active returns the segment that is written to. There is one once createFirstLocked has returned.
func (l *Log) active() *segment.Segment {
	segments := *l.segments.Load()
	return segments[len(segments)-1]
}

// floor returns the index of the last segment whose base offset is <= offset, -1 if there is none.
func floor(segments []*segment.Segment, offset int64) int {
	lo, hi := 0, len(segments)
	for lo < hi {
		if mid := (lo + hi) / 2; segments[mid].Base() <= offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// Err returns why the log can be neither read nor written, nil if it can: ErrClosed, ErrStorage. Most
// methods find that out themselves, but those that only look at offsets do not.
func (l *Log) Err() error { return l.readable() }

// usableLocked returns why the log cannot be changed, if it cannot. It requires mu.
func (l *Log) usableLocked() error { return l.readable() }

// readable returns why the log cannot be read, if it cannot.
func (l *Log) readable() error {
	if l.closed.Load() {
		return fmt.Errorf("log %s: %w", l.partition, ErrClosed)
	}
	return l.online()
}

// online returns ErrStorage if the log's directory has failed.
func (l *Log) online() error {
	if l.dir.offline.Load() {
		return fmt.Errorf("log %s in %s: %w", l.partition, l.dir.path, ErrStorage)
	}
	return nil
}

// failed turns an error met while doing what into the caller's. An error of the file system takes the
// log's directory offline; bytes that cannot be right are this log's trouble only.
func (l *Log) failed(what string, err error) error {
	err = fmt.Errorf("%s of log %s: %w", what, l.partition, err)
	if corrupt(err) {
		return err
	}
	return l.dir.fail(err)
}

// readFailed is failed for what only reads. For want of file descriptors it fails alone: there is nothing that was done
// by half, and the disk is as good as it was.
func (l *Log) readFailed(what string, err error) error {
	if vfs.OutOfDescriptors(err) {
		return fmt.Errorf("%s of log %s: %w: %w", what, l.partition, ErrStorage, err)
	}
	return l.failed(what, err)
}

// corrupt reports whether err is about what a file holds, not about getting at it.
func corrupt(err error) bool {
	return errors.Is(err, segment.ErrCorrupt) || errors.Is(err, record.ErrCorrupt) ||
		errors.Is(err, record.ErrInvalidRecord) || errors.Is(err, record.ErrDecompress)
}

func (l *Log) file(name string) string { return filepath.Join(l.files.Path(), name) }

// logger returns a logger with the log's fields. It is made anew each time, which is seldom, rather
// than kept by ten thousand logs.
func (l *Log) logger() logrus.FieldLogger {
	return l.env.opts.Logger.WithFields(logrus.Fields{
		"topic": l.partition.Topic, "partition": l.partition.Index, "dir": l.dir.path,
	})
}
