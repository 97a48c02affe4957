package storage

import (
	"errors"
	"iter"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Manager owns the log directories and every log in them.
type Manager struct{}

// CreateOptions go with Manager.Create.
type CreateOptions struct {
	// New: the controller says that this replica never existed here (LeaderAndIsr's isNew). Otherwise
	// nothing is created while a directory is offline, since the replica may be on that one.
	New     bool
	TopicID topic.ID   // zero: the controller gave none
	Config  *LogConfig // nil: Options.TopicConfig's
	Dir     string     // preferred directory, if it is online; "": the one with the fewest replicas
}

// Open locks opts.Dirs, creating those that do not exist, and loads every log. A directory that
// cannot be used is offline from the start; that is an error only for all of them. A directory that
// another process has locked, and one that holds a directory which is not a replica's, are errors.
func Open(opts Options) (*Manager, error) { return nil, errors.ErrUnsupported }

// Log returns the log of p, nil if there is none. The log of a directory that is offline is there, and
// answers ErrStorage.
func (m *Manager) Log(p topic.Partition) *Log { return nil }

// Logs yields every log, in no order.
func (m *Manager) Logs() iter.Seq[*Log] { return nil }

// Create makes an empty log for p, whose high watermark and offsets are 0. It returns ErrExists if
// there is one, ErrStorage if no directory can take it or if it may exist in one that is offline.
func (m *Manager) Create(p topic.Partition, o CreateOptions) (*Log, error) {
	return nil, errors.ErrUnsupported
}

// Delete closes p's log, renames its directory to end in -delete and removes it after
// file.delete.delay.ms. Without such a log it does nothing.
func (m *Manager) Delete(p topic.Partition) error { return errors.ErrUnsupported }

// CheckpointHighWatermarks writes every directory's replication-offset-checkpoint now; the Manager
// does so by itself every Options.HighWatermarkCheckpointInterval and at Close.
func (m *Manager) CheckpointHighWatermarks() {}

// Dirs describes the log directories in the order of Options.Dirs.
func (m *Manager) Dirs() []DirInfo { return nil }

// FailDir takes a directory offline as an I/O error in it would.
func (m *Manager) FailDir(path string, cause error) {}

// Close flushes and closes every log, writes all checkpoints and, for each directory where all that
// succeeded, the clean-shutdown marker. No append may be under way. It returns the first error, after
// having tried everything.
func (m *Manager) Close() error { return errors.ErrUnsupported }

// Log is one replica's records on disk (Kafka's UnifiedLog).
type Log struct{ start atomic.Int64 }

// Partition returns whose replica this is.
func (l *Log) Partition() topic.Partition { return topic.Partition{} }

// Dir returns the log directory (one of Options.Dirs) that the log is in.
func (l *Log) Dir() string { return "" }

// Config returns the configuration in force. It must not be changed.
func (l *Log) Config() *LogConfig { return nil }

// SetConfig replaces the configuration. Appends that have begun finish under the old one.
func (l *Log) SetConfig(c LogConfig) {}

// TopicID returns the id of the log's topic; the zero ID if it is not known.
func (l *Log) TopicID() topic.ID { return topic.ID{} }

// SetTopicID gives the log its topic's id, which becomes partition.metadata before the first record
// is written. It returns ErrInconsistentTopicID if the log has another one.
func (l *Log) SetTopicID(id topic.ID) error { return errors.ErrUnsupported }

// StartOffset returns the first offset that can be read (logStartOffset).
func (l *Log) StartOffset() int64 { return 0 }

// EndOffset returns the offset that the next record will get (logEndOffset).
func (l *Log) EndOffset() int64 { return 0 }

// HighWatermark returns the offset below which every in-sync replica holds the records. After Open it
// is the one of the checkpoint.
func (l *Log) HighWatermark() int64 { return 0 }

// LastStableOffset returns the offset below which no transaction is undecided: the high watermark,
// or the start of the first open transaction below it (KIP-98).
func (l *Log) LastStableOffset() int64 { return 0 }

// RecoveryPoint returns the offset below which everything is on disk.
func (l *Log) RecoveryPoint() int64 { return 0 }

// SetHighWatermark moves the high watermark to hw, kept between the log's start and end, and returns
// where it is then. The caller, who knows what replicas hold, keeps it from going backwards.
func (l *Log) SetHighWatermark(hw int64) int64 { return 0 }

// Size returns the bytes of all segments' .log files.
func (l *Log) Size() int64 { return 0 }

// Segments returns the base offsets of all segments, ascending.
func (l *Log) Segments() []int64 { return nil }

// AppendLeader validates records, gives them offsets and appends them in one write. records is
// changed in place and belongs to the caller again when AppendLeader returns. A duplicate of one of
// the last batches of its producer is not an error (Appended.Duplicate).
//
// Errors: record's, producer's, ErrRecordListTooLarge, ErrStorage, ErrClosed.
func (l *Log) AppendLeader(records []byte, o AppendOptions) (Appended, error) {
	return Appended{}, errors.ErrUnsupported
}

// AppendFollower appends what was fetched from the leader: whole batches, offsets and epochs as they
// are; a partial batch at the end is left out. An empty log whose end lies within the first batch
// starts anew at that batch's base offset.
//
// Errors: record's, ErrUnexpectedAppendOffset, ErrRecordListTooLarge, ErrStorage, ErrClosed.
func (l *Log) AppendFollower(records []byte) (Appended, error) {
	return Appended{}, errors.ErrUnsupported
}

// Read finds the batches from offset on, at most maxBytes of them and none from upTo on, within one
// segment. With minOne the first batch is there in full even if it is larger than maxBytes (KIP-74).
// It reads no records and, at the log's tail, nothing at all from the disk.
//
// An offset equal to the log's end, or at or above upTo, finds nothing. Errors: ErrOffsetOutOfRange,
// ErrStorage, ErrClosed.
func (l *Log) Read(offset int64, maxBytes int, upTo int64, minOne bool) (ReadResult, error) {
	return ReadResult{}, errors.ErrUnsupported
}

// Available returns about how many bytes Read could return from offset up to upTo, over all segments,
// without allocating; 0 if there is nothing or offset is out of range. It is what a delayed fetch
// counts.
func (l *Log) Available(offset, upTo int64) int64 { return 0 }

// AbortedTransactions returns the aborted transactions that a read_committed consumer must skip when
// it was given section bytes of the log from offset on (at most up to upTo).
func (l *Log) AbortedTransactions(offset, size, upTo int64) ([]AbortedTransaction, error) {
	return nil, errors.ErrUnsupported
}

// LookupTimestamp finds the first record at or after the start offset whose timestamp is >= ts;
// false if there is none.
func (l *Log) LookupTimestamp(ts int64) (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errors.ErrUnsupported
}

// MaxTimestamp finds the first record with the log's largest timestamp (KIP-734); false if the log
// has none.
func (l *Log) MaxTimestamp() (TimestampOffset, bool, error) {
	return TimestampOffset{}, false, errors.ErrUnsupported
}

// Earliest returns the start offset with the epoch it was written under.
func (l *Log) Earliest() TimestampOffset { return TimestampOffset{} }

// OffsetsBefore lists base offsets of segments whose files were last written at or before ts, newest
// first, at most limit of them, as ListOffsets v0 wants it. A ts of -1 stands for the log's end
// and -2 for its start. The log's end counts as one more offset, written now.
func (l *Log) OffsetsBefore(ts int64, limit int) ([]int64, error) { return nil, errors.ErrUnsupported }

// LatestEpoch returns the last leader epoch in the log's epoch cache; false if there is none.
func (l *Log) LatestEpoch() (int32, bool) { return 0, false }

// EpochEndOffset returns the largest known epoch that is <= epoch and the offset at which it ends;
// false if the log cannot tell (KIP-101, KIP-279).
func (l *Log) EpochEndOffset(epoch int32) (found int32, end int64, ok bool) { return 0, 0, false }

// EpochAt returns the leader epoch that the record at offset was written under, -1 if not known.
func (l *Log) EpochAt(offset int64) int32 { return -1 }

// AssignEpoch records that epoch begins at offset start; a new leader calls it with its end offset.
// The checkpoint is written soon after, and made durable before the first record of the epoch is.
func (l *Log) AssignEpoch(epoch int32, start int64) error { return errors.ErrUnsupported }

// TruncateTo removes every record at or above offset, in whole batches: the end is then <= offset.
func (l *Log) TruncateTo(offset int64) error { return errors.ErrUnsupported }

// TruncateFullyAndStartAt removes everything; the log is then empty and begins at offset.
func (l *Log) TruncateFullyAndStartAt(offset int64) error { return errors.ErrUnsupported }

// IncrementStartOffset raises the start offset to offset; false if it is there already. Segments
// below go with the next retention check. ErrOffsetOutOfRange: offset is above the high watermark.
func (l *Log) IncrementStartOffset(offset int64) (bool, error) { return false, errors.ErrUnsupported }

// Producers lists the producers whose state the log keeps, by id.
func (l *Log) Producers() []ProducerState { return nil }

// Flush makes everything appended so far durable.
func (l *Log) Flush() error { return errors.ErrUnsupported }
