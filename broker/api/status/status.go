// Package status turns the broker's errors into Kafka's error codes: the one place where that happens.
package status

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/excerpt"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/storage/producer"
)

// Error is a Kafka error code with the text that Kafka gives with it.
type Error struct {
	Code    int16
	Message string
}

// New returns an Error of kind with message.
func New(kind *kerr.Error, message string) *Error { return &Error{Code: kind.Code, Message: message} }

// Error returns the message, or the code's name if there is none.
func (e *Error) Error() string {
	if e.Message == "" {
		return kerr.TypedErrorForCode(e.Code).Message
	}
	return e.Message
}

// InvalidRequestText is the text that Kafka gives with INVALID_REQUEST where it has no other (Errors.java).
const InvalidRequestText = "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details."

// codes lists the broker's errors; the first one that matches counts.
var codes = []struct {
	err  error
	kind *kerr.Error
}{
	{record.ErrCorrupt, kerr.CorruptMessage},
	{record.ErrMessageTooLarge, kerr.MessageTooLarge},
	{record.ErrInvalidTimestamp, kerr.InvalidTimestamp},
	{record.ErrUnsupportedFormat, kerr.UnsupportedForMessageFormat},
	{record.ErrUnsupportedCompression, kerr.UnsupportedCompressionType},
	{record.ErrInvalidRecord, kerr.InvalidRecord},
	{record.ErrDecompress, kerr.UnknownServerError},
	{storage.ErrOffsetOutOfRange, kerr.OffsetOutOfRange},
	{producer.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
	{producer.ErrInvalidEpoch, kerr.InvalidProducerEpoch},
	{producer.ErrInvalidTxnState, kerr.InvalidTxnState},
	{producer.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
	{storage.ErrRecordListTooLarge, kerr.RecordListTooLarge},
	{storage.ErrInconsistentTopicID, kerr.InconsistentTopicID},
	{storage.ErrStorage, kerr.KafkaStorageError},
	{storage.ErrUnknownDir, kerr.LogDirNotFound},
	{storage.ErrClosed, kerr.NotLeaderForPartition}, // the log was deleted or the broker stops
	{replica.ErrNotLeader, kerr.NotLeaderForPartition},
	{replica.ErrUnknownPartition, kerr.UnknownTopicOrPartition},
	{replica.ErrNotEnoughReplicas, kerr.NotEnoughReplicas},
	{replica.ErrNotEnoughReplicasAfterAppend, kerr.NotEnoughReplicasAfterAppend},
	{replica.ErrFencedLeaderEpoch, kerr.FencedLeaderEpoch},
	{replica.ErrUnknownLeaderEpoch, kerr.UnknownLeaderEpoch},
	{replica.ErrInconsistentTopicID, kerr.InconsistentTopicID},
	{replica.ErrOffsetNotAvailable, kerr.OffsetNotAvailable},
	{replica.ErrStaleControllerEpoch, kerr.StaleControllerEpoch},
	{replica.ErrStaleBrokerEpoch, kerr.StaleBrokerEpoch},
	{replica.ErrPolicyViolation, kerr.PolicyViolation},
	{replica.ErrNameTooLong, kerr.InvalidTopicException},
	{replica.ErrInvalidPartition, kerr.InvalidTopicException},
	{context.DeadlineExceeded, kerr.RequestTimedOut},
}

// Code returns the error code for err: 0 for nil, UNKNOWN_SERVER_ERROR for what has no other.
func Code(err error) int16 {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		return e.Code
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.kind.Code
		}
	}
	return kerr.UnknownServerError.Code
}

// Message returns the text that goes with err in a response, nil for none. Kafka leaves it out
// unless the error carries a text of its own, which is cut to maxMessage.
func Message(err error) *string {
	if e, ok := errors.AsType[*Error](err); ok && e.Message != "" {
		text := excerpt.Of(e.Message, maxMessage)
		return &text
	}
	return nil
}

// maxMessage bounds the text of an error in bytes, as a response may have it for each of many partitions.
const maxMessage = 4 << 10

// Unexpected reports whether err is a fault of the broker that belongs into its log, rather than
// the answer to a client's mistake.
func Unexpected(err error) bool {
	if Code(err) != kerr.UnknownServerError.Code {
		return false
	}
	return !errors.Is(err, record.ErrDecompress)
}
