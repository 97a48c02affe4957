package record

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

// AppendMarker appends a control batch with a transaction marker to dst.
func AppendMarker(dst []byte, opts MarkerOptions) []byte { return dst }

// Marker returns the transaction marker that a control batch holds. It is false if b holds none: no
// control batch, or one of a type that only KRaft uses. The error says that b cannot be read.
func (b Batch) Marker() (m Marker, ok bool, err error) { return Marker{}, false, nil }
