package storage

import (
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

// AppendOptions go with an append to a leader.
type AppendOptions struct {
	Epoch  int32         // leader epoch, stamped into every batch
	Origin record.Origin // who appends; record.Replication is not allowed here
	Now    int64         // wall clock in ms since the epoch: append time and timestamp limits
	// VerifyTransaction: the first batch of a transaction needs the Guard that StartVerification gave
	// (transaction.partition.verification.enable, KIP-890).
	VerifyTransaction bool
	Guard             producer.Guard
}

// Appended says what an append did.
type Appended struct {
	First, Last int64 // offsets of the first and last record; -1 if there was none
	AppendTime  int64 // the records' timestamp on LogAppendTime topics, ms since the epoch; else -1
	LogStart    int64 // the log's start offset
	LogEnd      int64 // the log's end offset after the append
	Bytes       int   // written to the log
	Records     int64 // written to the log
	Converted   int64 // records whose message format was changed
	Duplicate   bool  // nothing was written: First, Last and AppendTime are those of the first time
}

// NothingAppended is the outcome of an append that was refused before it came to a log.
var NothingAppended = Appended{First: -1, Last: -1, AppendTime: -1, LogStart: -1, LogEnd: -1}

// ReadResult is what Log.Read found. The caller releases Section if it is not nil.
type ReadResult struct {
	// Section holds whole batches, but for Incomplete: it begins with the one that holds the offset asked
	// for, or the first after it. nil: there is nothing to read.
	Section request.Section
	// Found is how many bytes there are within maxBytes: the size of Section, or more if the last of them
	// are not a whole batch.
	Found int64
	// Incomplete: the first batch is larger than maxBytes, and the section (nil if maxBytes is 0)
	// ends within it. Only if minOne was false.
	Incomplete bool
	// LogStart and LogEnd are the log's offsets as they were when it was read.
	LogStart, LogEnd int64
}

// AbortedTransaction is one entry of a read_committed fetch response (KIP-98).
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64 // of the transaction's first record in this log
}

// TimestampOffset is what a lookup by timestamp found.
type TimestampOffset struct {
	Timestamp   int64 // of the record, ms since the epoch; -1 if the question was not about a record
	Offset      int64
	LeaderEpoch int32 // of the record; -1: not known
}

// ProducerState is an active producer as DescribeProducers shows it (KIP-664).
type ProducerState struct {
	ProducerID       int64
	ProducerEpoch    int16
	LastSequence     int32 // -1: none
	LastTimestamp    int64 // ms since the epoch, -1: none
	CoordinatorEpoch int32 // -1: none
	TxnStartOffset   int64 // of the open transaction, -1: none
}

// DirInfo describes a log directory for DescribeLogDirs.
type DirInfo struct {
	Path     string // as Options.Dirs has it
	Absolute string
	Offline  bool
	Logs     int   // replicas in it
	Total    int64 // bytes of its volume; -1: unknown
	Usable   int64 // bytes free on its volume; -1: unknown
}
