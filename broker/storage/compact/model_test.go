package compact

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// model is log compaction as one would tell it: what has to be left of a log, found by looking at all of it for each
// question.
type model struct {
	*cleaner
	all  []record.Batch
	last map[int64]LastRecord
}

// modelBatch is what has to be left of a batch.
type modelBatch struct {
	Base, Last int64
	Horizon    int64
	Records    []record.Record
}

func records(t testing.TB, b record.Batch) (all []record.Record) {
	for r, err := range b.Records() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Clone())
	}
	return all
}

// outcome returns the marker that ends the transaction of the batch at i.
func (m *model) outcome(i int) (marker record.Batch, found bool) {
	for _, b := range m.all[i+1:] {
		if b.IsControl() && b.ProducerID() == m.all[i].ProducerID() {
			return b, true
		}
	}
	return nil, false
}

func (m *model) aborted(i int) bool {
	b := m.all[i]
	if !b.IsTransactional() || b.IsControl() {
		return false
	}
	end, ok := m.outcome(i)
	if !ok {
		return false
	}
	marker, _, _ := end.Marker()
	return !marker.Commit
}

// hasData reports whether a batch is left of the transaction that the marker at i ends.
func (m *model) hasData(i int) bool {
	for k := i - 1; k >= 0; k-- {
		if b := m.all[k]; b.IsTransactional() && b.ProducerID() == m.all[i].ProducerID() {
			return !b.IsControl()
		}
	}
	return false
}

// superseded reports whether the dirty part has a later record with the key of r.
func (m *model) superseded(r record.Record) bool {
	for i, b := range m.all {
		if b.IsControl() || m.aborted(i) || b.LastOffset() < m.start || b.LastOffset() >= m.end {
			continue
		}
		for _, later := range records(m.t, b) {
			if later.Offset > r.Offset && later.Offset >= m.start && later.Key != nil && bytes.Equal(later.Key, r.Key) {
				return true
			}
		}
	}
	return false
}

func (m *model) keepsForProducer(b record.Batch) bool {
	last, ok := m.last[b.ProducerID()]
	if !ok || !b.HasProducerID() {
		return false
	}
	return last.DataOffset == b.LastOffset() || last.DataOffset < 0 && b.IsControl() && last.Epoch == b.ProducerEpoch()
}

// left returns what has to be left of the batch at i, which is in segment s.
func (m *model) left(s logSegment, i int) (modelBatch, bool) {
	b := m.all[i]
	out := modelBatch{Base: b.BaseOffset(), Last: b.LastOffset(), Horizon: -1}
	if ms, ok := b.DeleteHorizon(); ok {
		out.Horizon = ms
	}
	past := out.Horizon >= 0 && out.Horizon <= m.opts.NowMs
	starts := false // a delete horizon
	for _, r := range records(m.t, b) {
		switch {
		case b.IsControl():
			starts = !m.hasData(i)
			if past && !m.hasData(i) {
				continue
			}
		case m.aborted(i), r.Key == nil, m.superseded(r):
			continue
		case r.Value == nil:
			if past || b.Magic() < record.MagicV2 && m.expired[s.base] {
				continue
			}
			starts = true
		}
		r.Sequence = 0
		out.Records = append(out.Records, r)
	}
	if len(out.Records) == 0 {
		out.Horizon = -1
		return out, b.Magic() == record.MagicV2 && (b.NextOffset() == m.end || m.keepsForProducer(b))
	}
	if starts && b.Magic() == record.MagicV2 && out.Horizon < 0 {
		out.Horizon = m.opts.NowMs + m.opts.DeleteRetentionMs
	}
	if b.Magic() < record.MagicV2 {
		out.Base, out.Last = 0, out.Records[len(out.Records)-1].Offset
	}
	return out, true
}

// TestRandomHistoriesAsModel cleans random logs again and again, while they grow.
func TestRandomHistoriesAsModel(t *testing.T) {
	first := seed.Of(t)
	for i := range uint64(40) {
		if t.Failed() {
			return
		}
		t.Run(fmt.Sprintf("seed=%d", first+i), func(t *testing.T) { cleanRandomly(t, first+i) })
	}
}

