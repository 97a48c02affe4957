package record

import (
	"encoding/binary"
	"hash/crc32"
)

// Sizes in bytes.
const (
	// OverheadSize is what precedes the bytes that a batch's size field counts: offset and size.
	OverheadSize = 12
	// HeaderSize is the size of a v2 batch without records (RECORD_BATCH_OVERHEAD).
	HeaderSize = 61
	// PeekLen is how many bytes PeekSize looks at: everything up to and including the magic byte.
	PeekLen = 17
)

// Values of fields that mean "none" (RecordBatch.java).
const (
	NoTimestamp     int64 = -1
	NoProducerID    int64 = -1
	NoProducerEpoch int16 = -1
	NoSequence      int32 = -1
	NoLeaderEpoch   int32 = -1
)

// Magic numbers: the versions of the message format.
const (
	MagicV0 int8 = 0
	MagicV1 int8 = 1
	MagicV2 int8 = 2
)

// Positions of fields in a batch. Those up to magic are common to all formats.
const (
	posSize        = 8
	posLeaderEpoch = 12
	posMagic       = 16
	posCRC         = 17
	posAttributes  = 21
	posLastDelta   = 23
	posBaseTime    = 27
	posMaxTime     = 35
	posProducerID  = 43
	posEpoch       = 51
	posSequence    = 53
	posCount       = 57

	posLegacyCRC        = 12
	posLegacyAttributes = 17
	posLegacyTime       = 18
)

// Smallest values of the size field for each format, and the smallest that any format allows.
const (
	minSizeV0 = 14
	minSizeV1 = 22
	minSizeV2 = HeaderSize - OverheadSize
)

// Bits of the attributes.
const (
	codecMask        = 0x07
	timestampTypeBit = 0x08
	transactionalBit = 0x10
	controlBit       = 0x20
	deleteHorizonBit = 0x40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// TimestampType says what a record's timestamp means.
type TimestampType int8

// Timestamp types. Messages of format v0 have none.
const (
	NoTimestampType TimestampType = -1
	CreateTime      TimestampType = 0
	LogAppendTime   TimestampType = 1
)

// String returns Kafka's name of the type, as in message.timestamp.type.
func (t TimestampType) String() string {
	switch t {
	case CreateTime:
		return "CreateTime"
	case LogAppendTime:
		return "LogAppendTime"
	}
	return "NoTimestampType"
}

// Batch is a view of one batch of format v2, or of one message (which may be compressed and then
// hold many) of format v0 or v1. It is whole: its length is OverheadSize plus its size field, and at
// least the header of its format. Next makes Batches; the methods rely on what Next has checked, but
// not on the checksum.
type Batch []byte

// Next splits the first batch off data, which it neither copies nor changes.
//
// It returns ErrShort if data is empty or holds less than the batch says, which is the normal end of
// a fetched run of batches (MemoryRecords stops there), and an *Error wrapping ErrCorrupt if size or
// magic cannot be right.
func Next(data []byte) (b Batch, rest []byte, err error) {
	size, err := PeekSize(data)
	if err != nil {
		return nil, nil, err
	}
	if len(data) < size {
		return nil, nil, ErrShort
	}
	return Batch(data[:size:size]), data[size:], nil
}

// PeekSize returns the size in bytes of the batch that begins with data, of which it needs PeekLen
// bytes, and otherwise the errors of Next.
func PeekSize(data []byte) (int, error) {
	if len(data) < OverheadSize {
		return 0, ErrShort
	}
	size := int32(binary.BigEndian.Uint32(data[posSize:]))
	if size < minSizeV0 {
		return 0, errorf(ErrCorrupt, "Record size %d is less than the minimum record overhead (%d)", size, minSizeV0)
	}
	if len(data) < PeekLen {
		return 0, ErrShort
	}
	smallest := int32(minSizeV0)
	switch magic := int8(data[posMagic]); magic {
	case MagicV2:
		smallest = minSizeV2
	case MagicV1:
		smallest = minSizeV1
	case MagicV0:
	default:
		err := errorf(ErrCorrupt, "Invalid magic found in record: %d", magic)
		err.Cause = CauseMagic
		return 0, err
	}
	if size < smallest {
		return 0, errorf(ErrCorrupt, "Record batch is corrupt (the size %d is smaller than the minimum allowed overhead %d)",
			int64(size)+OverheadSize, smallest+OverheadSize)
	}
	return int(size) + OverheadSize, nil
}

// BaseOffset returns the offset of the first record. For a compressed message of format v0 or v1,
// whose first offset is known only after decompression, it is the offset of the last one (see
// FirstOffset).
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b)) }

// LastOffset returns the offset of the last record, which compaction may have removed.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset returns the offset after the last record.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// LastOffsetDelta returns LastOffset less BaseOffset. It is 0 for formats v0 and v1.
func (b Batch) LastOffsetDelta() int32 {
	if b.Magic() < MagicV2 {
		return 0
	}
	return int32(binary.BigEndian.Uint32(b[posLastDelta:]))
}

// LeaderEpoch returns the epoch of the leader that appended the batch, NoLeaderEpoch in old formats.
func (b Batch) LeaderEpoch() int32 {
	if b.Magic() < MagicV2 {
		return NoLeaderEpoch
	}
	return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:]))
}

// Magic returns the version of the format: 0, 1 or 2.
func (b Batch) Magic() int8 { return int8(b[posMagic]) }

// CRC returns the stored checksum: CRC-32C in format v2, CRC-32 before.
func (b Batch) CRC() uint32 {
	if b.Magic() < MagicV2 {
		return binary.BigEndian.Uint32(b[posLegacyCRC:])
	}
	return binary.BigEndian.Uint32(b[posCRC:])
}

