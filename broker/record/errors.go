package record

import (
	"errors"
	"fmt"
)

// What can be wrong with batches. Except ErrShort these come wrapped in an *Error. The numbers are
// those of the protocol.
var (
	// ErrShort says that data ends before the batch does. It comes bare.
	ErrShort = errors.New("record: data ends before the batch does")
	// ErrCorrupt: CORRUPT_MESSAGE (2).
	ErrCorrupt = errors.New("corrupt record batch")
	// ErrMessageTooLarge: MESSAGE_TOO_LARGE (10).
	ErrMessageTooLarge = errors.New("record batch too large")
	// ErrInvalidTimestamp: INVALID_TIMESTAMP (32).
	ErrInvalidTimestamp = errors.New("invalid timestamp")
	// ErrUnsupportedFormat: UNSUPPORTED_FOR_MESSAGE_FORMAT (43).
	ErrUnsupportedFormat = errors.New("not supported by the message format")
	// ErrUnsupportedCompression: UNSUPPORTED_COMPRESSION_TYPE (76).
	ErrUnsupportedCompression = errors.New("unsupported compression type")
	// ErrInvalidRecord: INVALID_RECORD (87).
	ErrInvalidRecord = errors.New("invalid record")
	// ErrDecompress says that a codec is unknown or its data broken. Kafka has no error of its own for
	// it and answers UNKNOWN_SERVER_ERROR (-1).
	ErrDecompress = errors.New("cannot decompress records")
	// ErrOffsetsOutOfOrder says that a leader sent batches whose offsets do not increase. Followers
	// only; Kafka has no code for it.
	ErrOffsetsOutOfOrder = errors.New("offsets out of order")
)

// Cause names the meter of kafka.server:type=BrokerTopicMetrics that counts an error.
type Cause int8

// Causes, with the meters that they stand for.
const (
	CauseOther            Cause = iota // no meter
	CauseMagic                         // InvalidMagicNumberRecordsPerSec
	CauseChecksum                      // InvalidMessageCrcRecordsPerSec
	CauseOffsetOrSequence              // InvalidOffsetOrSequenceRecordsPerSec
	CauseNoKey                         // NoKeyCompactedTopicRecordsPerSec
)

// Error says why batches were refused.
type Error struct {
	Err error // one of the sentinels above
	// Message is Kafka's text. A produce response carries it only if Records is not empty; Kafka
	// answers null otherwise and logs the text.
	Message string
	// Records lists the records at fault, if the fault is in single records
	// (RecordValidationException). It ends after MaxRecordErrors entries.
	Records []RecordError
	Cause   Cause // the meter to mark
	Marks   int   // how often to mark it; 0 stands for once
}

// RecordError is one entry of the record errors that Produce answers from version 8 on (KIP-467).
type RecordError struct {
	Index   int32 // position in its batch
	Message string
}

// MaxRecordErrors bounds Error.Records, so that a batch which inflates to millions of bad records
// does not become millions of messages. Kafka has no such bound.
const MaxRecordErrors = 1 << 14

// Error returns Kafka's text.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

// String returns the text in which Kafka lists record errors in a message.
func (e RecordError) String() string {
	return fmt.Sprintf("RecordError(batchIndex=%d, message='%s')", e.Index, e.Message)
}

func errorf(kind error, format string, args ...any) *Error {
	return &Error{Err: kind, Message: fmt.Sprintf(format, args...)}
}
