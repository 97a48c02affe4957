package record

import "iter"

// Record is one record of a batch. Its byte slices alias the batch, or the window that the batch was
// decompressed into: they are valid until the iteration goes on.
type Record struct {
	Offset    int64
	Timestamp int64  // ms since 1970; the batch's append time with LogAppendTime; NoTimestamp if none
	Sequence  int32  // NoSequence if there is none
	Key       []byte // nil is null
	Value     []byte // nil is null: a tombstone on compacted topics
	Headers   Headers
}

// Header is one header of a record (KIP-82).
type Header struct {
	Key   string
	Value []byte // nil is null
}

// Headers are the headers of a record in their encoded form, so that they are copied from batch to
// batch as they are. The zero Headers are none.
type Headers struct {
	count int32
	data  []byte // count times: varint length, key, varint length (-1: null), value
}

// MakeHeaders encodes headers.
func MakeHeaders(headers ...Header) Headers {
	h := Headers{count: int32(len(headers))}
	for _, header := range headers {
		h.data = appendVarint(h.data, int32(len(header.Key)))
		h.data = append(h.data, header.Key...)
		h.data = appendBytes(h.data, header.Value)
	}
	return h
}

// Len returns how many headers there are.
func (h Headers) Len() int { return int(h.count) }

// All yields the headers in order: key and value (nil is null), both aliasing the record.
func (h Headers) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		i := 0
		for range h.count {
			var key, value []byte
			key, i = bytesAt(h.data, i)
			value, i = bytesAt(h.data, i)
			if i > len(h.data) || !yield(key, value) {
				return
			}
		}
	}
}

// Clone returns a copy of r that shares no bytes with it.
func (r Record) Clone() Record {
	r.Key, r.Value, r.Headers.data = clone(r.Key), clone(r.Value), clone(r.Headers.data)
	return r
}

// clone copies b; null stays null and empty stays empty.
func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}
