package record

import (
	"errors"
	"math"
	"testing"
)

// walked is what a Cursor finds.
func walked(b Batch) (records []Record, raw [][]byte, err error) {
	var c Cursor
	for c.Open(b); c.Next(); {
		r := Record{Offset: c.Offset, Key: clone(c.Key)}
		if c.HasValue {
			r.Value = []byte{}
		}
		records, raw = append(records, r), append(raw, clone(c.Raw))
	}
	return records, raw, c.Close()
}

// requireWalk has a Cursor go over b, and wants what Batch.Records yields, or an error of the same kind: of several faults in one record
// each may name another.
func requireWalk(t *testing.T, b Batch) (records []Record, raw [][]byte, err error) {
	t.Helper()
	records, wantErr := collect(b)
	got, raw, err := walked(b)
	if (err == nil) != (wantErr == nil) || errors.Unwrap(err) != errors.Unwrap(wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if err == nil && len(got) != len(records) {
		t.Fatalf("%d records, want %d", len(got), len(records))
	}
	for i, r := range got {
		if w := records[i]; r.Offset != w.Offset || !sameBytes(r.Key, w.Key) || (r.Value == nil) != (w.Value == nil) {
			t.Fatalf("record %d is %+v, want %+v", i, r, w)
		}
	}
	return records, raw, err
}

func TestCursorReadsRecordsOfAnySize(t *testing.T) {
	records := append(some(300, 40), Record{Key: []byte{}, Value: make([]byte, 3<<20)}, Record{Value: []byte{}}, Record{Key: []byte("k"),
		Headers: MakeHeaders(Header{Key: "h", Value: make([]byte, 200<<10)})})
	for _, codec := range allCodecs {
		if _, raw, err := requireWalk(t, build(t, 2, BuilderOptions{Codec: codec, BaseOffset: 1 << 40}, records...)); err != nil || len(raw) != 303 {
			t.Errorf("%v: %d records, %v", codec, len(raw), err)
		}
	}
}

func TestCursorRefusesOldFormats(t *testing.T) {
	if _, _, err := walked(build(t, 1, BuilderOptions{}, some(1, 1)...)); !errors.Is(err, ErrUnsupportedFormat) {
		t.Errorf("error %v", err)
	}
}

func TestReducedBatchKeepsItsPlace(t *testing.T) {
	for _, codec := range allCodecs {
		for _, timestamps := range []TimestampType{CreateTime, LogAppendTime} {
			for _, horizon := range []int64{NoHorizon, 0, 123456789} {
				source := Batch(build(t, 2, BuilderOptions{
					Codec: codec, TimestampType: timestamps, AppendTime: 77, BaseOffset: 1000, LeaderEpoch: 7, Transactional: true,
					Producer: &ProducerInfo{ID: 5, Epoch: 6, Sequence: math.MaxInt32 - 1},
				}, some(10, 100)...))
				records, raw, _ := walked(source)
				want := mustCollect(t, source)[3:9]
				var r Reducer
				r.Begin([]byte("before"), source, horizon)
				for i := 3; i < 9; i++ {
					r.Add(raw[i])
				}
				out, err := r.End()
				if err != nil || string(out[:6]) != "before" || len(records) != 10 {
					t.Fatal(err, out[:6])
				}
				b, rest, err := Next(out[6:])
				if err != nil || len(rest) > 0 || b.Check() != nil {
					t.Fatal(err, len(rest), b.Check())
				}
				requireSame(t, mustCollect(t, b), want)
				if ms, ok := b.DeleteHorizon(); ok != (horizon >= 0) || ms != horizon {
					t.Errorf("delete horizon %d, want %d", ms, horizon)
				}
				wantMax := want[5].Timestamp
				if b.LastOffset() != 1009 || b.LastSequence() != source.LastSequence() || b.MaxTimestamp() != wantMax || b.Codec() != codec ||
					b.TimestampType() != timestamps || b.LeaderEpoch() != 7 || !b.IsTransactional() || b.ProducerEpoch() != 6 {
					t.Errorf("%v: header %x of %x", codec, []byte(b[:HeaderSize]), []byte(source[:HeaderSize]))
				}
			}
		}
	}
}

func TestReducingDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose buffers under the race detector")
	}
	for _, codec := range allCodecs {
		source := Batch(build(t, 2, BuilderOptions{Codec: codec}, some(100, 100)...))
		var c Cursor
		var r Reducer
		dst := make([]byte, 0, 2*len(source))
		got := testing.AllocsPerRun(100, func() {
			for c.Open(source); c.Next(); {
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("%v: %v allocations to read", codec, got)
		}
		_, raw, _ := walked(source)
		got = testing.AllocsPerRun(100, func() {
			r.Begin(dst, source, NoHorizon)
			r.Add(raw[7])
			if _, err := r.End(); err != nil {
				t.Fatal(err)
			}
		})
		if got > 0 {
			t.Errorf("%v: %v allocations to write", codec, got)
		}
	}
}

// FuzzReduce goes over any bytes as Batch.Records does, and takes those records out of a batch that mask names.
func FuzzReduce(f *testing.F) {
	for _, codec := range allCodecs {
		f.Add(build(f, 2, BuilderOptions{Codec: codec}, some(5, 40)...), uint64(5), int64(-1))
	}
	f.Add(unhex(f, vectors.transactional), uint64(1), int64(99))
	f.Add(unhex(f, vectors.marker), uint64(1), int64(99))
	f.Fuzz(func(t *testing.T, data []byte, mask uint64, horizon int64) {
		b, _, err := Next(resealAll(data))
		if err != nil || b.Magic() < MagicV2 {
			return
		}
		records, raw, err := requireWalk(t, b)
		if err != nil {
			return
		}
		var want []Record
		var r Reducer
		r.Begin(nil, b, horizon)
		for i := range records {
			if mask>>(i%64)&1 == 1 {
				want = append(want, records[i])
				r.Add(raw[i])
			}
		}
		out, err := r.End()
		if err != nil {
			t.Fatal(err)
		}
		made, rest, err := Next(out)
		if err != nil || len(rest) > 0 || made.Check() != nil {
			t.Fatalf("%x was made of %x: %v", out, []byte(b), err)
		}
		if len(want) > 0 || made.Codec() == None {
			requireSame(t, mustCollect(t, made), want)
		}
	})
}
