package compact

import (
	"github.com/gregor-mq/gregor/broker/record"
)

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
		return nil
	}
	left, err := f.records(b, &v)
	if err != nil {
		return err
	}
	f.stats.Records += int64(left.read)
	f.stats.NoKey += int64(left.keyless)
	if left.count == 0 {
		if v.stays {
			f.pieces.endRun()
			f.note(f.pieces.made(record.AppendEmpty(f.pieces.out, b)), 0)
		}
		return nil
	}
	horizon, hasHorizon := b.DeleteHorizon()
	setHorizon := !hasHorizon && b.Magic() >= record.MagicV2 && (left.tombstone || v.timed)
	if left.count == left.read && !setHorizon && !left.mixed {
		f.pieces.asIs(f.kept.Read, f.kept.Read+len(b))
		f.note(b, left.count)
		return nil
	}
	if setHorizon {
		horizon = f.opts.NowMs + f.opts.DeleteRetentionMs
		f.kept.Horizons++
	}
	f.pieces.endRun()
	out, err := f.rebuild(b, &v, &left, horizon)
	if err != nil {
		return err
	}
	f.note(f.pieces.made(out), left.count)
	return nil
}

// verdict is what is to be done with a batch, and what decides about its records.
type verdict struct {
	drop       bool // its records go
	stays      bool // its header stays if its records go
	timed      bool // it is a marker that goes once its delete horizon is past
	control    bool // it is a control batch: unless they all go, its records stay
	tombstones bool // the last records of keys stay even if they have no value
}

// judge takes note of b and says what is to be done with it (checkBatchRetention).
func (f *Filter) judge(b record.Batch) (v verdict, err error) {
	horizon, hasHorizon := b.DeleteHorizon()
	if v.control = b.IsControl(); v.control {
		discardable, still, err := f.txns.control(b)
		if err != nil {
			return v, err
		}
		if still != nil {
			f.kept.Aborted = append(f.kept.Aborted, *still)
		}
		v.timed = discardable
		v.drop = discardable && hasHorizon && horizon <= f.opts.NowMs
	} else {
		v.drop = f.txns.data(b)
	}
	v.stays = b.Magic() >= record.MagicV2 && (b.NextOffset() == f.opts.FirstUncleanable || f.isLast(b))
	v.tombstones = !hasHorizon || f.opts.NowMs < horizon
	if b.Magic() < record.MagicV2 {
		v.tombstones = f.retainLegacy
	}
	return v, nil
}

// isLast reports whether b has the last that is known of a live producer: its last records, or, if it has
// none, a marker with its epoch, which fences those before it.
func (f *Filter) isLast(b record.Batch) bool {
	if len(f.producers) == 0 || !b.HasProducerID() {
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

// fate is what becomes of a record.
type fate int

const (
	goes        fate = iota
	goesKeyless      // it goes since it has no key, which records of compacted topics must have
	stays
	staysIfLast // it stays if the map knows no later one of its key
)

// fateOf says what becomes of a record, as far as that is known without the map (Cleaner.shouldRetainRecord). latest is
// the map's.
func (v *verdict) fateOf(offset, latest int64, key []byte, hasValue bool) fate {
	switch {
	case v.drop:
		return goes
	case v.control || offset > latest:
		return stays
	case key == nil:
		return goesKeyless
	case !hasValue && !v.tombstones:
		return goes
	}
	return staysIfLast
}

// fateOf says what becomes of a record, goes, goesKeyless or stays.
func (f *Filter) fateOf(v *verdict, offset int64, key []byte, hasValue bool) fate {
	m := f.opts.Map
	fate := v.fateOf(offset, m.Latest(), key, hasValue)
	if fate != staysIfLast {
		return fate
	}
	if hi, lo := m.hash(key); m.hasLater(hi, lo, offset) {
		return goes
	}
	return stays
}

// note accounts for a batch that is kept.
func (f *Filter) note(b record.Batch, records int) {
	k := &f.kept
	if k.FirstOffset < 0 {
		k.FirstOffset = b.BaseOffset()
	}
	k.LastOffset = b.LastOffset()
	if t := b.MaxTimestamp(); t > k.MaxTimestamp {
		k.MaxTimestamp, k.OffsetOfMaxTimestamp = t, b.LastOffset()
	}
	k.Bytes += int64(len(b))
	f.stats.KeptRecords += int64(records)
	f.stats.KeptBytes += int64(len(b))
}
