package record

// walker goes over the records of one v2 batch as the leader validates them: it reads the numbers
// between keys and values, skips keys, values and headers, and keeps what is needed of a record in
// its own fields. It does not allocate unless a record is refused.
type walker struct {
	rules    rules
	partial  bool  // messages call records what Kafka's iterator without keys and values calls them
	baseTime int64 // base timestamp of the batch
	timed    bool  // the batch is flagged LogAppendTime: every record's timestamp is allTime
	allTime  int64
	count    int32 // records that the header declares
	index    int32 // of the next record

	// What has been found out about records before index.
	maxTime   int64 // largest timestamp, NoTimestamp at least
	scattered bool  // offset deltas are not 0, 1, 2 and so on
	faults    faults
}

// newWalker returns a walker for the records of b.
func newWalker(b Batch, r rules) walker {
	return walker{
		rules:    r,
		partial:  b.Codec() != None,
		baseTime: b.BaseTimestamp(),
		timed:    b.TimestampType() == LogAppendTime,
		allTime:  b.MaxTimestamp(),
		count:    b.Count(),
		maxTime:  NoTimestamp,
	}
}

// slice walks over all records of an uncompressed batch.
func (w *walker) slice(data []byte) error {
	n, err := w.walk(data)
	if err == ErrShort {
		return w.short(data[n:])
	}
	if err == nil && n < len(data) {
		return errRemaining()
	}
	return err
}

// stream walks over all records of a compressed batch.
func (w *walker) stream(s *stream) error {
	for {
		n, err := w.walk(s.unread())
		s.r += n
		switch {
		case err == ErrShort:
			if s.fill() {
				continue
			}
			if err := s.failed(); err != nil {
				return err
			}
			if s.err != nil {
				return w.short(s.unread())
			}
			if err := w.large(s); err != nil {
				return err
			}
		case err != nil:
			return err
		case len(s.unread()) > 0 || s.fill():
			return errRemaining()
		default:
			return s.failed()
		}
	}
}

// walk goes over the whole records at the start of data and returns how many bytes they are. The
// error is ErrShort if there should be more records.
func (w *walker) walk(data []byte) (n int, err error) {
	for w.index < w.count {
		var size int32
		i := n
		if i < len(data) && data[i] < 0x80 {
			size = int32(data[i]>>1) ^ -int32(data[i]&1)
			i++
		} else if size, i = longVarint(data, i); i > len(data) {
			if len(data)-n >= maxVarint {
				return n, errStructure()
			}
			return n, ErrShort
		}
		if int(size) > len(data)-i {
			return n, ErrShort
		}
		if size < 0 {
			return n, errStructure()
		}
		n = i + int(size)
		if err := w.record(data[i:n]); err != nil {
			return n, err
		}
	}
	return n, nil
}

// record checks one record from its attributes to its last header.
func (w *walker) record(b []byte) error {
	var timeDelta int64
	var offsetDelta, key, value, headers int32
	i := 1 // attributes, which have no meaning
	if i < len(b) && b[i] < 0x80 {
		timeDelta = int64(b[i]>>1) ^ -int64(b[i]&1)
		i++
	} else {
		timeDelta, i = longVarlong(b, i)
	}
	if i < len(b) && b[i] < 0x80 {
		offsetDelta = int32(b[i]>>1) ^ -int32(b[i]&1)
		i++
	} else {
		offsetDelta, i = longVarint(b, i)
	}
	if i < len(b) && b[i] < 0x80 {
		key = int32(b[i]>>1) ^ -int32(b[i]&1)
		i++
	} else {
		key, i = longVarint(b, i)
	}
	if key > 0 {
		i += min(int(key), len(b)) // too much stays too much, and cannot overflow
	}
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		value = int32(b[i]>>1) ^ -int32(b[i]&1)
		i++
	} else {
		value, i = longVarint(b, i)
	}
	if value > 0 {
		i += min(int(value), len(b))
	}
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		headers = int32(b[i]>>1) ^ -int32(b[i]&1)
		i++
	} else {
		headers, i = longVarint(b, i)
	}
	if headers != 0 {
		i = skipHeaders(b, i, headers)
	}
	if i != len(b) {
		return errStructure()
	}
	w.check(timeDelta, offsetDelta, key, value)
	return nil
}

