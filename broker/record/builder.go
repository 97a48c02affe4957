package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
)

// BuilderOptions describe the batch that a Builder builds. The zero value is a plain batch from
// offset 0.
type BuilderOptions struct {
	Codec         Codec // of a batch: Producer is not one
	Level         int   // of compression; 0: Codec.DefaultLevel
	TimestampType TimestampType
	// AppendTime is the timestamp in ms of all records with LogAppendTime.
	AppendTime  int64
	BaseOffset  int64
	LeaderEpoch int32
	// Producer makes the batch idempotent; nil is none. Format v2 only, as all that follows.
	Producer      *ProducerInfo
	Transactional bool
	Control       bool
	// DeleteHorizon is the delete horizon in ms (KIP-534); 0 is none.
	DeleteHorizon int64
	// LastOffset is the last offset to declare if it is beyond that of the last record, as compaction
	// needs it.
	LastOffset int64
	// SizeHint is about how many bytes the batch will have, to begin with a buffer of that size.
	SizeHint int
	// Room bounds the bytes of a compressed batch that are kept: what does not fit is counted only, and building it
	// fails with a *RoomError. 0: no bound.
	Room int
}

// ProducerInfo are the fields of an idempotent producer's batch.
type ProducerInfo struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the record at BaseOffset
}

// OptionsOf returns the options to rebuild b with: everything in its header that does not follow from
// the records.
func OptionsOf(b Batch) BuilderOptions {
	opts := BuilderOptions{
		Codec:         b.Codec(),
		TimestampType: b.TimestampType(),
		BaseOffset:    b.BaseOffset(),
		LeaderEpoch:   b.LeaderEpoch(),
		Transactional: b.IsTransactional(),
		Control:       b.IsControl(),
		LastOffset:    b.LastOffset(),
	}
	if opts.TimestampType == LogAppendTime {
		opts.AppendTime = b.MaxTimestamp()
	}
	if b.HasProducerID() {
		opts.Producer = &ProducerInfo{ID: b.ProducerID(), Epoch: b.ProducerEpoch(), Sequence: b.BaseSequence()}
	}
	if ms, ok := b.DeleteHorizon(); ok {
		opts.DeleteHorizon = ms
	}
	return opts
}

// Builder builds one batch of format v2, or messages of format v0 or v1: one compressed message, or a
// plain one per record (MemoryRecordsBuilder). It is used by one goroutine at a time, once.
type Builder struct {
	magic    int8
	opts     BuilderOptions
	out      []byte // header, and the records, compressed if they are
	scratch  []byte // the record being encoded
	comp     compressor
	compKey  compressorKey
	err      error
	count    int32
	raw      int   // bytes of records before compression
	over     int   // bytes for which there was no room
	baseTime int64 // that deltas refer to
	maxTime  int64
	maxAt    int64 // offset of the first record with maxTime
	last     int64 // offset of the last record
}

// NewBuilder returns a Builder for the format magic, which must be 0, 1 or 2. Options that the format
// has no place for make Append and Build fail.
func NewBuilder(magic int8, opts BuilderOptions) *Builder {
	bu := &Builder{magic: magic, opts: opts, maxTime: NoTimestamp, maxAt: -1, last: opts.BaseOffset - 1}
	if err := opts.check(magic); err != nil {
		bu.err = err
		return bu
	}
	bu.out = make([]byte, bu.headerSize(), max(opts.SizeHint, 512))
	bu.baseTime = opts.DeleteHorizon
	if opts.Codec == None {
		return bu
	}
	bu.compKey = compressorKey{opts.Codec, normalLevel(opts.Codec, opts.Level)}
	if bu.comp, bu.err = newCompressor(bu.compKey); bu.err == nil {
		bu.err = bu.comp.reset((*builderOutput)(bu), magic)
	}
	return bu
}

func (opts *BuilderOptions) check(magic int8) error {
	switch {
	case magic < MagicV0 || magic > MagicV2:
		return fmt.Errorf("record: no format has magic %d", magic)
	case !opts.Codec.Valid():
		return fmt.Errorf("record: %d is no codec", opts.Codec)
	case magic < MagicV2 && opts.Codec == Zstd:
		return errorf(ErrUnsupportedCompression, "ZStandard compression is not supported for magic %d", magic)
	case magic < MagicV2 && opts.Transactional:
		return errorf(ErrUnsupportedFormat, "Transactional records are not supported for magic %d", magic)
	case magic < MagicV2 && opts.Control:
		return errorf(ErrUnsupportedFormat, "Control records are not supported for magic %d", magic)
	case magic < MagicV2 && opts.Producer != nil:
		return errorf(ErrUnsupportedFormat, "Idempotent messages are not supported for magic %d", magic)
	case magic < MagicV2 && opts.DeleteHorizon != 0:
		return errorf(ErrUnsupportedFormat, "Delete horizon timestamp is not supported for magic %d", magic)
	case opts.Transactional && opts.Producer == nil:
		return errors.New("record: a transactional batch needs a producer")
	}
	return nil
}

