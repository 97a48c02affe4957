package compact

import "github.com/gregor-mq/gregor/broker/record"

// batch adds to kept what is left of b, which follows what has been looked at of the chunk.
func (f *Filter) batch(b record.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	v, err := f.judge(b)
	if err != nil {
		return err
	}
	if v.drop && !v.stays {
		f.run = -1
		return nil
	}
	left, err := f.records(b, v.drop)
	switch {
	case err != nil:
		return err
	case left.count == 0 && v.stays:
		f.rebuilt(b, record.AppendEmpty(f.out, b), 0)
		return nil
	case left.count == 0:
		f.run = -1
		return nil
	}
	_, hasHorizon := b.DeleteHorizon()
	setHorizon := b.Magic() >= record.MagicV2 && (left.tombstone || v.timed) && !hasHorizon
	if left.count == left.read && !setHorizon {
		f.asIs(b, left.count)
		return nil
	}
	return f.rebuild(b, left, setHorizon)
}

// verdict is what is to be done with a batch, whatever its records are.
type verdict struct {
	drop  bool // its records go
	stays bool // its header stays, if its records go
	timed bool // it is a marker that goes once its delete horizon is past
}

// judge takes note of b and says what is to be done with it (checkBatchRetention).
func (f *Filter) judge(b record.Batch) (v verdict, err error) {
	if b.IsControl() {
		discardable, still, err := f.txns.control(b)
		if err != nil {
			return v, err
		}
		if still != nil {
			f.kept.Aborted = append(f.kept.Aborted, *still)
		}
		horizon, ok := b.DeleteHorizon()
		v.timed = discardable
		v.drop = discardable && ok && horizon <= f.opts.NowMs
	} else {
		v.drop = f.txns.data(b)
	}
	v.stays = f.isLast(b)
	return v, nil
}

// isLast reports whether b has the last that is known of a live producer: its last records, or, if it has
// none, a marker with its epoch, which fences those before it.
func (f *Filter) isLast(b record.Batch) bool {
	if !b.HasProducerID() {
		return false
	}
	last, ok := f.producers[b.ProducerID()]
	switch {
	case !ok:
		return false
	case last.DataOffset >= 0:
		return b.LastOffset() == last.DataOffset
	}
	return b.IsControl() && b.ProducerEpoch() == last.Epoch
}

// keeps reports whether a record of b stays (Cleaner.shouldRetainRecord).
func (f *Filter) keeps(b record.Batch, r *record.Record) bool {
	switch {
	case b.IsControl(), r.Offset > f.opts.Map.Latest():
		return true
	case r.Key == nil:
		f.stats.NoKey++
		return false
	}
	if last, ok := f.opts.Map.Get(r.Key); ok && r.Offset < last {
		return false
	}
	if r.Value != nil {
		return true
	}
	if b.Magic() < record.MagicV2 {
		return f.retainLegacy
	}
	horizon, ok := b.DeleteHorizon()
	return !ok || f.opts.NowMs < horizon
}

// remains are the records of a batch that stay.
type remains struct {
	read, count int
	tombstone   bool // one of them has no value
}

// records goes over the records of b; with drop none of them stays.
func (f *Filter) records(b record.Batch, drop bool) (left remains, err error) {
	for r, err := range b.Records() {
		if err != nil {
			return left, err
		}
		left.read++
		if !drop && f.keeps(b, &r) {
			left.count++
			left.tombstone = left.tombstone || r.Value == nil
		}
	}
	f.stats.Records += int64(left.read)
	return left, nil
}

// rebuild makes a batch of the records of b that stay.
func (f *Filter) rebuild(b record.Batch, left remains, setHorizon bool) error {
	opts := record.OptionsOf(b)
	if setHorizon {
		opts.DeleteHorizon = f.opts.NowMs + f.opts.DeleteRetentionMs
		f.kept.Horizons++
	}
	noKey := f.stats.NoKey
	var builder *record.Builder
	for r, err := range b.Records() {
		if err != nil {
			return err
		}
		if !f.keeps(b, &r) {
			continue
		}
		if builder == nil {
			if b.Magic() < record.MagicV2 {
				opts.BaseOffset = r.Offset // what inner offsets of format v1 are relative to
			}
			builder = record.NewBuilder(b.Magic(), opts)
			defer builder.Discard()
		}
		if err := builder.AppendAt(r); err != nil {
			return err
		}
	}
	f.stats.NoKey = noKey
	out, err := builder.Build(f.out)
	if err != nil {
		return err
	}
	f.rebuilt(b, out, left.count)
	return nil
}

// rebuilt adds to kept the batch that out has more than f.out, made of count records of b.
func (f *Filter) rebuilt(_ record.Batch, out []byte, count int) {
	made := record.Batch(out[len(f.out):len(out):len(out)])
	f.out = out
	f.kept.Pieces = append(f.kept.Pieces, made)
	f.run = -1
	f.note(made, count)
}

// asIs adds to kept the batch b, which follows what has been looked at of the chunk.
func (f *Filter) asIs(b record.Batch, count int) {
	if k := &f.kept; f.run >= 0 {
		k.Pieces[len(k.Pieces)-1] = f.data[f.run : k.Read+len(b) : k.Read+len(b)]
	} else {
		k.Pieces = append(k.Pieces, b)
		f.run = k.Read
	}
	f.note(b, count)
}

// note accounts for a batch that is kept.
func (f *Filter) note(b record.Batch, count int) {
	k := &f.kept
	if k.FirstOffset < 0 {
		k.FirstOffset = b.BaseOffset()
	}
	k.LastOffset = b.LastOffset()
	if t := b.MaxTimestamp(); t > k.MaxTimestamp {
		k.MaxTimestamp, k.OffsetOfMaxTimestamp = t, b.LastOffset()
	}
	k.Bytes += int64(len(b))
	f.stats.KeptRecords += int64(count)
	f.stats.KeptBytes += int64(len(b))
}