// skipHeaders returns the position after count headers at position i, beyond len(b) if they are not
// right.
func skipHeaders(b []byte, i int, count int32) int {
	if count < 0 || i > len(b) || int(count) > len(b)-i {
		return len(b) + 1
	}
	var size int32
	for range count {
		if size, i = varint(b, i); size < 0 {
			return len(b) + 1
		}
		i += min(int(size), len(b))
		size, i = varint(b, i)
		i += min(max(int(size), 0), len(b))
	}
	return i
}

// check applies the rules to a record with these fields; key and value are lengths.
func (w *walker) check(timeDelta int64, offsetDelta, key, value int32) {
	time := w.baseTime + timeDelta
	if w.timed {
		time = w.allTime
	}
	if offsetDelta != w.index {
		w.scattered = true
	}
	if w.rules.refuse(key < 0, time) {
		w.refuse(time, offsetDelta, key, value)
	}
	w.maxTime = max(w.maxTime, time)
	w.index++
}

// refuse notes that the rules refuse a record.
func (w *walker) refuse(time int64, offsetDelta, key, value int32) {
	offset := int64(offsetDelta) // the base offset is 0 where producers write
	w.faults.add(&w.rules, w.index, key < 0, time, offset, func() string {
		return describeRecord(w.partial, offset, time, key, value)
	})
}

// large goes over a record that is larger than the stream's window without holding it whole.
func (w *walker) large(s *stream) error {
	size, err := s.varint()
	if err != nil {
		return err
	}
	if size < 0 || size > MaxRecordBytes {
		return errTooLong(size)
	}
	f := fieldReader{s: s, left: int(size)}
	f.skip(1)
	timeDelta := f.varlong()
	offsetDelta := f.varint()
	key := f.varint()
	f.skip(int(key))
	value := f.varint()
	f.skip(int(value))
	headers := f.varint()
	if headers < 0 || int(headers) > f.left {
		f.bad = true
	}
	for i := int32(0); i < headers && !f.bad; i++ {
		n := f.varint()
		if n < 0 {
			f.bad = true
		}
		f.skip(int(n))
		f.skip(int(f.varint()))
	}
	if err := s.failed(); err != nil {
		return err
	}
	if f.bad || f.left != 0 {
		return errStructure()
	}
	w.check(timeDelta, offsetDelta, key, value)
	return nil
}

// short is the error for a batch that ends in the middle of a record, of which rest is there.
func (w *walker) short(rest []byte) error {
	size, i := varint(rest, 0)
	if i > len(rest) {
		return errorf(ErrInvalidRecord, "Incorrect declared batch size, premature EOF reached")
	}
	return errorf(ErrInvalidRecord, "Invalid record size: expected %d bytes in record payload, but instead the buffer has only %d remaining bytes.",
		size, len(rest)-i)
}

func errStructure() error { return errorf(ErrInvalidRecord, "Found invalid record structure") }

func errRemaining() error {
	return errorf(ErrInvalidRecord, "Incorrect declared batch size, records still remaining in file")
}

func errTooLong(size int32) error {
	return errorf(ErrInvalidRecord, "Invalid record size: %d bytes are more than the %d that a compressed record may have", size, MaxRecordBytes)
}

// varint reads an int that must be there.
func (s *stream) varint() (int32, error) {
	b := s.peek(maxVarint)
	v, n := varint(b, 0)
	if n > len(b) {
		if err := s.failed(); err != nil {
			return 0, err
		}
		return 0, errStructure()
	}
	s.r += n
	return v, nil
}

// fieldReader reads the fields of one record from a stream. After a read that fails bad is set and
// what is read means nothing.
type fieldReader struct {
	s    *stream
	left int // bytes of the record
	bad  bool
}

func (f *fieldReader) field() []byte {
	b := f.s.peek(min(maxVarlong, f.left))
	return b[:min(len(b), f.left)]
}

func (f *fieldReader) take(n, have int) {
	if n > have {
		f.bad = true
		return
	}
	f.s.r += n
	f.left -= n
}

func (f *fieldReader) varint() int32 {
	b := f.field()
	v, n := varint(b, 0)
	f.take(n, len(b))
	return v
}

func (f *fieldReader) varlong() int64 {
	b := f.field()
	v, n := varlong(b, 0)
	f.take(n, len(b))
	return v
}

// skip consumes n bytes of the record; a negative n, which is null, is none.
func (f *fieldReader) skip(n int) {
	if n <= 0 || f.bad {
		return
	}
	if n > f.left || !f.s.skip(n) {
		f.bad = true
		return
	}
	f.left -= n
}
