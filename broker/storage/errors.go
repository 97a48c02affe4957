package storage

import "errors"

// What a Log or Manager refuses. Errors of record validation (package record) and of producer state
// (package producer) are passed on as they are.
var (
	// ErrOffsetOutOfRange: the offset lies below the log's start or above its end.
	ErrOffsetOutOfRange = errors.New("storage: offset out of range")
	// ErrStorage: the log's directory is offline, or has just failed (KAFKA_STORAGE_ERROR); or the process is out of file
	// descriptors, which clients are to try again as well.
	ErrStorage = errors.New("storage: log directory is offline")
	// ErrRecordListTooLarge: one append is larger than segment.bytes (RECORD_LIST_TOO_LARGE).
	ErrRecordListTooLarge = errors.New("storage: records are larger than the segment size")
	// ErrUnexpectedAppendOffset: replicated records begin below the log's end.
	ErrUnexpectedAppendOffset = errors.New("storage: replicated records do not continue the log")
	// ErrInconsistentTopicID: the log belongs to another topic of the same name (INCONSISTENT_TOPIC_ID).
	ErrInconsistentTopicID = errors.New("storage: log has another topic id")
	// ErrClosed: the log or manager is closed, or the log deleted.
	ErrClosed = errors.New("storage: log is closed")
	// ErrUnknownDir: no directory of Options.Dirs (LOG_DIR_NOT_FOUND).
	ErrUnknownDir = errors.New("storage: no such log directory")
	// ErrExists: Manager.Create of a partition that has a log.
	ErrExists = errors.New("storage: log exists already")
)
