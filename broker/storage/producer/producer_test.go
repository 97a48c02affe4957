package producer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
)

// data builds a batch of count records of producer pid.
func data(t testing.TB, base, pid int64, epoch int16, seq int32, count int, transactional bool) record.Batch {
	t.Helper()
	bu := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		BaseOffset: base, Transactional: transactional,
		Producer: &record.ProducerInfo{ID: pid, Epoch: epoch, Sequence: seq},
	})
	for i := range count {
		if err := bu.Append(record.Record{Timestamp: 1000 + base + int64(i), Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bu.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func marker(base, pid int64, epoch int16, commit bool, coordinatorEpoch int32) record.Batch {
	return record.AppendMarker(nil, record.MarkerOptions{
		Marker:     record.Marker{Commit: commit, CoordinatorEpoch: coordinatorEpoch},
		ProducerID: pid, ProducerEpoch: epoch, BaseOffset: base, Timestamp: 1000 + base,
	})
}

// apply checks and commits one batch.
func apply(s *State, origin record.Origin, b record.Batch) (dup bool, ended []CompletedTxn, err error) {
	a := s.Prepare(origin, false)
	_, dup, err = a.Add(b, 0)
	if err != nil || dup {
		return dup, nil, err
	}
	err = s.Commit(a, func(c CompletedTxn) error { ended = append(ended, c); return nil })
	s.SetEnd(b.NextOffset())
	return false, ended, err
}

// step is one append of a history: data unless marker is set.
type step struct {
	epoch   int16
	seq     int32
	count   int
	txn     bool
	marker  string // "commit" or "abort"
	coord   int32
	origin  record.Origin
	want    error
	wantDup bool
}

func TestSequences(t *testing.T) {
	const last = math.MaxInt32
	tests := map[string][]step{
		"in order":                         {{seq: 0, count: 3}, {seq: 3, count: 2}, {seq: 5, count: 1}},
		"unknown producer starts anywhere": {{seq: 77, count: 1}, {seq: 78, count: 1}},
		"gap":                              {{seq: 0, count: 3}, {seq: 4, count: 1, want: ErrOutOfOrderSequence}},
		"back, but no duplicate":           {{seq: 0, count: 3}, {seq: 1, count: 1, want: ErrOutOfOrderSequence}},
		"duplicate of the newest":          {{seq: 0, count: 3}, {seq: 0, count: 3, wantDup: true}, {seq: 3, count: 1}},
		"duplicate of the fifth newest": {{seq: 0, count: 1}, {seq: 1, count: 2}, {seq: 3, count: 1}, {seq: 4, count: 1}, {seq: 5, count: 1},
			{seq: 0, count: 1, wantDup: true}},
		"the sixth newest is forgotten": {{seq: 0, count: 1}, {seq: 1, count: 2}, {seq: 3, count: 1}, {seq: 4, count: 1}, {seq: 5, count: 1}, {seq: 6, count: 1},
			{seq: 0, count: 1, want: ErrOutOfOrderSequence}, {seq: 1, count: 2, wantDup: true}},
		"part of a batch is no duplicate":   {{seq: 0, count: 3}, {seq: 0, count: 2, want: ErrOutOfOrderSequence}},
		"numbers wrap":                      {{seq: last - 1, count: 2}, {seq: 0, count: 1}, {seq: 1, count: 1}},
		"numbers wrap within a batch":       {{seq: last, count: 3}, {seq: 2, count: 1}, {seq: last, count: 3, wantDup: true}},
		"new epoch begins at 0":             {{seq: 0, count: 3}, {epoch: 1, seq: 3, count: 1, want: ErrOutOfOrderSequence}, {epoch: 1, seq: 0, count: 1}},
		"old epoch":                         {{epoch: 2, seq: 0, count: 1}, {epoch: 1, seq: 1, count: 1, want: ErrInvalidEpoch}},
		"old epoch's batch is no duplicate": {{epoch: 0, seq: 0, count: 1}, {epoch: 1, seq: 0, count: 2}, {epoch: 0, seq: 0, count: 1, want: ErrInvalidEpoch}},
		"coordinators have no sequence":     {{seq: -1, count: 1, origin: record.Coordinator}, {seq: -1, count: 2, origin: record.Coordinator}},
		"coordinators have epochs":          {{epoch: 1, seq: -1, count: 1, origin: record.Coordinator}, {seq: -1, count: 1, origin: record.Coordinator, want: ErrInvalidEpoch}},
		"followers take everything": {{epoch: 5, seq: 10, count: 1, origin: record.Replication},
			{epoch: 4, seq: 0, count: 1, origin: record.Replication}, {epoch: 4, seq: 9, count: 1, origin: record.Replication}},
		"known from a marker, same epoch": {{marker: "commit", epoch: 1}, {epoch: 1, seq: 1, count: 1, want: ErrOutOfOrderSequence}, {epoch: 1, seq: 0, count: 1}},
		"known from a marker, new epoch":  {{marker: "commit", epoch: 1}, {epoch: 2, seq: 1, count: 1, want: ErrOutOfOrderSequence}, {epoch: 2, seq: 0, count: 1}},
	}
	for name, history := range tests {
		t.Run(name, func(t *testing.T) { run(t, history) })
	}
}

func TestTransactionRules(t *testing.T) {
	tests := map[string][]step{
		"data and marker":                  {{seq: 0, count: 1, txn: true}, {seq: 1, count: 1, txn: true}, {marker: "commit"}, {seq: 2, count: 1, txn: true}},
		"no txn data inside a txn":         {{seq: 0, count: 1, txn: true}, {seq: 1, count: 1, want: ErrInvalidTxnState}},
		"nor on a follower":                {{seq: 0, count: 1, txn: true}, {seq: 1, count: 1, origin: record.Replication, want: ErrInvalidTxnState}},
		"plain data after the marker":      {{seq: 0, count: 1, txn: true}, {marker: "abort"}, {seq: 1, count: 1}},
		"marker of an old epoch":           {{epoch: 3, seq: 0, count: 1, txn: true}, {marker: "abort", epoch: 2, want: ErrInvalidEpoch}},
		"marker fences the producer":       {{epoch: 3, seq: 0, count: 1, txn: true}, {marker: "abort", epoch: 4}, {epoch: 3, seq: 1, count: 1, txn: true, want: ErrInvalidEpoch}},
		"marker of a zombie coordinator":   {{marker: "commit", coord: 5}, {seq: 0, count: 1, txn: true}, {marker: "commit", coord: 4, want: ErrCoordinatorFenced}},
		"zombie's marker on a follower":    {{marker: "commit", coord: 5}, {marker: "commit", coord: 4, origin: record.Replication}},
		"same coordinator":                 {{marker: "commit", coord: 5}, {marker: "commit", coord: 5}},
		"marker without data does no harm": {{marker: "abort"}, {marker: "commit"}},
	}
	for name, history := range tests {
		t.Run(name, func(t *testing.T) { run(t, history) })
	}
}

func run(t *testing.T, history []step) {
	t.Helper()
	s := New("t-0")
	for i, st := range history {
		var b record.Batch
		if st.marker != "" {
			b = marker(s.End(), 9, st.epoch, st.marker == "commit", st.coord)
			if st.origin == record.Client {
				st.origin = record.Coordinator
			}
		} else {
			b = data(t, s.End(), 9, st.epoch, st.seq, st.count, st.txn)
		}
		before, had := s.Entry(9)
		dup, _, err := apply(s, st.origin, b)
		if !errors.Is(err, st.want) || dup != st.wantDup {
			t.Fatalf("step %d: dup %v, error %v; want %v, %v", i, dup, err, st.wantDup, st.want)
		}
		if after, has := s.Entry(9); (err != nil || dup) && (has != had || after != before) {
			t.Errorf("step %d changed the state, though refused", i)
		}
	}
}

func TestDuplicateReturnsFirstAppend(t *testing.T) {
	s := New("t-0")
	s.SetEnd(50)
	if _, _, err := apply(s, record.Client, data(t, 50, 9, 0, 4, 3, false)); err != nil {
		t.Fatal(err)
	}
	first, dup, err := s.Prepare(record.Client, false).Add(data(t, 53, 9, 0, 4, 3, false), 0)
	if err != nil || !dup || first.FirstOffset() != 50 || first.LastOffset != 52 || first.Timestamp != 1052 || first.FirstSequence() != 4 {
		t.Errorf("Add = %+v, %v, %v", first, dup, err)
	}
}

func TestKafkasTexts(t *testing.T) {
	s := New("t-0")
	if _, _, err := apply(s, record.Client, data(t, 0, 9, 2, 0, 3, false)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		batch record.Batch
		want  string
	}{
		{data(t, 3, 9, 2, 7, 1, false), "Out of order sequence number for producer 9 at offset 3 in partition t-0: 7 (incoming seq. number), 2 (current end sequence number)"},
		{data(t, 3, 9, 1, 3, 1, false), "Epoch of producer 9 at offset 3 in t-0 is 1, which is smaller than the last seen epoch 2"},
	} {
		if _, _, err := s.Prepare(record.Client, false).Add(tt.batch, 0); err == nil || err.Error() != tt.want {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

func TestUnstableOffsets(t *testing.T) {
	s := New("t-0")
	unstable := func(want int64) {
		t.Helper()
		got, ok := s.FirstUnstableOffset()
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("FirstUnstableOffset = %d, %v, want %d", got, ok, want)
		}
	}
	add := func(b record.Batch) []CompletedTxn {
		t.Helper()
		_, ended, err := apply(s, record.Replication, b)
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	unstable(-1)
	add(data(t, 0, 1, 0, 0, 2, true))
	add(data(t, 2, 2, 0, 0, 3, true))
	unstable(0)
	if ts, ok := s.OldestTxnTimestamp(); !ok || ts != 1001 {
		t.Errorf("OldestTxnTimestamp = %d, %v", ts, ok)
	}
	got := add(marker(5, 1, 0, false, 1))
	if want := []CompletedTxn{{ProducerID: 1, FirstOffset: 0, LastOffset: 5, Aborted: true, LastStableOffset: 2}}; !slices.Equal(got, want) {
		t.Errorf("completed %+v, want %+v", got, want)
	}
	unstable(0) // the marker is not replicated yet
	s.SetHighWatermark(5)
	unstable(0)
	s.SetHighWatermark(6)
	unstable(2)
	if first, ok := s.FirstUndecidedOffset(); !ok || first != 2 {
		t.Errorf("FirstUndecidedOffset = %d, %v", first, ok)
	}
	got = add(marker(6, 2, 0, true, 1))
	if want := []CompletedTxn{{ProducerID: 2, FirstOffset: 2, LastOffset: 6, LastStableOffset: 7}}; !slices.Equal(got, want) {
		t.Errorf("completed %+v, want %+v", got, want)
	}
	unstable(2)
	if _, ok := s.FirstUndecidedOffset(); ok {
		t.Error("a transaction is still open")
	}
	s.SetLogStart(7)
	unstable(-1)
}

// A follower's append holds many batches of many producers, and is one append all the same.
func TestOneAppendOfManyBatches(t *testing.T) {
	s := New("t-0")
	a := s.Prepare(record.Replication, false)
	add := func(b record.Batch) {
		t.Helper()
		if _, dup, err := a.Add(b, 0); dup || err != nil {
			t.Fatal(dup, err)
		}
	}
	offset := int64(0)
	for pid := range int64(30) {
		add(data(t, offset, pid, 0, 0, 1, pid%2 == 0))
		offset++
	}
	for pid := range int64(30) {
		add(data(t, offset, pid, 0, 1, 1, pid%2 == 0))
		offset++
	}
	add(marker(offset, 4, 0, false, 1))
	add(data(t, offset+1, 4, 0, 2, 1, true)) // its next transaction
	if s.Len() != 0 {
		t.Error("Add changed the state before Commit")
	}
	var ended []CompletedTxn
	if err := s.Commit(a, func(c CompletedTxn) error { ended = append(ended, c); return nil }); err != nil {
		t.Fatal(err)
	}
	if s.Len() != 30 || len(ended) != 1 || ended[0].FirstOffset != 4 || ended[0].LastStableOffset != 0 {
		t.Errorf("%d producers, completed %+v", s.Len(), ended)
	}
	if e, _ := s.Entry(4); e.TxnFirstOffset != offset+1 || e.LastSequence() != 2 || len(e.Batches()) != 3 {
		t.Errorf("producer 4: %+v", e)
	}
	if err := s.Commit(a, nil); err != nil || s.Len() != 30 {
		t.Error("a second Commit changes something")
	}
}

func TestVerification(t *testing.T) {
	s := New("t-0")
	add := func(seq int32, guard Guard) error {
		a := s.Prepare(record.Client, true)
		b := data(t, s.End(), 9, 0, seq, 1, true)
		if _, _, err := a.Add(b, guard); err != nil {
			return err
		}
		s.SetEnd(b.NextOffset())
		return s.Commit(a, nil)
	}
	if err := add(0, 0); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("without a guard: %v", err)
	}
	guard := s.StartVerification(9, 2, 0, 100)
	if again := s.StartVerification(9, 1, 0, 100); again != guard || guard == 0 {
		t.Errorf("guards %d and %d", guard, again)
	}
	if err := add(2, guard); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Errorf("not the lowest sequence that asked: %v", err)
	}
	if err := add(1, guard); err != nil {
		t.Errorf("with its guard: %v", err)
	}
	if err := add(2, 0); err != nil {
		t.Errorf("once the transaction has data: %v", err)
	}
	if g := s.StartVerification(9, 3, 0, 100); g != 0 {
		t.Errorf("guard %d for an open transaction", g)
	}
	if _, _, err := apply(s, record.Coordinator, marker(s.End(), 9, 0, false, 1)); err != nil {
		t.Fatal(err)
	}
	if err := add(3, guard); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("a guard of an ended transaction: %v", err)
	}
	next := s.StartVerification(9, 5, 0, 100)
	if next == guard {
		t.Error("a guard came twice")
	}
	if g := s.StartVerification(9, 8, 1, 100); g != next { // a new epoch has its own lowest sequence
		t.Errorf("guard %d, want %d", g, next)
	}
	s.Expire(200, 100)
	if err := add(3, next); !errors.Is(err, ErrInvalidTxnState) {
		t.Errorf("an expired guard: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	s := New("t-0")
	for pid, txn := range map[int64]bool{1: false, 2: true} {
		if _, _, err := apply(s, record.Client, data(t, pid, pid, 0, 0, 1, txn)); err != nil {
			t.Fatal(err)
		}
	}
	s.Expire(1001+499, 500)
	if s.Len() != 2 {
		t.Fatal("expired too early")
	}
	s.Expire(1001+500, 500)
	if _, ok := s.Entry(1); ok || s.Len() != 1 {
		t.Error("producer 1 has not expired, or 2 has, with an open transaction")
	}
	if _, _, err := apply(s, record.Client, data(t, 3, 1, 0, 17, 1, false)); err != nil {
		t.Errorf("an expired producer goes on with any sequence: %v", err)
	}
}

// The bytes come from Kafka's ProducerStateManager.
const snapshotHex = "0001d4bce2cc00000002" +
	"000000000000004d00030000000a00000000000000060000000100000000000003ed000000080000000000000005" +
	"000000000000004e0000ffffffffffffffffffffffff000000000000000000000384ffffffffffffffffffffffff"

func TestSnapshotVector(t *testing.T) {
	want, err := hex.DecodeString(snapshotHex)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := ParseSnapshot(want)
	if err != nil {
		t.Fatal(err)
	}
	s := New("t-0")
	s.Load(entries, 7, 0, math.MaxInt64)
	if got := s.AppendSnapshot([]byte("x")); !bytes.Equal(got[1:], want) {
		t.Errorf("AppendSnapshot = %x, want %x", got[1:], want)
	}
	e, _ := s.Entry(77)
	if b, ok := e.LastBatch(); !ok || e.Epoch != 3 || b.LastSequence != 10 || b.FirstOffset() != 5 || e.CoordinatorEpoch != 8 || e.Timestamp != 1005 {
		t.Errorf("entry %+v", e)
	}
	if first, ok := s.FirstUnstableOffset(); !ok || first != 5 || s.End() != 7 {
		t.Errorf("FirstUnstableOffset = %d, %v, End %d", first, ok, s.End())
	}
	s.Load(entries, 7, 2000, 1000)
	if _, ok := s.Entry(78); ok || s.Len() != 1 {
		t.Error("an expired producer was loaded, or one with an open transaction was not")
	}
	s.Reset(3)
	if !s.IsEmpty() || s.End() != 3 {
		t.Error("Reset leaves something")
	}
	if _, ok := s.FirstUnstableOffset(); ok {
		t.Error("Reset leaves a transaction")
	}
}

func TestCorruptSnapshots(t *testing.T) {
	good, _ := hex.DecodeString(snapshotHex)
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 1
		if _, err := ParseSnapshot(bad); !errors.Is(err, ErrCorruptSnapshot) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
	}
	for n := range good {
		if _, err := ParseSnapshot(good[:n]); !errors.Is(err, ErrCorruptSnapshot) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// After a restart the state comes from a snapshot and the batches behind it. Random histories must
// end in what the state was before, but for the older batches of each producer's window.
func TestReplayFromSnapshot(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 5))
		s, log := New("t-0"), []record.Batch(nil)
		var snapshot []byte
		var at int
		var end int64
		next := map[int64]int32{}
		for i := range 60 {
			pid := rng.Int64N(4)
			e, _ := s.Entry(pid)
			b := data(t, s.End(), pid, 0, next[pid], 1+rng.IntN(3), pid < 2)
			if e.HasOpenTxn() && rng.IntN(3) == 0 {
				b = marker(s.End(), pid, 0, rng.IntN(2) == 0, 1)
			}
			if _, _, err := apply(s, record.Client, b); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
			if !b.IsControl() {
				next[pid] += b.Count()
			}
			log = append(log, b)
			if rng.IntN(20) == 0 {
				snapshot, at, end = s.AppendSnapshot(nil), len(log), s.End()
			}
		}
		replayed := New("t-0")
		if snapshot != nil {
			entries, err := ParseSnapshot(snapshot)
			if err != nil {
				t.Fatal(err)
			}
			replayed.Load(entries, end, 0, math.MaxInt64)
		}
		for _, b := range log[at:] {
			if _, _, err := apply(replayed, record.Replication, b); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if !bytes.Equal(replayed.AppendSnapshot(nil), s.AppendSnapshot(nil)) || replayed.End() != s.End() {
			t.Fatalf("seed %d: replay ends in another state", seed)
		}
		a, _ := s.FirstUndecidedOffset()
		if b, _ := replayed.FirstUndecidedOffset(); a != b {
			t.Fatalf("seed %d: first undecided offset %d after replay, was %d", seed, b, a)
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	good, _ := hex.DecodeString(snapshotHex)
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ParseSnapshot(data)
		if err != nil {
			return
		}
		s := New("t-0")
		s.Load(entries, 0, 0, math.MaxInt64)
		once := s.AppendSnapshot(nil)
		if entries, err = ParseSnapshot(once); err != nil {
			t.Fatal(err)
		}
		s.Load(entries, 0, 0, math.MaxInt64)
		if !bytes.Equal(s.AppendSnapshot(nil), once) {
			t.Error("a snapshot changes when it is read and written again")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s := New("t-0")
	batch := data(b, 0, 9, 0, 0, 1, false)
	if _, _, err := apply(s, record.Client, batch); err != nil {
		b.Fatal(err)
	}
	// The same batch with other sequences would be built anew each time, so a coordinator sends it.
	b.ReportAllocs()
	for b.Loop() {
		a := s.Prepare(record.Coordinator, true)
		if _, _, err := a.Add(batch, 0); err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(a, nil); err != nil {
			b.Fatal(err)
		}
	}
}
