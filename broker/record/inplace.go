package record

// InPlace goes over the records of a v2 batch that is not compressed (Batch.IsInPlace) where they lie. It is
// Batch.Records for who reads so many small batches that calling back for each record counts:
//
//	for p.Open(b); p.Next(); {
//		use p.Record
//	}
//	err := p.Err()
//
// The zero value is ready, and may be opened again. It allocates nothing.
type InPlace struct {
	Record Record // the current one, valid as long as the batch is

	decoder decoder
	data    []byte // what follows the current record
	left    int32  // records that follow it
	err     error
}

// IsInPlace reports whether b's records lie in it as they are.
func (b Batch) IsInPlace() bool { return b.Magic() >= MagicV2 && b.Codec() == None }

// Open begins with b. An error is left to Err.
func (p *InPlace) Open(b Batch) {
	p.decoder.open(b)
	p.data, p.left, p.err = b.records(), b.Count(), nil
	if p.left < 0 {
		p.err = errCount(b)
	}
}

// Next goes to the next record. It returns false at the end and at an error.
func (p *InPlace) Next() bool { return p.left > 0 && p.next() }

func (p *InPlace) next() bool {
	size, n := varint(p.data, 0)
	switch left := len(p.data) - n; {
	case left < 0:
		p.err = errEnd()
	case size < 0:
		p.err = errStructure()
	case int(size) > left:
		p.err = errorf(ErrInvalidRecord, "Invalid record size: expected %d bytes in record payload, but instead the buffer has only %d remaining bytes.",
			size, left)
	case p.left == 1 && int(size) < left:
		p.err = errRemaining() // which Kafka notices before it gives the last record out
	default:
		p.err = p.decoder.decode(p.data[n:n+int(size)], &p.Record)
	}
	if p.err != nil {
		p.left = 0
		return false
	}
	p.left--
	p.data = p.data[n+int(size):]
	return true
}

// Err returns the error that the iteration ended with: one of those of Batch.Records.
func (p *InPlace) Err() error { return p.err }

// decoder makes Records of the bodies of a v2 batch's records.
type decoder struct {
	offset   int64
	time     int64
	timed    bool // all have the timestamp allTime
	allTime  int64
	sequence int32
}

// open begins with b.
func (d *decoder) open(b Batch) {
	d.offset, d.time, d.sequence = b.BaseOffset(), b.BaseTimestamp(), b.BaseSequence()
	d.timed, d.allTime = b.TimestampType() == LogAppendTime, b.MaxTimestamp()
}

// short finds key and value in the body of a record without headers whose numbers take one byte each, as those of most
// small records do. It reports false for any other one, which may be good or bad.
func short(body []byte) (key, value []byte, ok bool) {
	if len(body) < 5 || (body[1]|body[2]|body[3]) >= 0x80 || body[3]&1 != 0 {
		return nil, nil, false
	}
	keyEnd := 4 + int(body[3]>>1)
	if keyEnd >= len(body) || body[keyEnd] >= 0x80 || body[keyEnd]&1 != 0 {
		return nil, nil, false
	}
	end := keyEnd + 1 + int(body[keyEnd]>>1)
	if end != len(body)-1 || body[end] != 0 {
		return nil, nil, false
	}
	return body[4:keyEnd:keyEnd], body[keyEnd+1 : end : end], true
}

// zigzag is the number that one byte stands for.
func zigzag(b byte) int32 { return int32(b>>1) ^ -int32(b&1) }

// decode makes r of body.
func (d *decoder) decode(body []byte, r *Record) error {
	if key, value, ok := short(body); ok {
		d.place(r, int64(zigzag(body[1])), zigzag(body[2]))
		r.Key, r.Value, r.Headers = key, value, Headers{}
		return nil
	}
	return d.decodeAny(body, r)
}

// decodeAny is decode for bodies of any form.
func (d *decoder) decodeAny(body []byte, r *Record) error {
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
		return errorf(ErrInvalidRecord, "Found invalid number of record headers %d", headers)
	case end != len(body):
		return errStructure()
	}
	d.place(r, timeDelta, offsetDelta)
	r.Key, r.Value = key, value
	r.Headers = Headers{}
	if headers > 0 {
		r.Headers = Headers{count: headers, data: body[i:end:end]}
	}
	return nil
}

// place gives r its place in the log and in time.
func (d *decoder) place(r *Record, timeDelta int64, offsetDelta int32) {
	r.Offset, r.Timestamp, r.Sequence = d.offset+int64(offsetDelta), d.time+timeDelta, NoSequence
	if d.timed {
		r.Timestamp = d.allTime
	}
	if d.sequence >= 0 {
		r.Sequence = IncrementSequence(d.sequence, offsetDelta)
	}
}