// builderOutput is where a Builder's compressor writes to.
type builderOutput Builder

func (o *builderOutput) Write(p []byte) (int, error) {
	if o.opts.Room > 0 && len(o.out)+o.over+len(p) > o.opts.Room {
		o.over += len(p)
	} else {
		o.out = append(o.out, p...)
	}
	return len(p), nil
}

// Append adds r at the next offset, whatever r.Offset says. r's bytes are copied. After an error,
// which is due to an r or options that the format has no place for, the Builder is of no use.
func (bu *Builder) Append(r Record) error {
	r.Offset = bu.last + 1
	return bu.AppendAt(r)
}

// AppendAt adds r at r.Offset, which must be beyond that of the record before. Else it is Append.
func (bu *Builder) AppendAt(r Record) error {
	if bu.err == nil {
		bu.err = bu.append(&r)
	}
	return bu.err
}

func (bu *Builder) append(r *Record) error {
	switch {
	case r.Offset <= bu.last:
		return fmt.Errorf("record: offset %d does not follow %d", r.Offset, bu.last)
	case r.Offset-bu.opts.BaseOffset > math.MaxInt32 || r.Offset < bu.opts.BaseOffset || bu.count == math.MaxInt32:
		return fmt.Errorf("record: offset %d is too far from the base offset %d", r.Offset, bu.opts.BaseOffset)
	case r.Timestamp < NoTimestamp && bu.magic < MagicV2:
		return errorf(ErrInvalidTimestamp, "Invalid negative timestamp %d", r.Timestamp)
	case bu.magic < MagicV2 && r.Headers.count > 0:
		return errorf(ErrUnsupportedFormat, "Magic v%d does not support record headers", bu.magic)
	case uint64(len(r.Key))+uint64(len(r.Value))+uint64(len(r.Headers.data))+64 > math.MaxInt32:
		return fmt.Errorf("record: record at offset %d is too large", r.Offset)
	}
	if bu.count == 0 && bu.opts.DeleteHorizon == 0 {
		bu.baseTime = r.Timestamp
	}
	time := r.Timestamp
	if bu.magic < MagicV2 && bu.opts.TimestampType == LogAppendTime {
		time = bu.opts.AppendTime
	}
	if err := bu.write(r, time); err != nil {
		return err
	}
	bu.count++
	bu.last = r.Offset
	if bu.magic > MagicV0 && time > bu.maxTime {
		bu.maxTime, bu.maxAt = time, r.Offset
	}
	return nil
}

// write encodes r and hands it to the compressor, or to the output.
func (bu *Builder) write(r *Record, time int64) error {
	dst := bu.out
	if bu.comp != nil {
		dst = bu.scratch[:0]
	}
	start := len(dst)
	if bu.magic == MagicV2 {
		dst = appendRecord(dst, r, int32(r.Offset-bu.opts.BaseOffset), time-bu.baseTime)
	} else {
		offset := r.Offset
		if bu.magic == MagicV1 && bu.comp != nil {
			offset -= bu.opts.BaseOffset
		}
		dst = appendMessage(dst, bu.magic, offset, bu.opts.TimestampType, time, r.Key, r.Value)
	}
	bu.raw += len(dst) - start
	if bu.comp == nil {
		bu.out = dst
		return nil
	}
	bu.scratch = dst
	_, err := bu.comp.Write(dst)
	return err
}

// appendRecord appends a record of format v2.
func appendRecord(dst []byte, r *Record, offsetDelta int32, timeDelta int64) []byte {
	size := 1 + varlongSize(timeDelta) + varlongSize(int64(offsetDelta)) + bytesSize(r.Key) + bytesSize(r.Value) +
		varlongSize(int64(r.Headers.count)) + len(r.Headers.data)
	dst = appendVarint(dst, int32(size))
	dst = append(dst, 0)
	dst = appendVarlong(dst, timeDelta)
	dst = appendVarint(dst, offsetDelta)
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = appendVarint(dst, r.Headers.count)
	return append(dst, r.Headers.data...)
}

// varlongSize returns how many bytes a varint or varlong takes.
func varlongSize(v int64) int {
	return (bits.Len64(uint64(v<<1)^uint64(v>>63)|1) + 6) / 7
}

