package producer

import "errors"

// What a producer can be refused for, and what can be wrong with a snapshot. Each is wrapped in an Error with Kafka's text.
var (
	// ErrOutOfOrderSequence: OUT_OF_ORDER_SEQUENCE_NUMBER (45).
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrInvalidEpoch: INVALID_PRODUCER_EPOCH (47).
	ErrInvalidEpoch = errors.New("invalid producer epoch")
	// ErrInvalidTxnState: INVALID_TXN_STATE (48).
	ErrInvalidTxnState = errors.New("invalid transaction state")
	// ErrCoordinatorFenced: TRANSACTION_COORDINATOR_FENCED (52).
	ErrCoordinatorFenced = errors.New("transaction coordinator fenced")
	// ErrCorruptSnapshot: a snapshot cannot be read; the owner removes it and takes the one before.
	ErrCorruptSnapshot = errors.New("corrupt producer snapshot")
)

// Error is one of the sentinels and Kafka's text for it.
type Error struct {
	Err     error
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }
