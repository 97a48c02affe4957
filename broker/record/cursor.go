package record

// Cursor goes over the records of batches of format v2 for compaction, which has no use for most of
// what Batch.Records makes of them: it reads the numbers, checks the structure, and leaves value and
// headers alone. It allocates nothing.
//
//	for c.Open(b); c.Next(); {
//		use c.Offset, c.Key, c.HasValue, c.Raw
//	}
//	err := c.Close()
//
// Between Open and Close no other batch may be decompressed on the same goroutine: see heavyPermits. The
// zero value is ready. What Batch.Records refuses is refused here, with the same errors.
type Cursor struct {
	// Of the current record, valid until the next call:
	Offset   int64
	Key      []byte // nil is null
	HasValue bool
	// Raw is the record as it stands in the batch, with its length.
	Raw []byte

	s     *stream
	codec Codec
	base  int64
	left  int32 // records that follow the current one
	size  int   // bytes of the current record that are still unread in the stream
	err   error
}

// Open begins with b. An error is left to Close.
func (c *Cursor) Open(b Batch) {
	*c = Cursor{codec: b.Codec(), base: b.BaseOffset(), left: b.Count()}
	if b.Magic() < MagicV2 {
		c.err = errorf(ErrUnsupportedFormat, "No cursor goes over magic v%d", b.Magic())
	} else if c.left < 0 {
		c.err = errCount(b)
	} else if c.left > 0 {
		c.s, c.err = openStream(b.records(), c.codec, b.Magic())
	}
}

// Close ends an iteration, at any time, and returns the error that it ended with.
func (c *Cursor) Close() error {
	if c.s != nil {
		c.s.close(c.codec)
		c.s = nil
	}
	c.Key, c.Raw = nil, nil
	return c.err
}

// Next goes to the next record. It returns false at the end and at an error.
func (c *Cursor) Next() bool {
	s := c.s
	if s == nil || c.err != nil {
		return false
	}
	s.r += c.size
	if c.size = 0; c.left == 0 {
		if len(s.unread()) > 0 || s.fill() {
			c.err = errRemaining()
		} else {
			c.err = s.failed()
		}
		return false
	}
	c.left--
	raw := s.unread()
	size, n := varint(raw, 0)
	if n > len(raw) || size < 0 || int(size) > len(raw)-n {
		if raw, n, c.err = s.rawRecord(); c.err != nil {
			return false
		}
		size = int32(len(raw) - n)
	}
	c.size = n + int(size)
	c.Raw = raw[:c.size:c.size]
	if !c.decode(c.Raw[n:]) {
		c.err = errStructure()
		return false
	}
	return true
}

// decode reads a record's body.
func (c *Cursor) decode(body []byte) bool {
	_, i := varlong(body, 1)
	delta, i := varint(body, i)
	c.Offset = c.base + int64(delta)
	c.Key, i = bytesAt(body, i)
	value, i := varint(body, i)
	if c.HasValue = value >= 0; value > 0 {
		i += min(int(value), len(body)) // too much stays too much
	}
	headers, i := varint(body, i)
	if headers != 0 {
		i = skipHeaders(body, i, headers)
	}
	return i == len(body)
}
