package record

import (
	"io"
)

// Reducer makes a batch of format v2 of some of the records of another one, as compaction leaves it
// (MemoryRecords.buildRetainedRecordsInto): base offset, last offset, leader epoch, producer, base
// sequence, timestamp type, codec and the bits for transactions stay, so that offsets and sequence
// numbers mean what they did. Keys, values and headers are copied as they are encoded.
//
// The zero value is ready. A Reducer is used for one batch after the other and keeps its buffers.
type Reducer struct {
	source   Batch
	dst      []byte // what the batch is appended to
	start    int    // of the batch in dst
	raw      []byte // records on their way to the compressor
	comp     compressor
	compKey  compressorKey
	horizon  int64
	baseTime int64 // that deltas refer to; if count is 0 and there is no horizon, not known
	maxTime  int64
	from     decodedTimes
	count    int32
	err      error
}

// decodedTimes is how the source's timestamps are read.
type decodedTimes struct {
	base  int64
	all   int64 // every record's, if fixed
	fixed bool
}

// NoHorizon is the absent delete horizon of a Reducer.
const NoHorizon = NoTimestamp

// compressAt is how many bytes of records are handed to a compressor at a time.
const compressAt = 64 << 10

// Begin begins a batch out of records of b, which is to be appended to dst. horizon is its delete horizon in ms,
// negative if it has none.
func (r *Reducer) Begin(dst []byte, b Batch, horizon int64) {
	r.source, r.dst, r.start = b, dst, len(dst)
	r.horizon, r.baseTime, r.maxTime, r.count, r.err = horizon, horizon, NoTimestamp, 0, nil
	r.from = decodedTimes{b.BaseTimestamp(), b.MaxTimestamp(), b.TimestampType() == LogAppendTime}
	r.dst = append(r.dst, b[:HeaderSize]...)
	if codec := b.Codec(); codec != None {
		r.raw = r.raw[:0]
		r.compKey = compressorKey{codec, normalLevel(codec, 0)}
		if r.comp, r.err = newCompressor(r.compKey); r.err == nil {
			r.err = r.comp.reset((*reducerOutput)(r), MagicV2)
		}
	}
}

// reducerOutput is where a Reducer's compressor writes to.
type reducerOutput Reducer

func (o *reducerOutput) Write(p []byte) (int, error) {
	o.dst = append(o.dst, p...)
	return len(p), nil
}

var _ io.Writer = (*reducerOutput)(nil)

// Add adds whole records, as Cursor.Raw has them: one, or several that follow each other. Errors are left
// to End.
func (r *Reducer) Add(raw []byte) {
	for len(raw) > 0 && r.err == nil {
		size, i := varint(raw, 0)
		if i > len(raw) || size < 0 || int(size) > len(raw)-i {
			r.err = errStructure()
			return
		}
		body := raw[i : i+int(size)]
		raw = raw[i+int(size):]
		if r.comp == nil {
			r.dst = r.add(r.dst, body)
			continue
		}
		if r.raw = r.add(r.raw, body); len(r.raw) >= compressAt {
			r.flush()
		}
	}
}

// add appends one record.
func (r *Reducer) add(dst, body []byte) []byte {
	delta, i := varlong(body, 1)
	offsetDelta, i := varint(body, i)
	if i > len(body) {
		r.err = errStructure()
		return dst
	}
	time := r.from.base + delta
	if r.from.fixed {
		time = r.from.all
	}
	if r.count == 0 && r.horizon < 0 {
		r.baseTime = time
	}
	r.count++
	r.maxTime = max(r.maxTime, time)
	delta = time - r.baseTime
	rest := body[i:]
	dst = appendVarint(dst, int32(1+varlongSize(delta)+varlongSize(int64(offsetDelta))+len(rest)))
	dst = append(dst, 0)
	dst = appendVarlong(dst, delta)
	dst = appendVarint(dst, offsetDelta)
	return append(dst, rest...)
}

func (r *Reducer) flush() {
	if len(r.raw) > 0 && r.err == nil {
		_, r.err = r.comp.Write(r.raw)
	}
	r.raw = r.raw[:0]
}

// End finishes the batch, to which at least a record has been added, and returns dst with it. Each Begin needs
// its End, even if nothing comes of it.
func (r *Reducer) End() ([]byte, error) {
	if r.comp != nil {
		r.flush()
		if err := r.comp.Close(); r.err == nil {
			r.err = err
		}
		putCompressor(r.compKey, r.comp)
		r.comp = nil
	}
	dst, b := r.dst, r.source
	r.dst, r.source = nil, nil
	if r.err != nil {
		return dst[:r.start], r.err
	}
	attributes := b.attributes() & (codecMask | timestampTypeBit | transactionalBit | controlBit)
	if r.horizon >= 0 {
		attributes |= deleteHorizonBit
	}
	maxTime := r.maxTime
	if r.from.fixed {
		maxTime = r.from.all
	}
	producer := ProducerInfo{b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()}
	putHeader(dst[r.start:], attributes, b.LastOffsetDelta(), r.baseTime, maxTime, producer, r.count)
	return dst, nil
}

// IsMixed reports whether b, a compressed message of format v0 or v1, holds messages of another format. Some old
// brokers wrote such (KAFKA-4298).
func (b Batch) IsMixed() (mixed bool, err error) {
	if b.Magic() >= MagicV2 || b.Codec() == None {
		return false, nil
	}
	err = b.inner(func(m message, _ []byte) error {
		mixed = mixed || m.magic != b.Magic()
		return nil
	})
	return mixed, err
}
