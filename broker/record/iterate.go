package record

import "iter"

// Records yields the records of b in order, decompressing them as it goes: memory is bounded by the
// largest record (MaxRecordBytes), not by the batch. A record is valid until the next one is asked
// for. An error, an *Error wrapping ErrInvalidRecord, ErrCorrupt or ErrDecompress, is yielded last,
// with no record.
//
// While it goes over a compressed batch, the loop must not go over another one: see heavyPermits.
func (b Batch) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		stopped := false
		each := func(r Record) error {
			if !yield(r, nil) {
				stopped = true
				return errStopped
			}
			return nil
		}
		var err error
		switch {
		case b.Magic() >= MagicV2:
			err = b.each(each)
		case b.Codec() == None:
			err = b.eachPlain(each)
		default:
			err = b.eachInner(func(r Record, _ []byte) error { return each(r) })
		}
		if err != nil && !stopped {
			yield(Record{}, err)
		}
	}
}

// errStopped ends an iteration that nobody wants the rest of. Nobody sees it.
var errStopped = errorf(ErrShort, "")

// each goes over the records of a v2 batch.
func (b Batch) each(f func(Record) error) error {
	count := b.Count()
	if count < 0 {
		return errorf(ErrInvalidRecord, "Found invalid record count %d in magic v%d batch", count, b.Magic())
	}
	if count == 0 {
		return nil
	}
	codec := b.Codec()
	if codec == None {
		return b.eachInPlace(count, f)
	}
	s, err := openStream(b.records(), codec, b.Magic())
	if err != nil {
		return err
	}
	defer s.close(codec)
	d := newDecoder(b)
	for range count {
		body, err := s.record()
		if err != nil {
			return err
		}
		r, err := d.decode(body)
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
		s.r += len(body)
	}
	if len(s.unread()) > 0 || s.fill() {
		return errRemaining()
	}
	return s.failed()
}

// eachInPlace is each for a batch that is not compressed.
func (b Batch) eachInPlace(count int32, f func(Record) error) error {
	d, data := newDecoder(b), b.records()
	for i := range count {
		size, n := varint(data, 0)
		switch left := len(data) - n; {
		case left < 0:
			return errEnd()
		case size < 0:
			return errStructure()
		case int(size) > left:
			return errorf(ErrInvalidRecord, "Invalid record size: expected %d bytes in record payload, but instead the buffer has only %d remaining bytes.",
				size, left)
		case i == count-1 && int(size) < left:
			return errRemaining() // which Kafka notices before it gives the last record out
		}
		r, err := d.decode(data[n : n+int(size)])
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
		data = data[n+int(size):]
	}
	return nil
}

// record reads a record's length and returns its body without consuming it.
func (s *stream) record() ([]byte, error) {
	raw, n, err := s.rawRecord()
	s.r += n
	return raw[n:], err
}

// rawRecord returns the next record without consuming it. The first n of its bytes are its length.
func (s *stream) rawRecord() (raw []byte, n int, err error) {
	head := s.peek(maxVarint)
	size, n := varint(head, 0)
	switch {
	case n > len(head):
		if err := s.failed(); err != nil {
			return nil, 0, err
		}
		return nil, 0, errEnd()
	case size < 0:
		return nil, 0, errStructure()
	case size > MaxRecordBytes && s.src != nil:
		return nil, 0, errTooLong(size)
	}
	if raw = s.whole(n + int(size)); raw == nil {
		if err := s.failed(); err != nil {
			return nil, 0, err
		}
		return nil, 0, errSize(size)
	}
	return raw, n, nil
}

func errEnd() error {
	return errorf(ErrInvalidRecord, "Incorrect declared batch size, premature EOF reached")
}

func errSize(size int32) error {
	return errorf(ErrInvalidRecord, "Invalid record size: expected %d bytes in record payload, but the record payload reached EOF.", size)
}

// decoder makes Records of the bodies of a v2 batch's records.
type decoder struct {
	offset   int64
	time     int64
	timed    bool // all have the timestamp allTime
	allTime  int64
	sequence int32
}

func newDecoder(b Batch) decoder {
	return decoder{b.BaseOffset(), b.BaseTimestamp(), b.TimestampType() == LogAppendTime, b.MaxTimestamp(), b.BaseSequence()}
}

func (d *decoder) decode(body []byte) (Record, error) {
	timeDelta, i := varlong(body, 1)
	offsetDelta, i := varint(body, i)
	key, i := bytesAt(body, i)
	value, i := bytesAt(body, i)
	headers, i := varint(body, i)
	end := i
	if headers != 0 {
		end = skipHeaders(body, i, headers)
	}
	switch {
	case headers < 0 && i <= len(body):
		return Record{}, errorf(ErrInvalidRecord, "Found invalid number of record headers %d", headers)
	case end != len(body):
		return Record{}, errStructure()
	}
	r := Record{
		Offset:    d.offset + int64(offsetDelta),
		Timestamp: d.time + timeDelta,
		Sequence:  NoSequence,
		Key:       key,
		Value:     value,
		Headers:   Headers{count: headers, data: body[i:end:end]},
	}
	if d.timed {
		r.Timestamp = d.allTime
	}
	if d.sequence >= 0 {
		r.Sequence = IncrementSequence(d.sequence, offsetDelta)
	}
	return r, nil
}

// eachPlain gives the one record of a plain message of format v0 or v1.
func (b Batch) eachPlain(f func(Record) error) error {
	m, err := parseMessage(b)
	if err != nil {
		return err
	}
	return f(Record{Offset: m.offset, Timestamp: m.time, Sequence: NoSequence, Key: m.key, Value: m.value})
}

// eachInner goes over the records of a compressed message of format v0 or v1. It goes twice over those
// of format v1, whose offsets are relative to one that depends on the last.
// It gives each with the bytes it was read from.
func (b Batch) eachInner(f func(r Record, raw []byte) error) error {
	base := int64(0)
	if b.Magic() == MagicV1 {
		last := int64(0)
		err := b.inner(func(m message, _ []byte) error {
			last = m.offset
			return nil
		})
		if err != nil {
			return err
		}
		if base, err = b.innerBase(last); err != nil {
			return err
		}
	}
	return b.inner(func(m message, raw []byte) error {
		return f(Record{
			Offset:    base + m.offset,
			Timestamp: b.innerTime(m),
			Sequence:  NoSequence,
			Key:       m.key,
			Value:     m.value,
		}, raw)
	})
}

// innerTime returns the timestamp of the message m inside the compressed message b.
func (b Batch) innerTime(m message) int64 {
	if m.magic == MagicV1 && b.TimestampType() == LogAppendTime {
		return b.MaxTimestamp()
	}
	return m.time
}