func cleanRandomly(t *testing.T, seed uint64) {
	h := newHistory(t, seed, 1_000_000)
	rng := rand.New(rand.NewPCG(seed, 1))
	if rng.IntN(3) == 0 {
		h.legacy(record.MagicV0, 8)
		h.legacy(record.MagicV1, 8)
	}
	log, start, index := h.segments, int64(0), []segment.AbortedTxn(nil)
	for range 4 {
		h.segments = nil
		for range 1 + rng.IntN(4) {
			h.add(10)
		}
		log = append(log, h.segments...)
		h.now += int64(rng.IntN(300))
		log, start, index = cleanOnce(t, rng, log, start, index, h.now-h.now%100)
	}
}

// cleanOnce cleans log, which is dirty from start on and has those transaction indexes below, as far as it may be. It
// returns the same of what is left.
func cleanOnce(t *testing.T, rng *rand.Rand, log []logSegment, start int64, index []segment.AbortedTxn, now int64) ([]logSegment, int64, []segment.AbortedTxn) {
	c := &cleaner{t: t, log: log, start: start, chunk: 1 + rng.IntN(3000), expired: map[int64]bool{}}
	c.opts = FilterOptions{NowMs: now, DeleteRetentionMs: 100 * int64(rng.IntN(5))}
	stable, open := replay(t, log).state.FirstUndecidedOffset()
	for _, s := range log {
		if !open || s.base <= stable {
			c.end = s.base
		}
		c.expired[s.base] = rng.IntN(3) == 0
	}
	if c.end <= start {
		return log, start, index
	}
	c.aborted = index
	c.opts.FirstUncleanable = c.end
	c.index()
	m := model{cleaner: c, last: c.replayed.lastRecords()}
	for _, s := range log {
		m.all = append(m.all, s.batches...)
	}
	var cleaned []logSegment
	var got, want []modelBatch
	at, base := 0, log[0].base
	for i, s := range log {
		if s.base >= c.end {
			cleaned = append(cleaned, s)
			continue
		}
		for range s.batches {
			if b, ok := m.left(s, at); ok {
				want = append(want, b)
			}
			at++
		}
		if next := log[i+1].base; next >= c.end || rng.IntN(2) == 0 {
			left := logSegment{base: base, batches: c.group(base, next)}
			got = append(got, describeAll(t, left.batches, m.all)...)
			if base = next; len(left.batches) > 0 {
				cleaned = append(cleaned, left)
			}
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(record.Headers{})); diff != "" {
		t.Fatalf("dirty [%d, %d), now %d, (-model +cleaned):\n%s", start, c.end, now, diff)
	}
	return cleaned, c.end, m.checkAborted()
}

// describeAll describes what is left, and compares the headers with those of the batches before.
func describeAll(t *testing.T, left, before []record.Batch) (all []modelBatch) {
	source := map[int64]record.Batch{}
	for _, b := range before {
		source[b.BaseOffset()] = b
	}
	for _, b := range left {
		d := modelBatch{Base: b.BaseOffset(), Last: b.LastOffset(), Horizon: -1, Records: records(t, b)}
		if ms, ok := b.DeleteHorizon(); ok {
			d.Horizon = ms
		}
		for i := range d.Records {
			d.Records[i].Sequence = 0
		}
		if b.Magic() < record.MagicV2 {
			d.Base = 0
		} else if s := source[b.BaseOffset()]; !sameOrigin(b, s) {
			t.Errorf("batch %x was made of %x", b, s)
		}
		if err := b.Check(); err != nil {
			t.Error(err)
		}
		all = append(all, d)
	}
	return all
}

func sameOrigin(b, s record.Batch) bool {
	return b.ProducerID() == s.ProducerID() && b.ProducerEpoch() == s.ProducerEpoch() && b.BaseSequence() == s.BaseSequence() &&
		b.LeaderEpoch() == s.LeaderEpoch() && b.TimestampType() == s.TimestampType() && b.IsTransactional() == s.IsTransactional() &&
		b.IsControl() == s.IsControl() && (b.Codec() == s.Codec() || b.Count() == 0)
}

// checkAborted compares what was said to belong into the new transaction indexes: the aborted transactions of which batches were
// there.
func (m *model) checkAborted() []segment.AbortedTxn {
	var want []segment.AbortedTxn
	for _, txn := range m.replayed.aborted {
		for i, b := range m.all {
			if b.BaseOffset() == txn.LastOffset && b.BaseOffset() < m.end && m.hasData(i) {
				want = append(want, txn)
			}
		}
	}
	var got []segment.AbortedTxn
	for _, k := range m.kept {
		got = append(got, k.Aborted...)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Errorf("aborted transactions (-model +cleaned):\n%s", diff)
	}
	return got
}
