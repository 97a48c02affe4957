package record

import "encoding/binary"

// Marker is the end of a transaction in one partition: the only record of a control batch
// (EndTransactionMarker).
type Marker struct {
	Commit           bool // else abort
	CoordinatorEpoch int32
}

// MarkerOptions describe the control batch that carries a Marker.
type MarkerOptions struct {
	Marker
	ProducerID    int64
	ProducerEpoch int16
	BaseOffset    int64
	LeaderEpoch   int32
	Timestamp     int64 // ms since 1970
}

// Types of control records (ControlRecordType); others than these are of KRaft.
const (
	controlAbort  = 0
	controlCommit = 1
)

// AppendMarker appends a control batch with a transaction marker to dst.
func AppendMarker(dst []byte, opts MarkerOptions) []byte {
	var key [4]byte // version 0, type
	if opts.Commit {
		key[3] = controlCommit
	}
	var value [6]byte // version 0, coordinator epoch
	binary.BigEndian.PutUint32(value[2:], uint32(opts.CoordinatorEpoch))
	start := len(dst)
	dst = append(dst, make([]byte, HeaderSize)...)
	dst = appendRecord(dst, &Record{Key: key[:], Value: value[:]}, 0, 0)
	b := Batch(dst[start:])
	producer := ProducerInfo{opts.ProducerID, opts.ProducerEpoch, NoSequence}
	putHeader(b, transactionalBit|controlBit, 0, opts.Timestamp, opts.Timestamp, producer, 1)
	b.SetBaseOffset(opts.BaseOffset)
	b.SetLeaderEpoch(opts.LeaderEpoch)
	return dst
}

// Marker returns the transaction marker that a control batch holds. ok is false if b holds none: it is
// no control batch, an empty one, or one of a type that only KRaft uses. The error, an *Error, says
// that b cannot be read.
func (b Batch) Marker() (m Marker, ok bool, err error) {
	if !b.IsControl() {
		return m, false, nil
	}
	for r, err := range b.Records() {
		if err != nil {
			return m, false, err
		}
		return r.Marker()
	}
	return m, false, nil
}

// ControlType returns the type of a control record: 0 of a marker that aborts, 1 of one that commits; KRaft has others.
// The error is an *Error.
func (r *Record) ControlType() (int16, error) {
	if len(r.Key) < 4 {
		return 0, errorf(ErrInvalidRecord, "Invalid value size found for end control record key. Must have at least 4 bytes, but found only %d", len(r.Key))
	}
	if version := int16(binary.BigEndian.Uint16(r.Key)); version < 0 {
		return 0, errorf(ErrInvalidRecord, "Invalid version found for control record: %d. May indicate data corruption", version)
	}
	return int16(binary.BigEndian.Uint16(r.Key[2:])), nil
}

// Marker returns the transaction marker that a control record is; ok is false if it is of a type that only KRaft uses.
// The error is an *Error.
func (r *Record) Marker() (m Marker, ok bool, err error) {
	kind, err := r.ControlType()
	if err != nil || kind != controlAbort && kind != controlCommit {
		return m, false, err
	}
	if len(r.Value) < 6 {
		return m, false, errorf(ErrInvalidRecord, "Invalid value size found for end transaction marker. Must have at least 6 bytes, but found only %d", len(r.Value))
	}
	if version := int16(binary.BigEndian.Uint16(r.Value)); version < 0 {
		return m, false, errorf(ErrInvalidRecord, "Invalid version found for end transaction marker: %d. May indicate data corruption", version)
	}
	return Marker{Commit: kind == controlCommit, CoordinatorEpoch: int32(binary.BigEndian.Uint32(r.Value[2:]))}, true, nil
}
