package conformance

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math"
	"strings"
)

// records returns what a Produce request may hold for a partition: a batch mostly, and mostly one that is right.
func (a *arbitrary) records() []byte {
	if a.rarely(a.odd) {
		return a.oddRecords()
	}
	n := 1 + a.rng.IntN(4)
	batch := newBatch(func(b *batch) {
		b.NumRecords, b.LastOffsetDelta, b.body = int32(n), int32(n-1), a.body(n)
		b.MaxTimestamp = b.FirstTimestamp + int64(n-1)
		if a.rarely(3) {
			b.ProducerID, b.ProducerEpoch = oneOf[int64](a, 0, 1, 2), oneOf[int16](a, 0, 0, 0, 1)
			b.FirstSequence = oneOf[int32](a, 0, 0, 1, 2, 3, 4)
		}
		if a.rarely(6) {
			b.Attributes, b.body = gzipped, zipped(b.body)
		}
		if a.rarely(a.odd) {
			a.spoil(b)
		}
	})
	return batch
}

// body returns n records of a batch, each of which is a millisecond after the one before.
func (a *arbitrary) body(n int) (body []byte) {
	for i := range n {
		r := []byte{0}
		r = binary.AppendVarint(r, int64(i))
		r = binary.AppendVarint(r, int64(i))
		for range 2 {
			if a.rarely(3) {
				r = binary.AppendVarint(r, -1)
				continue
			}
			text := strings.Repeat("v", a.rng.IntN(40))
			r = append(binary.AppendVarint(r, int64(len(text))), text...)
		}
		r = append(r, 0)
		body = append(binary.AppendVarint(body, int64(len(r))), r...)
	}
	return body
}

func zipped(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(body)
	w.Close()
	return out.Bytes()
}

// spoil makes one field of a batch wrong, or unusual.
func (a *arbitrary) spoil(b *batch) {
	switch a.rng.IntN(16) {
	case 0:
		b.Attributes = int16(a.oddNumber(16))
	case 1:
		b.Attributes = oneOf[int16](a, gzipped, 2, 3, zstdCodec, 5, noCodec, logAppendTime, control, transactional, transactional|control)
	case 2:
		b.NumRecords = int32(a.oddNumber(32))
	case 3:
		b.LastOffsetDelta = int32(a.oddNumber(32))
	case 4:
		b.FirstTimestamp = a.oddNumber(64)
	case 5:
		b.MaxTimestamp = a.oddNumber(64)
	case 6:
		b.ProducerID = a.oddNumber(64)
	case 7:
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = 1, int16(a.oddNumber(16)), 0
	case 8:
		b.ProducerID, b.ProducerEpoch, b.FirstSequence = oneOf[int64](a, 1, 2), 0, int32(a.oddNumber(32))
	case 9:
		b.badCRC = true
	case 10:
		b.moreLength = int32(a.oddNumber(16))
	case 11:
		b.Magic = int8(a.oddNumber(8))
	case 12:
		b.FirstOffset = a.oddNumber(64)
	case 13:
		b.PartitionLeaderEpoch = int32(a.oddNumber(32))
	case 14:
		if len(b.body) > 0 {
			b.body = bytes.Clone(b.body)
			b.body[a.rng.IntN(len(b.body))] ^= byte(1 + a.rng.IntN(255))
		}
	case 15:
		b.body = append(bytes.Clone(b.body), oneOf(a, []byte{0}, []byte{2, 0}, a.body(1))...)
	}
}

// oddRecords returns bytes that are hardly a batch.
func (a *arbitrary) oddRecords() []byte {
	whole := newBatch()
	switch a.rng.IntN(7) {
	case 0:
		return message(int8(a.rng.IntN(2)), a.rarely(3))
	case 1:
		return append(whole, newBatch()...)
	case 2:
		return whole[:a.rng.IntN(len(whole))]
	case 3:
		return append(whole, oneOf(a, []byte{0}, make([]byte, 12), make([]byte, 61))...)
	case 4:
		damaged := bytes.Clone(whole)
		damaged[a.rng.IntN(len(damaged))] ^= byte(1 + a.rng.IntN(255))
		return damaged
	case 5:
		return binary.BigEndian.AppendUint64(nil, uint64(oneOf[int64](a, 0, -1, math.MaxInt64)))
	}
	return []byte{}
}
