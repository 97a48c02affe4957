package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// appendMessage appends a plain message of format v0 or v1.
func appendMessage(dst []byte, magic int8, offset int64, t TimestampType, time int64, key, value []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, uint64(offset))
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0, byte(magic), 0) // size, checksum, magic, attributes
	if magic == MagicV1 {
		if t == LogAppendTime {
			dst[start+posLegacyAttributes] = timestampTypeBit
		}
		dst = binary.BigEndian.AppendUint64(dst, uint64(time))
	}
	dst = appendSized(dst, key)
	dst = appendSized(dst, value)
	sealMessage(dst[start:])
	return dst
}

func appendSized(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 0xff, 0xff, 0xff, 0xff)
	}
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(b))), b...)
}

// sealMessage sets size and checksum.
func sealMessage(b []byte) {
	binary.BigEndian.PutUint32(b[posSize:], uint32(len(b)-OverheadSize))
	binary.BigEndian.PutUint32(b[posLegacyCRC:], crc32.ChecksumIEEE(b[posMagic:]))
}

// putWrapper writes the header of the message that holds the compressed ones.
func (bu *Builder) putWrapper() {
	b := bu.out
	binary.BigEndian.PutUint64(b, uint64(bu.last))
	b[posMagic] = byte(bu.magic)
	b[posLegacyAttributes] = byte(bu.opts.Codec)
	pos := posLegacyTime
	if bu.magic == MagicV1 {
		time := bu.maxTime
		if bu.opts.TimestampType == LogAppendTime {
			b[posLegacyAttributes] |= timestampTypeBit
			time = bu.opts.AppendTime
		}
		binary.BigEndian.PutUint64(b[pos:], uint64(time))
		pos += 8
	}
	binary.BigEndian.PutUint32(b[pos:], math.MaxUint32) // no key
	binary.BigEndian.PutUint32(b[pos+4:], uint32(len(b)-pos-8))
	sealMessage(b)
}

// message is one message of format v0 or v1, as it stands or inside a compressed one.
type message struct {
	offset     int64 // relative inside a compressed message of format v1
	magic      int8
	attributes byte
	crc        uint32
	time       int64
	key, value []byte
	misfit     bool // the error about it is that key or value do not fit; the rest stands here
}

// parseMessage reads a message, whose checksum it leaves to others. It is lenient as Kafka is: bytes
// after the value do not matter. What follows magic in a message of an unknown format is read as in v1.
func parseMessage(b []byte) (m message, err error) {
	if len(b) < OverheadSize+minSizeV0 {
		return m, errMessage()
	}
	m.offset = int64(binary.BigEndian.Uint64(b))
	m.crc = binary.BigEndian.Uint32(b[posLegacyCRC:])
	m.magic = int8(b[posMagic])
	m.attributes = b[posLegacyAttributes]
	m.time = NoTimestamp
	rest := b[posLegacyTime:]
	if m.magic != MagicV0 {
		if len(rest) < 8 {
			return m, errMessage()
		}
		m.time = int64(binary.BigEndian.Uint64(rest))
		rest = rest[8:]
	}
	var ok bool
	if m.key, rest, ok = sized(rest); ok {
		m.value, _, ok = sized(rest)
	}
	if m.misfit = !ok; m.misfit {
		return m, errMessage()
	}
	return m, nil
}

// sized reads a length and that many bytes; a negative length is null.
func sized(b []byte) (v, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int32(binary.BigEndian.Uint32(b))
	b = b[4:]
	if n < 0 {
		return nil, b, true
	}
	if int(n) > len(b) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

func errMessage() error {
	return errorf(ErrCorrupt, "Record is corrupt (key or value do not fit into the message)")
}

// codec returns the message's codec.
func (m message) codec() Codec { return Codec(m.attributes & codecMask) }

// describe returns Kafka's text for a message (LegacyRecord.toString); t and time are those that
// count, which the outer message may have set.
func (m message) describe(offset int64, t TimestampType, time int64) string {
	stamp := ""
	if m.magic > MagicV0 {
		stamp = fmt.Sprintf(" %s=%d,", t, time)
	}
	return fmt.Sprintf("LegacyRecordBatch(offset=%d, Record(magic=%d, attributes=%d, compression=%s, crc=%d,%s key=%d bytes, value=%d bytes))",
		offset, m.magic, int8(m.attributes), m.codec(), m.crc, stamp, len(m.key), len(m.value))
}

// inner goes over the messages inside the compressed message b, in order, and gives each to f with
// the bytes it was read from; both are valid until f returns. An incomplete one at the end is left
// out, as Kafka does.
func (b Batch) inner(f func(m message, raw []byte) error) error { return b.innerOf(false, f) }

// innerOf is inner which, if misfits is set, gives messages to f of which key or value do not fit, too.
func (b Batch) innerOf(misfits bool, f func(m message, raw []byte) error) error {
	codec := b.Codec()
	outer, err := parseMessage(b)
	switch {
	case err != nil:
		return err
	case codec == Zstd:
		return errorf(ErrInvalidRecord, "Invalid wrapper compressionType found in legacy deep record iterator %d", b.Magic())
	case outer.value == nil:
		return errorf(ErrInvalidRecord, "Found invalid compressed record set with null value (magic = %d)", b.Magic())
	}
	s, err := openStream(outer.value, codec, b.Magic())
	if err != nil {
		return err
	}
	defer s.close(codec)
	n := 0
	for ; ; n++ {
		m, raw, err := s.message()
		if err != nil && !(misfits && m.misfit) {
			return err
		}
		if raw == nil {
			break
		}
		if m.codec() != None {
			return errorf(ErrInvalidRecord, "Inner messages must not be compressed")
		}
		if err := f(m, raw); err != nil {
			return err
		}
		s.r += len(raw)
	}
	if n == 0 {
		return errorf(ErrInvalidRecord, "Found invalid compressed record set with no inner records")
	}
	return nil
}

// message returns the next message of the stream without consuming it, nil at the end.
func (s *stream) message() (m message, raw []byte, err error) {
	head := s.peek(OverheadSize)
	if len(head) < OverheadSize {
		return m, nil, s.failed()
	}
	size := int32(binary.BigEndian.Uint32(head[posSize:]))
	if size < minSizeV0 {
		return m, nil, errorf(ErrCorrupt, "Record size is less than the minimum record overhead (%d)", minSizeV0)
	}
	if size > MaxRecordBytes {
		return m, nil, errTooLong(size)
	}
	raw = s.whole(OverheadSize + int(size))
	if raw == nil {
		return m, nil, s.failed()
	}
	m, err = parseMessage(raw)
	return m, raw, err
}

// innerBase returns what to add to the offsets inside the compressed message b, whose last one is
// last: they are relative in format v1 (AbstractLegacyRecordBatch.DeepRecordsIterator).
func (b Batch) innerBase(last int64) (int64, error) {
	outer := b.BaseOffset()
	switch {
	case b.Magic() == MagicV0:
		return 0, nil
	case outer == 0:
		return 0, nil // some versions of librdkafka leave the outer offset at 0
	case outer < last:
		return 0, errorf(ErrInvalidRecord, "Found invalid wrapper offset in compressed v1 message set, wrapper offset '%d' is less than the last inner message offset '%d' and it is not zero.",
			outer, last)
	}
	return outer - last, nil
}
