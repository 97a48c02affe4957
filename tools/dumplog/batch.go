package dumplog

import (
	"encoding/binary"
	"io"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Bytes of what Kafka reads of a batch at least, by magic.
const (
	minRecord = 14 // the smallest size field of any format
	headV0    = record.OverheadSize + 6
	headV1    = record.OverheadSize + 14
)

// batches reads the batches of a section of a log, as Kafka's FileLogInputStream does: what a broker would refuse is
// returned like all others, as long as there is room for it.
type batches struct {
	section  *section
	position int64
	head     [record.HeaderSize]byte
	whole    []byte
}

func newBatches(s *section) *batches { return &batches{section: s, position: s.start} }

// batch is a batch of a log, valid until the next one is read. Its header can be read as that of a record.Batch, whatever
// its size and magic.
type batch struct {
	record.Batch // the header only
	magic        int8
	position     int64
	size         int64 // with offset and size field
	from         *batches
	whole        record.Batch // once it is loaded
	valid        bool         // then: its checksum is right
}

// next returns the next batch, io.EOF if nothing whole is left.
func (s *batches) next() (*batch, error) {
	left := s.section.end - s.position
	if left <= record.PeekLen { // Kafka wants one byte more than it needs
		return nil, io.EOF
	}
	peek := s.head[:record.PeekLen]
	if err := s.section.read(peek, s.position, "log header"); err != nil {
		return nil, corrupt("Unexpected EOF while attempting to read the next batch", err)
	}
	size := int64(int32(binary.BigEndian.Uint32(peek[8:])))
	if size < minRecord {
		return nil, throwable.Newf(corruptRecord, "Found record size %d smaller than minimum record overhead (%d) in file %s.",
			size, minRecord, s.section.file)
	}
	if size += record.OverheadSize; size > left {
		return nil, io.EOF
	}
	b := &batch{magic: int8(peek[16]), position: s.position, size: size, from: s}
	if err := s.load(s.head[:b.headSize()], b, "record batch header"); err != nil {
		return nil, err
	}
	b.Batch = known(s.head[:], b.magic)
	s.position += size
	return b, nil
}

// headSize returns how much of the file Kafka reads for the header, which may lie beyond the batch.
func (b *batch) headSize() int {
	switch {
	case b.magic >= record.MagicV2:
		return record.HeaderSize
	case b.magic == record.MagicV0:
		return headV0
	}
	return headV1
}

// known sets the magic in data, which no v2 checksum covers, to that of the format that Kafka takes it for.
func known(data []byte, magic int8) record.Batch {
	data[16] = byte(min(max(magic, record.MagicV0), record.MagicV2))
	if magic < record.MagicV0 {
		data[16] = byte(record.MagicV1)
	}
	return data
}

func (s *batches) load(into []byte, b *batch, what string) error {
	if err := s.section.read(into, b.position, what); err != nil {
		return &throwable.Exception{Class: throwable.Kafka, Cause: throwable.From(err),
			Message: "Failed to load record batch at position " + decimal(b.position) + " from " + s.section.String()}
	}
	return nil
}

// load reads the whole batch and returns it with whether its checksum is right.
func (b *batch) load() (whole record.Batch, valid bool, err error) {
	if b.whole != nil {
		return b.whole, b.valid, nil
	}
	s := b.from
	if int64(cap(s.whole)) < b.size {
		s.whole = make([]byte, b.size)
	}
	raw := s.whole[:b.size]
	if err := s.load(raw, b, "full record batch"); err != nil {
		return nil, false, err
	}
	if b.magic < record.MagicV2 || b.size >= record.HeaderSize {
		b.valid = record.Batch(raw).Check() == nil
	}
	b.whole = known(raw, b.magic)
	return b.whole, b.valid, nil
}

const (
	corruptRecord = "org.apache.kafka.common.errors.CorruptRecordException"
	invalidRecord = "org.apache.kafka.common.InvalidRecordException"
)

func corrupt(message string, cause error) error {
	return &throwable.Exception{Class: corruptRecord, Message: message, Cause: cause}
}
