package compact

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
)

func TestLatestRecordOfKeyIsKept(t *testing.T) {
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4, record.Zstd} {
		opts := record.BuilderOptions{Codec: codec, Producer: &record.ProducerInfo{ID: 5, Epoch: 1, Sequence: 10}, LeaderEpoch: 3}
		log := slices.Concat(
			batchOf(t, opts, kv{0, "a", "1"}, kv{1, "b", "1"}, kv{2, "a", "2"}),
			batchOf(t, opts, kv{3, "c", "1"}),
			batchOf(t, opts, kv{4, "a", "3"}, kv{5, "c", "2"}, kv{6, "", "dropped"}),
		)
		var stats Stats
		f := NewFilter(FilterOptions{Map: indexed(t, log), NowMs: 1, DeleteRetentionMs: 1}, &stats)
		f.BeginGroup(nil)
		f.BeginSegment(nil, true)
		kept, err := f.Filter(log)
		if err != nil {
			t.Fatal(err)
		}
		var got []kv
		err = record.Each(slices.Concat(kept.Pieces...), func(b record.Batch) error {
			if b.Codec() != codec || b.LeaderEpoch() != 3 || b.ProducerID() != 5 || b.BaseSequence() != 10 {
				t.Errorf("%s: header changed", codec)
			}
			for r, err := range b.Records() {
				if err != nil {
					return err
				}
				got = append(got, kv{r.Offset, string(r.Key), string(r.Value)})
			}
			return b.Check()
		})
		want := []kv{{1, "b", "1"}, {4, "a", "3"}, {5, "c", "2"}}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: kept %v, %v, want %v", codec, got, err, want)
		}
		if kept.LastOffset != 6 || kept.FirstOffset != 0 || kept.Read != len(log) || stats.NoKey != 1 {
			t.Errorf("%s: %+v, %+v", codec, kept, stats)
		}
	}
}

func TestBatchesWithoutDeadRecordsAreOnePiece(t *testing.T) {
	log := slices.Concat(
		batchOf(t, record.BuilderOptions{}, kv{0, "a", "1"}, kv{1, "b", "1"}),
		batchOf(t, record.BuilderOptions{}, kv{2, "c", "1"}),
	)
	f := NewFilter(FilterOptions{Map: indexed(t, log), NowMs: 1}, new(Stats))
	kept, err := f.Filter(log)
	if err != nil || len(kept.Pieces) != 1 || !bytes.Equal(kept.Pieces[0], log) || &kept.Pieces[0][0] != &log[0] {
		t.Errorf("kept %d pieces, %v; want the log itself", len(kept.Pieces), err)
	}
}
