package produce

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A record, before it is in a batch. A nil key or value is null.
type record struct {
	key, value []byte
	headers    []header
	timestamp  int64 // milliseconds
}

type header struct{ key, value []byte }

const (
	batchHeaderSize   = 61
	recordMaxOverhead = 21 // of a record, besides key, value and headers (DefaultRecord.MAX_RECORD_OVERHEAD)
)

// upperBound returns what Kafka's producer reckons the record takes at most as a batch of its own.
func (r *record) upperBound() int {
	return batchHeaderSize + recordMaxOverhead + fieldSize(r.key) + fieldSize(r.value) + headersSize(r.headers)
}

// batch is a record batch (v2) that is being filled: the records as they will be sent, uncompressed.
type batch struct {
	records         []byte
	count           int
	first, maxStamp int64     // timestamps
	due             bool      // has lingered long enough
	created         time.Time // when delivery.timeout.ms begins
	delivered       chan error
	reserved        int64 // bytes of the producer's memory
}

// append encodes r at the end of the batch.
func (b *batch) append(r *record) {
	if b.count == 0 {
		b.first, b.maxStamp = r.timestamp, r.timestamp
	}
	b.maxStamp = max(b.maxStamp, r.timestamp)
	offset, stamp := int64(b.count), r.timestamp-b.first
	size := 1 + varintSize(stamp) + varintSize(offset) + fieldSize(r.key) + fieldSize(r.value) + headersSize(r.headers)

	b.records = binary.AppendVarint(b.records, int64(size))
	b.records = append(b.records, 0) // attributes
	b.records = binary.AppendVarint(b.records, stamp)
	b.records = binary.AppendVarint(b.records, offset)
	b.records = appendField(b.records, r.key)
	b.records = appendField(b.records, r.value)
	b.records = binary.AppendVarint(b.records, int64(len(r.headers)))
	for _, h := range r.headers {
		b.records = binary.AppendVarint(b.records, int64(len(h.key)))
		b.records = append(b.records, h.key...)
		b.records = appendField(b.records, h.value)
	}
	b.count++
}

func appendField(dst, field []byte) []byte {
	if field == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(field))), field...)
}

func fieldSize(field []byte) int {
	if field == nil {
		return 1
	}
	return varintSize(int64(len(field))) + len(field)
}

func headersSize(headers []header) int {
	size := varintSize(int64(len(headers)))
	for _, h := range headers {
		size += varintSize(int64(len(h.key))) + len(h.key) + fieldSize(h.value)
	}
	return size
}

// varintSize returns how many bytes binary.AppendVarint takes.
func varintSize(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode appends the whole batch to dst, compressed if compressor is not nil; it keeps no reference to
// either buffer.
func (b *batch) encode(dst []byte, compressor kgo.Compressor, scratch *bytes.Buffer, from identity) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, batchHeaderSize)...)
	codec := kgo.CodecNone
	if compressor == nil {
		dst = append(dst, b.records...)
	} else {
		var compressed []byte
		scratch.Reset()
		compressed, codec = compressor.Compress(scratch, b.records)
		dst = append(dst, compressed...)
	}
	h := dst[start:]
	binary.BigEndian.PutUint32(h[8:], uint32(len(h)-12))
	binary.BigEndian.PutUint32(h[12:], ^uint32(0)) // leader epoch: unknown
	h[16] = 2                                      // magic
	binary.BigEndian.PutUint16(h[21:], uint16(codec))
	binary.BigEndian.PutUint32(h[23:], uint32(b.count-1))
	binary.BigEndian.PutUint64(h[27:], uint64(b.first))
	binary.BigEndian.PutUint64(h[35:], uint64(b.maxStamp))
	binary.BigEndian.PutUint64(h[43:], uint64(from.producerID))
	binary.BigEndian.PutUint16(h[51:], uint16(from.epoch))
	binary.BigEndian.PutUint32(h[53:], uint32(from.sequence))
	binary.BigEndian.PutUint32(h[57:], uint32(b.count))
	binary.BigEndian.PutUint32(h[17:], crc32.Checksum(h[21:], castagnoli))
	return dst
}

// each decodes the batch and calls do with each of its records, in order. Keys and values alias it.
func (b *batch) each(do func(index int, r record)) {
	rest := b.records
	varint := func() int64 {
		v, n := binary.Varint(rest)
		rest = rest[n:]
		return v
	}
	field := func() []byte {
		size := varint()
		if size < 0 {
			return nil
		}
		value := rest[:size:size]
		rest = rest[size:]
		return value
	}
	for i := range b.count {
		varint() // size
		rest = rest[1:]
		r := record{timestamp: b.first + varint()}
		varint() // offset
		r.key, r.value = field(), field()
		for range varint() {
			r.headers = append(r.headers, header{field(), field()})
		}
		do(i, r)
	}
}

// split returns the two halves of a batch of at least two records.
func (b *batch) split() (first, second *batch) {
	first, second = &batch{created: b.created}, &batch{created: b.created}
	b.each(func(i int, r record) {
		if i < b.count/2 {
			first.append(&r)
		} else {
			second.append(&r)
		}
	})
	return first, second
}
