package compact

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// FuzzFilter cleans any bytes whose checksums are right. What is left has to be whole batches that can be read, in the
// places of those before.
func FuzzFilter(f *testing.F) {
	h := newHistory(f, 1, 1000)
	h.legacy(record.MagicV0, 5)
	h.legacy(record.MagicV1, 5)
	h.add(10)
	for _, s := range h.segments {
		for _, b := range s.batches {
			f.Add([]byte(b), int64(5), int64(2000), true)
		}
		f.Add(s.bytes(), s.base, int64(2000), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, base, now int64, last bool) {
		data = sealed(data)
		m := NewOffsetMap(1<<10, 0.9)
		aborted := []segment.AbortedTxn{{ProducerID: 1003, FirstOffset: base, LastOffset: base + 100}}
		var stats Stats
		if _, _, err := NewIndex(m, base, aborted, &stats).Add(data); err != nil {
			m.SetLatest(base) // the second pass meets what the first one did not
		}
		filter := NewFilter(FilterOptions{Map: m, NowMs: now, DeleteRetentionMs: 1000, FirstUncleanable: base + 7}, &stats)
		if last {
			filter.BeginGroup(map[int64]LastRecord{1002: {DataOffset: base + 3}, 1003: {DataOffset: -1}})
		}
		filter.BeginSegment(aborted, now%2 == 0)
		kept, err := filter.Filter(data)
		if err != nil {
			return
		}
		before := map[int64]bool{}
		for _, b := range split(t, data[:kept.Read]) {
			before[b.LastOffset()] = true
		}
		all := slices.Concat(kept.Pieces...)
		if int64(len(all)) != kept.Bytes || stats.KeptBytes != kept.Bytes || stats.Bytes != int64(kept.Read) {
			t.Errorf("%d bytes kept, but %+v, %+v", len(all), kept, stats)
		}
		for _, b := range split(t, all) {
			if err := b.Check(); err != nil {
				t.Error(err)
			}
			for _, err := range b.Records() {
				if err != nil {
					t.Errorf("%x: %v", []byte(b), err)
				}
			}
			if b.Magic() == record.MagicV2 && !before[b.LastOffset()] {
				t.Errorf("batch up to %d comes from nowhere", b.LastOffset())
			}
		}
	})
}

// sealed makes the checksums of all batches right, so that the fuzzer gets past them.
func sealed(data []byte) []byte {
	data = slices.Clone(data)
	_ = record.Each(data, func(b record.Batch) error {
		at := 17
		if b.Magic() < record.MagicV2 {
			at = 12
		}
		binary.BigEndian.PutUint32(b[at:], b.ComputeCRC())
		return nil
	})
	return data
}
