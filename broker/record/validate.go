package record

import (
	"encoding/binary"
	"hash/crc32"
)

// Validate checks the batches of records as the leader of a partition does before it appends them
// (LogValidator, UnifiedLog.analyzeAndValidateRecords), at the time now in ms, and makes them what the
// topic stores. It needs no lock and no offset: Assign gives the offsets later.
//
// Records that can stay as they are stay where they are, with a few header fields changed in place;
// otherwise they are rebuilt as one batch of format v2. A batch at the end of records that is not
// whole is left out. If records hold no whole batch, Validated is empty and there is no error. An
// error is an *Error, and nothing of records must be written then.
//
// It is stricter than Kafka in what some consumer could not read: a compressed record whose fields do
// not add up to its length, or that is longer than MaxRecordBytes; something after the end of a
// compressed stream.
func (p *Policy) Validate(records []byte, origin Origin, now int64) (Validated, error) {
	v := validation{policy: p, origin: origin, now: now}
	if err := v.analyse(records); err != nil {
		return Validated{}, err
	}
	if v.batches == 0 {
		return nothing(), nil
	}
	if v.first.Magic() >= MagicV2 || v.codec != None {
		if v.batches > 1 {
			return Validated{}, errorf(ErrInvalidRecord, "Compressed outer record has more than one batch")
		}
	}
	if v.first.Magic() >= MagicV2 {
		return v.batch(v.first)
	}
	return v.rebuildMessages(records[:v.size])
}

// nothing is what is left of records without a whole batch.
func nothing() Validated {
	return Validated{LastOffset: -1, MaxTimestamp: NoTimestamp, MaxTimestampOffset: -1, AppendTime: NoTimestamp}
}

// validation is one call of Validate.
type validation struct {
	policy *Policy
	origin Origin
	now    int64

	// Found out by analyse.
	first   Batch
	batches int
	size    int   // bytes of whole batches
	codec   Codec // of the last batch that has one
}

// analyse checks what can be told without looking at records: sizes, checksums, base offsets.
func (v *validation) analyse(records []byte) error {
	for rest := records; ; {
		b, next, err := Next(rest)
		if err == ErrShort {
			return nil
		}
		if err != nil {
			return err
		}
		if b.Magic() >= MagicV2 && v.origin == Client && b.BaseOffset() != 0 {
			return errorf(ErrInvalidRecord, "The baseOffset of the record batch in the append to %s should be 0, but it is %d",
				v.policy.Partition, b.BaseOffset())
		}
		if len(b) > v.policy.MaxMessageBytes {
			return errorf(ErrMessageTooLarge, "The record batch size in the append to %s is %d bytes which exceeds the maximum configured value of %d.",
				v.policy.Partition, len(b), v.policy.MaxMessageBytes)
		}
		if b.ComputeCRC() != b.CRC() {
			err := errorf(ErrCorrupt, "Record is corrupt (stored crc = %d) in topic partition %s.", b.CRC(), v.policy.Partition)
			err.Cause = CauseChecksum
			return err
		}
		if codec := b.Codec(); codec != None {
			if !codec.Valid() {
				return errorf(ErrDecompress, "Unknown compression type id: %d", int8(codec))
			}
			v.codec = codec
		}
		if v.batches == 0 {
			v.first = b
		}
		v.batches++
		v.size += len(b)
		rest = next
	}
}

// target returns the codec to store with.
func (v *validation) target() Codec {
	if v.policy.Compression == Producer {
		return v.codec
	}
	return v.policy.Compression
}

