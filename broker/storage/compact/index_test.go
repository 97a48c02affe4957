package compact

import (
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

func TestIndexBeginsAtFirstDirtyOffset(t *testing.T) {
	clean := batchOf(t, record.BuilderOptions{}, kv{0, "a", "1"}, kv{1, "b", "1"})
	half := batchOf(t, record.BuilderOptions{}, kv{2, "c", "1"}, kv{3, "d", "1"})
	m := NewOffsetMap(1<<10, 1)
	x := NewIndex(m, 3, nil, new(Stats))
	if _, _, err := x.Add(clean); err != nil || m.Len() != 0 || m.Latest() != -1 {
		t.Errorf("clean batch: %v, %d keys, latest %d", err, m.Len(), m.Latest())
	}
	if _, _, err := x.Add(half); err != nil || m.Len() != 1 || m.Latest() != 3 {
		t.Errorf("dirty from its second record: %v, %d keys, latest %d", err, m.Len(), m.Latest())
	}
	x.EndSegment(10)
	if m.End() != 10 {
		t.Errorf("end %d with nothing up to the next segment, want 10", m.End())
	}
}

// TestFullMapEndsTheCleaning stops in the middle of a batch, as Kafka does: what follows stays, whatever its key.
func TestFullMapEndsTheCleaning(t *testing.T) {
	first := batchOf(t, record.BuilderOptions{}, kv{0, "a", "1"}, kv{1, "b", "1"}, kv{2, "a", "2"})
	second := batchOf(t, record.BuilderOptions{}, kv{3, "a", "3"}, kv{4, "c", "1"}, kv{5, "a", "4"}, kv{6, "", "no key"})
	log := slices.Concat(first, second)
	m := NewOffsetMap(3*SlotBytes, 1)
	x := NewIndex(m, 0, nil, new(Stats))
	n, full, err := x.Add(log)
	if err != nil || !full || n != len(first) || m.End() != 5 {
		t.Fatalf("%d bytes, full %v, end %d, %v; want %d bytes and end 5", n, full, m.End(), err, len(first))
	}
	f := NewFilter(FilterOptions{Map: m, NowMs: 1}, new(Stats))
	kept, err := f.Filter(log)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []int64
	for _, b := range split(t, slices.Concat(kept.Pieces...)) {
		for _, r := range records(t, b) {
			offsets = append(offsets, r.Offset)
		}
	}
	if want := []int64{1, 3, 4, 5, 6}; !slices.Equal(offsets, want) {
		t.Errorf("kept %v, want %v", offsets, want)
	}
}

func TestAbortedRecordsAreNotIndexed(t *testing.T) {
	opts := record.BuilderOptions{Transactional: true, Producer: &record.ProducerInfo{ID: 7}}
	log := slices.Concat(
		batchOf(t, record.BuilderOptions{}, kv{0, "a", "1"}),
		batchOf(t, opts, kv{1, "a", "2"}),
		record.AppendMarker(nil, record.MarkerOptions{ProducerID: 7, BaseOffset: 2}),
	)
	m := NewOffsetMap(1<<10, 1)
	var stats Stats
	x := NewIndex(m, 0, []segment.AbortedTxn{{ProducerID: 7, FirstOffset: 1, LastOffset: 2}}, &stats)
	if _, _, err := x.Add(log); err != nil {
		t.Fatal(err)
	}
	if offset, ok := m.get(m.hash([]byte("a"))); !ok || offset != 0 || m.Latest() != 2 || stats.IndexRecords != 3 {
		t.Errorf("a at %d, %v, latest %d, %+v", offset, ok, m.Latest(), stats)
	}
}