func bytesSize(b []byte) int {
	if b == nil {
		return 1
	}
	return varlongSize(int64(len(b))) + len(b)
}

// headerSize returns the size of what precedes the records.
func (bu *Builder) headerSize() int {
	switch {
	case bu.magic == MagicV2:
		return HeaderSize
	case bu.opts.Codec == None:
		return 0
	case bu.magic == MagicV1:
		return OverheadSize + minSizeV1
	}
	return OverheadSize + minSizeV0
}

// Build appends the batch to dst; without records it appends nothing. The Builder is of no use
// afterwards.
func (bu *Builder) Build(dst []byte) ([]byte, error) {
	out, err := bu.finish()
	if dst == nil {
		return out, err
	}
	return append(dst, out...), err
}

// Discard gives back what an unfinished Builder holds. Build does so too.
func (bu *Builder) Discard() {
	if bu.comp != nil {
		_ = bu.comp.Close() // it writes to memory
		putCompressor(bu.compKey, bu.comp)
		bu.comp = nil
	}
	if bu.err == nil {
		bu.err = errors.New("record: the builder has been used")
	}
}

// finish returns the batch in the Builder's own memory.
func (bu *Builder) finish() ([]byte, error) {
	defer bu.Discard()
	if bu.err != nil || bu.count == 0 {
		return nil, bu.err
	}
	if bu.comp != nil {
		if err := bu.comp.Close(); err != nil {
			return nil, err
		}
		putCompressor(bu.compKey, bu.comp)
		bu.comp = nil
	}
	switch size := len(bu.out) + bu.over; {
	case size > math.MaxInt32:
		return nil, fmt.Errorf("record: batch of %d bytes is too large", size)
	case bu.over > 0:
		return nil, &RoomError{size}
	}
	switch {
	case bu.magic == MagicV2:
		bu.putHeader()
	case bu.opts.Codec != None:
		bu.putWrapper()
	}
	return bu.out, nil
}

func (bu *Builder) putHeader() {
	b, opts := Batch(bu.out), &bu.opts
	attributes := byte(opts.Codec)
	maxTime := bu.maxTime
	if opts.TimestampType == LogAppendTime {
		attributes |= timestampTypeBit
		maxTime = opts.AppendTime
	}
	if opts.Transactional {
		attributes |= transactionalBit
	}
	if opts.Control {
		attributes |= controlBit
	}
	if opts.DeleteHorizon != 0 {
		attributes |= deleteHorizonBit
	}
	producer := ProducerInfo{NoProducerID, NoProducerEpoch, NoSequence}
	if opts.Producer != nil {
		producer = *opts.Producer
	}
	lastDelta := max(bu.last, opts.LastOffset) - opts.BaseOffset
	putHeader(b, attributes, int32(min(lastDelta, math.MaxInt32)), bu.baseTime, maxTime, producer, bu.count)
	b.SetBaseOffset(opts.BaseOffset)
	b.SetLeaderEpoch(opts.LeaderEpoch)
}

// putHeader writes the header of a v2 batch whose records are in place, but for base offset and
// leader epoch.
func putHeader(b Batch, attributes byte, lastDelta int32, baseTime, maxTime int64, producer ProducerInfo, count int32) {
	binary.BigEndian.PutUint32(b[posSize:], uint32(len(b)-OverheadSize))
	b[posMagic] = byte(MagicV2)
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(attributes))
	binary.BigEndian.PutUint32(b[posLastDelta:], uint32(lastDelta))
	binary.BigEndian.PutUint64(b[posBaseTime:], uint64(baseTime))
	binary.BigEndian.PutUint64(b[posMaxTime:], uint64(maxTime))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(producer.ID))
	binary.BigEndian.PutUint16(b[posEpoch:], uint16(producer.Epoch))
	binary.BigEndian.PutUint32(b[posSequence:], uint32(producer.Sequence))
	binary.BigEndian.PutUint32(b[posCount:], uint32(count))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], castagnoli))
}

// AppendEmpty appends to dst what compaction leaves of the v2 batch b if all its records go but its
// producer's state must stay: the header, with no records and no codec.
func AppendEmpty(dst []byte, b Batch) []byte {
	start := len(dst)
	dst = append(dst, b[:HeaderSize]...)
	producer := ProducerInfo{b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()}
	attributes := b.attributes() & (timestampTypeBit | transactionalBit | controlBit)
	putHeader(dst[start:], attributes, b.LastOffsetDelta(), NoTimestamp, b.MaxTimestamp(), producer, 0)
	return dst
}
