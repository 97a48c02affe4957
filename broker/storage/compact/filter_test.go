package compact

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
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

// filtered cleans log, of which all keys are known, with f set up by the caller.
func filtered(t *testing.T, opts FilterOptions, producers map[int64]LastRecord, log []byte) []record.Batch {
	t.Helper()
	if opts.Map == nil {
		opts.Map = indexed(t, log)
	}
	f := NewFilter(opts, new(Stats))
	f.BeginGroup(producers)
	kept, err := f.Filter(log)
	if err != nil {
		t.Fatal(err)
	}
	return split(t, slices.Concat(kept.Pieces...))
}

func TestLastBatchOfLiveProducerLeavesItsHeader(t *testing.T) {
	opts := record.BuilderOptions{Producer: &record.ProducerInfo{ID: 7, Epoch: 2, Sequence: 5}}
	dead := batchOf(t, opts, kv{0, "a", "1"})
	log := slices.Concat(dead, batchOf(t, record.BuilderOptions{}, kv{1, "a", "2"}))
	for _, tt := range []struct {
		name string
		last map[int64]LastRecord
		end  int64
		want int
	}{
		{"expired", nil, 0, 1},
		{"its last batch", map[int64]LastRecord{7: {DataOffset: 0, Epoch: 2}}, 0, 2},
		{"not its last batch", map[int64]LastRecord{7: {DataOffset: 9, Epoch: 2}}, 0, 1},
		{"known from a marker", map[int64]LastRecord{7: {DataOffset: -1, Epoch: 2}}, 0, 1},
		{"ends what may be cleaned", nil, 1, 2},
	} {
		left := filtered(t, FilterOptions{NowMs: 1, FirstUncleanable: tt.end}, tt.last, log)
		if len(left) != tt.want || len(left) == 2 && (left[0].Count() != 0 || left[0].LastSequence() != 5 || len(left[0]) != record.HeaderSize) {
			t.Errorf("%s: %d batches are left, want %d", tt.name, len(left), tt.want)
		}
	}
}

// TestHugeBatchIsRebuiltWithoutBeingHeld goes beyond what is remembered of a compressed batch.
func TestHugeBatchIsRebuiltWithoutBeingHeld(t *testing.T) {
	bu := record.NewBuilder(record.MagicV2, record.BuilderOptions{Codec: record.Zstd})
	for i := range 20 {
		if err := bu.Append(record.Record{Key: []byte{byte(i / 2)}, Value: bytes.Repeat([]byte{byte(i)}, 1<<20)}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	f := NewFilter(FilterOptions{Map: indexed(t, log), NowMs: 1}, new(Stats))
	kept, err := f.Filter(log)
	if err != nil || cap(f.copied) > 2*maxCopied {
		t.Fatalf("%v, %d bytes are held", err, cap(f.copied))
	}
	left := records(t, kept.Pieces[0])
	if len(left) != 10 {
		t.Fatalf("%d records are left", len(left))
	}
	for i, r := range left {
		if r.Offset != int64(2*i+1) || len(r.Value) != 1<<20 || r.Value[0] != byte(2*i+1) {
			t.Errorf("record %d is at %d", i, r.Offset)
		}
	}
}

// TestMessagesOfAnotherFormatAreRewritten: some brokers wrote messages of format v0 into a compressed one of v1 (KAFKA-4298).
func TestMessagesOfAnotherFormatAreRewritten(t *testing.T) {
	bu := record.NewBuilder(record.MagicV0, record.BuilderOptions{})
	if err := bu.Append(record.Record{Key: []byte("a"), Value: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	inner, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	_, _ = gz.Write(inner)
	_ = gz.Close()
	log := make([]byte, 12, 100) // offset 0, size
	log = append(log, 0, 0, 0, 0, 1, byte(record.Gzip), 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff)
	log = append(binary.BigEndian.AppendUint32(log, uint32(packed.Len())), packed.Bytes()...)
	binary.BigEndian.PutUint32(log[8:], uint32(len(log)-12))
	left := filtered(t, FilterOptions{NowMs: 1}, nil, sealed(log))
	if mixed, err := left[0].IsMixed(); len(left) != 1 || mixed || err != nil || left[0].Magic() != record.MagicV1 {
		t.Errorf("%x is left, mixed %v, %v", left, mixed, err)
	}
}

func TestFlippedBitsEndThePass(t *testing.T) {
	log := batchOf(t, record.BuilderOptions{}, kv{0, "a", "1"}, kv{1, "a", "2"})
	m := indexed(t, log)
	log[len(log)-3] ^= 1
	if _, err := NewFilter(FilterOptions{Map: m}, new(Stats)).Filter(log); !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("filter: %v", err)
	}
	if _, _, err := NewIndex(m, 0, nil, new(Stats)).Add(log); !errors.Is(err, record.ErrCorrupt) {
		t.Errorf("index: %v", err)
	}
}

func TestCleaningDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose buffers under the race detector")
	}
	h := newHistory(t, 3, 1000)
	h.add(50)
	data := slices.DeleteFunc(h.segments[0].batches, record.Batch.IsControl) // reading a marker takes an allocation or two
	log := logSegment{batches: data}.bytes()
	m := NewOffsetMap(1<<20, 0.9)
	x := NewIndex(m, 0, nil, new(Stats))
	f := NewFilter(FilterOptions{Map: m, NowMs: 1 << 40}, new(Stats))
	got := testing.AllocsPerRun(50, func() {
		if _, _, err := x.Add(log); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Filter(log); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestShortRunsAreWrittenTogether(t *testing.T) {
	var log, want []byte
	for i := range int64(500) {
		dead := batchOf(t, record.BuilderOptions{}, kv{2 * i, "a", "1"})
		alive := batchOf(t, record.BuilderOptions{}, kv{2*i + 1, fmt.Sprint(i), "1"})
		log, want = slices.Concat(log, dead, alive), append(want, alive...)
	}
	log = append(log, batchOf(t, record.BuilderOptions{}, kv{1000, "a", "2"})...)
	f := NewFilter(FilterOptions{Map: indexed(t, log)}, new(Stats))
	kept, err := f.Filter(log[:len(log)-1]) // without the last, which only makes others dead
	if err != nil || len(kept.Pieces) > 2 || !bytes.Equal(slices.Concat(kept.Pieces...), want) {
		t.Errorf("%d pieces, %v", len(kept.Pieces), err)
	}
}