// ComputeCRC returns the checksum that the bytes call for.
func (b Batch) ComputeCRC() uint32 {
	if b.Magic() < MagicV2 {
		return crc32.ChecksumIEEE(b[posMagic:])
	}
	return crc32.Checksum(b[posAttributes:], castagnoli)
}

// Check compares the checksum and returns an *Error wrapping ErrCorrupt if it differs. The structure
// of the records is not looked at.
func (b Batch) Check() error {
	if computed := b.ComputeCRC(); computed != b.CRC() {
		err := errorf(ErrCorrupt, "Record is corrupt (stored crc = %d, computed crc = %d)", b.CRC(), computed)
		err.Cause = CauseChecksum
		return err
	}
	return nil
}

// attributes returns the attributes; of the two bytes of format v2 only the second is in use.
func (b Batch) attributes() byte {
	if b.Magic() < MagicV2 {
		return b[posLegacyAttributes]
	}
	return b[posAttributes+1]
}

// Codec returns the codec of the records, which is invalid (Codec.Valid) if attributes say so.
func (b Batch) Codec() Codec { return Codec(b.attributes() & codecMask) }

// TimestampType returns what the timestamps mean; NoTimestampType in format v0.
func (b Batch) TimestampType() TimestampType {
	switch {
	case b.Magic() == MagicV0:
		return NoTimestampType
	case b.attributes()&timestampTypeBit != 0:
		return LogAppendTime
	}
	return CreateTime
}

// MaxTimestamp returns the largest timestamp of the records in ms since 1970, NoTimestamp if there
// is none. With LogAppendTime it is every record's timestamp.
func (b Batch) MaxTimestamp() int64 {
	switch b.Magic() {
	case MagicV0:
		return NoTimestamp
	case MagicV1:
		return int64(binary.BigEndian.Uint64(b[posLegacyTime:]))
	}
	return int64(binary.BigEndian.Uint64(b[posMaxTime:]))
}

// BaseTimestamp returns the timestamp that the records' deltas refer to: that of the first record, or
// the delete horizon if there is one. In format v1 it is the message's own timestamp.
func (b Batch) BaseTimestamp() int64 {
	if b.Magic() < MagicV2 {
		return b.MaxTimestamp()
	}
	return int64(binary.BigEndian.Uint64(b[posBaseTime:]))
}

// ProducerID returns the id of the idempotent producer, NoProducerID if there is none.
func (b Batch) ProducerID() int64 {
	if b.Magic() < MagicV2 {
		return NoProducerID
	}
	return int64(binary.BigEndian.Uint64(b[posProducerID:]))
}

// HasProducerID reports whether an idempotent or transactional producer wrote the batch.
func (b Batch) HasProducerID() bool { return b.ProducerID() > NoProducerID }

// ProducerEpoch returns the epoch of the producer, NoProducerEpoch if there is none.
func (b Batch) ProducerEpoch() int16 {
	if b.Magic() < MagicV2 {
		return NoProducerEpoch
	}
	return int16(binary.BigEndian.Uint16(b[posEpoch:]))
}

// BaseSequence returns the producer's sequence number of the first record, NoSequence if there is none.
func (b Batch) BaseSequence() int32 {
	if b.Magic() < MagicV2 {
		return NoSequence
	}
	return int32(binary.BigEndian.Uint32(b[posSequence:]))
}

// LastSequence returns the sequence number of the record at LastOffset, NoSequence if there is none.
func (b Batch) LastSequence() int32 {
	base := b.BaseSequence()
	if base == NoSequence {
		return NoSequence
	}
	return IncrementSequence(base, b.LastOffsetDelta())
}

// Count returns how many records the header declares. In formats v0 and v1 it is 1 for a plain
// message and -1 for a compressed one, which does not say.
func (b Batch) Count() int32 {
	switch {
	case b.Magic() == MagicV2:
		return int32(binary.BigEndian.Uint32(b[posCount:]))
	case b.Codec() == None:
		return 1
	}
	return -1
}

// IsTransactional reports whether the batch is part of a transaction, markers included.
func (b Batch) IsTransactional() bool {
	return b.Magic() >= MagicV2 && b.attributes()&transactionalBit != 0
}

// IsControl reports whether the batch holds control records, which consumers never see.
func (b Batch) IsControl() bool { return b.Magic() >= MagicV2 && b.attributes()&controlBit != 0 }

// DeleteHorizon returns the time in ms from which compaction may drop the batch's tombstones and
// markers (KIP-534), if it has been set.
func (b Batch) DeleteHorizon() (ms int64, ok bool) {
	if b.Magic() < MagicV2 || b.attributes()&deleteHorizonBit == 0 {
		return NoTimestamp, false
	}
	return b.BaseTimestamp(), true
}

// FirstOffset returns the offset of the first record, decompressing a message of format v0 or v1 for
// that if it has to. The error is one of those that Records yields.
func (b Batch) FirstOffset() (int64, error) {
	if b.Magic() >= MagicV2 || b.Codec() == None {
		return b.BaseOffset(), nil
	}
	for r, err := range b.Records() {
		return r.Offset, err
	}
	return b.BaseOffset(), nil
}

// SetBaseOffset changes the base offset in place (the offset, in old formats); the checksum does not
// cover it.
func (b Batch) SetBaseOffset(offset int64) { binary.BigEndian.PutUint64(b, uint64(offset)) }

// SetLeaderEpoch changes the leader epoch in place; the checksum does not cover it. Old formats have
// none: nothing happens.
func (b Batch) SetLeaderEpoch(epoch int32) {
	if b.Magic() >= MagicV2 {
		binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
	}
}

// records returns the bytes of the records of a v2 batch, compressed if the batch is.
func (b Batch) records() []byte { return b[HeaderSize:] }
