package compact

import "github.com/gregor-mq/gregor/broker/record"

// remains are the records of a batch that stay, as far as they have been remembered.
type remains struct {
	read, count int
	keyless     int  // of those that go: how many go since they have no key
	tombstone   bool // one of those that stay has no value
	mixed       bool // there are messages of another format than the batch's
	forgotten   bool // the records that stay are not all remembered
}

// span is a range of bytes: records that stay, one behind the other.
type span struct{ from, to int }

// candidate is a record that may stay.
type candidate struct {
	span
	fate
	hi, lo   uint64 // hash of its key
	offset   int64
	hasValue bool
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
	m := f.opts.Map
	latest := m.Latest()
	c := &f.cursor
	for c.Open(b); c.Next(); pos += len(c.Raw) {
		left.read++
		if !plain {
			left.forgotten = left.forgotten || pos+len(c.Raw) > maxCopied
			if !left.forgotten {
				f.copied = append(f.copied, c.Raw...)
			}
		}
		w := &f.candidates[f.n]
		switch w.fate = v.fateOf(c.Offset, latest, c.Key, c.HasValue); w.fate {
		case goes:
			continue
		case goesKeyless:
			left.keyless++
			continue
		case staysIfLast:
			w.hi, w.lo = m.hash(c.Key)
		}
		w.span, w.offset, w.hasValue = span{pos, pos + len(c.Raw)}, c.Offset, c.HasValue
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
		if w.fate == staysIfLast && m.hasLater(w.hi, w.lo, w.offset) {
			continue
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
		c := &f.cursor
		for c.Open(b); c.Next(); {
			if f.fateOf(v, c.Offset, c.Key, c.HasValue) == stays {
				f.reducer.Add(c.Raw)
			}
		}
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
		switch f.fateOf(v, r.Offset, r.Key, r.Value != nil) {
		case stays:
			left.count++
		case goesKeyless:
			left.keyless++
		}
	}
	return left, nil
}

// rebuildMessages is rebuild for formats v0 and v1.
func (f *Filter) rebuildMessages(b record.Batch, v *verdict) ([]byte, error) {
	var builder *record.Builder
	for r, err := range b.Records() {
		if err == nil && f.fateOf(v, r.Offset, r.Key, r.Value != nil) != stays {
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
	return builder.Build(f.pieces.out)
}
