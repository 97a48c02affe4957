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
			err = b.eachInner(false, func(r Record, _ []byte) error { return each(r) })
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
		return errCount(b)
	}
	if count == 0 {
		return nil
	}
	codec := b.Codec()
	if codec == None {
		return b.eachInPlace(f)
	}
	s, err := openStream(b.records(), codec, b.Magic())
	if err != nil {
		return err
	}
	defer s.close(codec)
	var d decoder
	var r Record
	d.open(b)
	for range count {
		body, err := s.record()
		if err != nil {
			return err
		}
		if err := d.decode(body, &r); err != nil {
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
func (b Batch) eachInPlace(f func(Record) error) error {
	var p InPlace
	for p.Open(b); p.Next(); {
		if err := f(p.Record); err != nil {
			return err
		}
	}
	return p.Err()
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

func errCount(b Batch) error {
	return errorf(ErrInvalidRecord, "Found invalid record count %d in magic v%d batch", b.Count(), b.Magic())
}

func errEnd() error {
	return errorf(ErrInvalidRecord, "Incorrect declared batch size, premature EOF reached")
}

func errSize(size int32) error {
	return errorf(ErrInvalidRecord, "Invalid record size: expected %d bytes in record payload, but the record payload reached EOF.", size)
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
// It gives each with the bytes it was read from, and, if misfits is set, also those whose key or value do not fit, without them.
func (b Batch) eachInner(misfits bool, f func(r Record, raw []byte) error) error {
	base := int64(0)
	if b.Magic() == MagicV1 {
		last := int64(0)
		err := b.innerOf(misfits, func(m message, _ []byte) error {
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
	return b.innerOf(misfits, func(m message, raw []byte) error {
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
