package compact

import "github.com/gregor-mq/gregor/broker/record"

// remains are the records of a batch that stay, as far as they have been remembered.
type remains struct {
	read, count int
	tombstone   bool // one of those that stay has no value
	mixed       bool // there are messages of another format than the batch's
	forgotten   bool // the records that stay are not all remembered
}

// span is a range of bytes: records that stay, one behind the other.
type span struct{ from, to int }

// candidate is a record that may stay.
type candidate struct {
	span
	hi, lo   uint64 // hash of its key
	offset   int64
	hasValue bool
	stays    bool // whatever the map says
}

// maxCopied is how many bytes of the records of a compressed batch are remembered. Beyond that a batch that is
// rebuilt is decompressed again, so that one which inflates to gigabytes takes no memory.
const maxCopied = 8 << 20

// records goes over the records of b, and remembers those that stay: spans of the batch, or, if it is
// compressed, of copied.
func (f *Filter) records(b record.Batch, v *verdict) (left remains, err error) {
	f.spans, f.copied = f.spans[:0], f.copied[:0]
	if b.Magic() < record.MagicV2 {
		return f.messages(b, v)
	}
	plain, pos := b.Codec() == record.None, record.HeaderSize
	if !plain {
		pos = 0
	}
	latest := f.opts.Map.Latest()
	c := &f.cursor
	for c.Open(b); c.Next(); pos += len(c.Raw) {
		left.read++
		if !plain {
			left.forgotten = left.forgotten || pos+len(c.Raw) > maxCopied
			if !left.forgotten {
				f.copied = append(f.copied, c.Raw...)
			}
		}
		stays := v.control || c.Offset > latest
		switch {
		case v.drop:
			continue
		case stays:
		case c.Key == nil:
			f.stats.NoKey++
			continue
		case !c.HasValue && !v.tombstones:
			continue
		}
		w := &f.candidates[f.n]
		*w = candidate{span: span{pos, pos + len(c.Raw)}, offset: c.Offset, hasValue: c.HasValue, stays: stays}
		if !stays {
			w.hi, w.lo = f.opts.Map.hash(c.Key)
		}
		if f.n++; f.n == len(f.candidates) {
			f.decide(&left)
		}
	}
	f.decide(&left)
	return left, c.Close()
}

// decide remembers those of the candidates that stay.
func (f *Filter) decide(left *remains) {
	candidates, m := f.candidates[:f.n], f.opts.Map
	f.n = 0
	for i := range candidates {
		m.touch(candidates[i].hi)
	}
	for i := range candidates {
		w := &candidates[i]
		if !w.stays {
			if last, ok := m.get(w.hi, w.lo); ok && w.offset < last {
				continue
			}
		}
		left.count++
		left.tombstone = left.tombstone || !w.hasValue
		if n := len(f.spans); n > 0 && f.spans[n-1].to == w.from {
			f.spans[n-1].to = w.to
		} else {
			f.spans = append(f.spans, w.span)
		}
	}
}

// rebuild appends to what has been made a batch of the records of b that stay.
func (f *Filter) rebuild(b record.Batch, v *verdict, left *remains, horizon int64) ([]byte, error) {
	if b.Magic() < record.MagicV2 {
		return f.rebuildMessages(b, v)
	}
	f.reducer.Begin(f.pieces.out, b, horizon)
	switch {
	case left.forgotten:
		noKey := f.stats.NoKey // they have been counted
		c := &f.cursor
		for c.Open(b); c.Next(); {
			if f.keeps(v, c.Offset, c.Key, c.HasValue) {
				f.reducer.Add(c.Raw)
			}
		}
		f.stats.NoKey = noKey
		if err := c.Close(); err != nil {
			_, _ = f.reducer.End()
			return nil, err
		}
	default:
		from := []byte(b)
		if b.Codec() != record.None {
			from = f.copied
		}
		for _, s := range f.spans {
			f.reducer.Add(from[s.from:s.to])
		}
	}
	return f.reducer.End()
}

// messages is records for formats v0 and v1. It remembers nothing.
func (f *Filter) messages(b record.Batch, v *verdict) (left remains, err error) {
	if left.mixed, err = b.IsMixed(); err != nil {
		return left, err
	}
	for r, err := range b.Records() {
		if err != nil {
			return left, err
		}
		left.read++
		if f.keeps(v, r.Offset, r.Key, r.Value != nil) {
			left.count++
		}
	}
	return left, nil
}

// rebuildMessages is rebuild for formats v0 and v1.
func (f *Filter) rebuildMessages(b record.Batch, v *verdict) ([]byte, error) {
	noKey := f.stats.NoKey // they have been counted
	var builder *record.Builder
	for r, err := range b.Records() {
		if err == nil && !f.keeps(v, r.Offset, r.Key, r.Value != nil) {
			continue
		}
		if err == nil && builder == nil {
			opts := record.OptionsOf(b)
			opts.BaseOffset = r.Offset // what inner offsets of format v1 are relative to
			builder = record.NewBuilder(b.Magic(), opts)
			defer builder.Discard()
		}
		if err == nil {
			err = builder.AppendAt(r)
		}
		if err != nil {
			return nil, err
		}
	}
	f.stats.NoKey = noKey
	return builder.Build(f.pieces.out)
}