// checkHeader checks a v2 batch as a whole (LogValidator.validateBatch).
func (v *validation) checkHeader(b Batch) error {
	fail := func(cause Cause, format string, args ...any) error {
		err := errorf(ErrInvalidRecord, format, args...)
		err.Cause = cause
		return err
	}
	partition, count := v.policy.Partition, b.Count()
	span := int64(b.LastOffsetDelta()) + 1
	switch {
	case span <= 0:
		return fail(CauseOffsetOrSequence, "Batch has an invalid offset range: [%d, %d] in topic partition %s",
			b.BaseOffset(), b.LastOffset(), partition)
	case count <= 0:
		return fail(CauseOffsetOrSequence, "Invalid reported count for record batch: %d in topic partition %s", count, partition)
	case span != int64(count):
		return fail(CauseOffsetOrSequence, "Inconsistent batch offset range [%d, %d] and count of records %d in topic partition %s",
			b.BaseOffset(), b.LastOffset(), count, partition)
	case v.origin != Client:
		return nil
	case b.IsControl():
		return fail(CauseOffsetOrSequence, "Clients are not allowed to write control records in topic partition %s", partition)
	case b.HasProducerID() && b.BaseSequence() < 0:
		return fail(CauseOffsetOrSequence, "Invalid sequence number %d in record batch with producerId %d in topic partition %s",
			b.BaseSequence(), b.ProducerID(), partition)
	}
	return nil
}

// batch validates one batch of format v2.
func (v *validation) batch(b Batch) (Validated, error) {
	if err := v.checkHeader(b); err != nil {
		return Validated{}, err
	}
	codec := b.Codec()
	// Control records are not compressed if they do not come so.
	if codec != v.target() && !(codec == None && b.IsControl()) {
		return v.rebuildBatch(b)
	}
	w := newWalker(b, v.policy.rules(v.now, b.TimestampType()))
	if err := w.run(b); err != nil {
		return Validated{}, err
	}
	if codec != None && w.scattered {
		return v.rebuildBatch(b)
	}
	maxTime, maxTimeOffset := w.maxTime, int64(w.count-1)
	if v.policy.TimestampType == LogAppendTime {
		maxTime = v.now
	} else if codec == None && maxTime == NoTimestamp {
		maxTimeOffset = -1
	}
	b.SetBaseOffset(0)
	b.stamp(v.policy.TimestampType, maxTime)
	return v.result(b, int64(w.count), maxTime, maxTimeOffset), nil
}

// run goes over all records of b, and returns an error if one of them is refused.
func (w *walker) run(b Batch) (err error) {
	if codec := b.Codec(); codec == None {
		err = w.slice(b.records())
	} else {
		var s *stream
		if s, err = openStream(b.records(), codec, b.Magic()); err != nil {
			return err
		}
		err = w.stream(s)
		s.close(codec)
	}
	if err != nil {
		return err
	}
	return w.faults.err()
}

// result describes the one batch of format v2 that is to be written.
func (v *validation) result(b Batch, count, maxTime, maxTimeOffset int64) Validated {
	r := Validated{
		Records:            b,
		Batches:            1,
		Count:              count,
		LastOffset:         count - 1,
		MaxTimestamp:       maxTime,
		MaxTimestampOffset: maxTimeOffset,
		AppendTime:         NoTimestamp,
	}
	if v.policy.TimestampType == LogAppendTime {
		r.AppendTime = v.now
	}
	return r
}

// stamp sets timestamp type and largest timestamp of a v2 batch and, if that changes anything, the
// checksum; attributes without a meaning are dropped then, as by Kafka
// (DefaultRecordBatch.setMaxTimestamp).
func (b Batch) stamp(t TimestampType, maxTime int64) {
	if b.TimestampType() == t && b.MaxTimestamp() == maxTime {
		return
	}
	header := b[posAttributes:HeaderSize]
	crc, was := b.CRC(), crc32.Checksum(header, castagnoli)
	attributes := b.attributes() & (codecMask | transactionalBit | controlBit | deleteHorizonBit)
	if t == LogAppendTime {
		attributes |= timestampTypeBit
	}
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(attributes))
	binary.BigEndian.PutUint64(b[posMaxTime:], uint64(maxTime))
	if records := b.records(); len(records) >= minPatch {
		crc ^= shiftCRC(was^crc32.Checksum(header, castagnoli), len(records))
	} else {
		crc = b.ComputeCRC()
	}
	binary.BigEndian.PutUint32(b[posCRC:], crc)
}
