package storage

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

const crashSteps = 60

// faultStep returns 1 if every fault of a campaign is injected, n if one of n is. What becomes of the files is the same
// under the race detector, which takes eight times as long and needs but a share of the faults to see every path; all
// are injected without it.
func faultStep() int64 {
	if raceEnabled {
		return 8
	}
	return 1
}

// TestCrash cuts the power before every single operation of a workload that changes files, and checks
// what is found when the broker is back.
func TestCrash(t *testing.T) {
	seeds := []uint64{11, 16, 19, 35, 127, 135, 1101, 1107, 2053, 3001, 3115, 3423}
	if testing.Short() {
		seeds = seeds[:1]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			total, step := countOps(t, seed), faultStep()
			for n := int64(seed) % step; n < total; n += step {
				crashAt(t, seed, n)
				if t.Failed() {
					return
				}
			}
		})
	}
}

// countOps runs the workload undisturbed.
func countOps(t *testing.T, seed uint64) int64 {
	t.Helper()
	faulty := vfs.NewFaulty(vfs.NewMem(), nil)
	w := newWorkload(t, seed, faulty)
	if err := w.run(crashSteps); err != nil {
		t.Fatal(err)
	}
	if err := checkLog(w.l, &w.model); err != nil {
		t.Fatal(err)
	}
	total := faulty.Ops()
	w.m.Close()
	return total
}

func crashAt(t *testing.T, seed uint64, n int64) {
	t.Helper()
	mem := vfs.NewMem()
	w := newWorkload(t, seed, vfs.NewFaulty(mem, vfs.CrashAfter(n)))
	err := w.run(crashSteps)
	if errors.Is(err, errWorkload) {
		t.Errorf("seed %d op %d: %v", seed, n, err)
		return
	}
	for variant := range uint64(4) {
		var rng *rand.Rand // nil: only what was synced is left
		if variant > 0 {
			rng = rand.New(rand.NewPCG(seed, uint64(n)<<8|variant))
		}
		if err := checkAfterCrash(t, mem.CrashClone(rng), w, false); err != nil {
			t.Errorf("seed %d op %d variant %d: %v", seed, n, variant, err)
		}
	}
	if w.m != nil {
		w.m.abandon()
	}
	// The same moment, but only the process died: what was written is there.
	if err := checkAfterCrash(t, mem, w, true); err != nil {
		t.Errorf("seed %d op %d killed: %v", seed, n, err)
	}
}

// checkAfterCrash opens what a crash left and compares it with the model before or after the step in
// which it happened. kept says that no write was lost.
func checkAfterCrash(t testing.TB, fsys vfs.FS, w *workload, kept bool) error {
	t.Helper()
	c := &workload{t: t, fsys: fsys, dirs: w.dirs}
	if err := c.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if c.m != nil {
			c.m.Close()
		}
	}()
	if c.l == nil {
		if w.before.flushed > w.before.start && w.model.flushed > w.model.start {
			return errors.New("the log is gone")
		}
		return nil
	}
	var errs error
	for _, m := range []*model{&w.before, &w.model} {
		err := checkSurvivor(c.l, m, w, kept)
		if err == nil {
			return checkUsable(c, m)
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// checkSurvivor says what of l cannot come from m by losing unsynced writes.
func checkSurvivor(l *Log, m *model, w *workload, kept bool) error {
	flushed := min(w.before.flushed, w.model.flushed)
	least := flushed
	switch {
	case w.removing:
		least = 0
	case kept:
		least = min(w.before.end, w.model.end)
	}
	start, end := l.StartOffset(), l.EndOffset()
	switch {
	case end > m.end:
		return fmt.Errorf("log ends at %d, model at %d", end, m.end)
	case end < least:
		return fmt.Errorf("log ends at %d, %d was safe", end, least)
	case start > max(m.start, least) && !w.removing:
		return fmt.Errorf("log starts at %d, model at %d", start, m.start)
	case l.HighWatermark() > max(m.hw, w.before.hw, start):
		return fmt.Errorf("high watermark %d, model %d", l.HighWatermark(), m.hw)
	case l.HighWatermark() < start || l.HighWatermark() > end:
		return fmt.Errorf("high watermark %d in log of %d to %d", l.HighWatermark(), start, end)
	}
	return checkLog(l, m)
}

// checkLog compares what l holds with the model, which may hold more at either end.
func checkLog(l *Log, m *model) error {
	start, end := l.StartOffset(), l.EndOffset()
	got, err := readBatches(l, start, end)
	if err != nil {
		return err
	}
	var want []record.Batch
	for _, b := range m.batches {
		if b.NextOffset() > start && b.BaseOffset() < end {
			want = append(want, b)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("log of %d to %d holds %d batches, model %d", start, end, len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			return fmt.Errorf("batch %d of %d at offset %d differs from the model's at %d", i, len(got), got[i].BaseOffset(), want[i].BaseOffset())
		}
	}
	if n := len(want); n > 0 && want[n-1].NextOffset() != end {
		return fmt.Errorf("last batch ends at %d, log at %d", want[n-1].NextOffset(), end)
	}
	if err := checkIndexes(l, want); err != nil {
		return err
	}
	return checkDerived(l, m, want)
}

// checkIndexes finds every batch by its offset and by its timestamp.
func checkIndexes(l *Log, batches []record.Batch) error {
	start := l.StartOffset()
	for i, b := range batches {
		data, err := fetch(l, max(start, b.BaseOffset()), 1, l.EndOffset())
		if err != nil {
			return fmt.Errorf("read at %d: %w", b.BaseOffset(), err)
		}
		if !bytes.Equal(data, b) {
			return fmt.Errorf("read at %d finds %d bytes, not batch %d of %d bytes", b.BaseOffset(), len(data), i, len(b))
		}
		ts := b.MaxTimestamp()
		found, ok, err := l.LookupTimestamp(ts)
		want := firstAt(batches, start, ts) // -1: compaction has left only the header
		if err != nil || ok != (want >= 0) {
			return fmt.Errorf("timestamp %d of %d found: %v, is at %d (%v)", ts, b.BaseOffset(), ok, want, err)
		}
		if ok && found.Offset != want {
			return fmt.Errorf("timestamp %d found at %d, is at %d", ts, found.Offset, want)
		}
	}
	return nil
}

func firstAt(batches []record.Batch, start, ts int64) int64 {
	for _, b := range batches {
		for r, err := range b.Records() {
			if err == nil && r.Offset >= start && r.Timestamp >= ts {
				return r.Offset
			}
		}
	}
	return -1
}

// checkDerived compares leader epochs, producer state and aborted transactions with what the batches
// say.
func checkDerived(l *Log, m *model, batches []record.Batch) error {
	start, end := l.StartOffset(), l.EndOffset()
	for _, b := range batches {
		if e := l.EpochAt(max(start, b.BaseOffset())); e != b.LeaderEpoch() {
			return fmt.Errorf("epoch at %d is %d, should be %d (%v)", b.BaseOffset(), e, b.LeaderEpoch(), l.epochs.Entries())
		}
	}
	want, aborted := m.producers(end)
	got := map[int64]ProducerState{}
	for _, p := range l.Producers() {
		e, ok := want.Entry(p.ProducerID)
		if !ok {
			return fmt.Errorf("unknown producer %+v", p)
		}
		// Of a producer whose batches were deleted only a marker may be left to tell of it.
		forgotten := p.LastSequence == -1 && e.LastDataOffset() < start
		cutOff := p.TxnStartOffset > e.TxnFirstOffset && e.TxnFirstOffset < start && e.TxnFirstOffset >= 0
		if p.LastSequence != e.LastSequence() && !forgotten || p.TxnStartOffset != e.TxnFirstOffset && !cutOff || p.LastTimestamp != e.Timestamp {
			return fmt.Errorf("producer %+v, should be %+v", p, e)
		}
		got[p.ProducerID] = p
	}
	for _, b := range batches {
		if _, ok := got[b.ProducerID()]; b.HasProducerID() && !ok {
			return fmt.Errorf("producer %d of batch %d is unknown", b.ProducerID(), b.BaseOffset())
		}
	}
	if err := checkStable(l, want); err != nil {
		return err
	}
	return checkAborted(l, batches, aborted)
}

// checkStable compares the last stable offset with what the producers' state says, which is no longer needed. That a
// marker lies above the high watermark may be forgotten in a restart, as in Kafka: its transaction is decided all the same.
func checkStable(l *Log, producers *producer.State) error {
	hw := l.HighWatermark()
	most := hw
	if open, ok := producers.FirstUndecidedOffset(); ok && open >= l.StartOffset() {
		most = min(most, open)
	}
	producers.SetHighWatermark(hw)
	least := hw
	if unstable, ok := producers.FirstUnstableOffset(); ok {
		least = min(least, max(unstable, l.StartOffset()))
	}
	if got := l.LastStableOffset(); got < least || got > most {
		return fmt.Errorf("last stable offset %d, high watermark %d, should be from %d to %d", got, hw, least, most)
	}
	return nil
}

// checkAborted asks for each batch of an aborted transaction as if it was all that was read.
func checkAborted(l *Log, batches []record.Batch, aborted []producer.CompletedTxn) error {
	for _, b := range batches {
		list, err := l.AbortedTransactions(b.BaseOffset(), int64(len(b)), l.EndOffset())
		if err != nil {
			return err
		}
		for _, t := range aborted {
			if b.IsControl() || b.ProducerID() != t.ProducerID || b.LastOffset() < t.FirstOffset || b.BaseOffset() > t.LastOffset {
				continue
			}
			// Of a transaction that began below the log's start, a recovery finds the rest only.
			if !slices.ContainsFunc(list, func(a AbortedTransaction) bool {
				return a.ProducerID == t.ProducerID && (a.FirstOffset == t.FirstOffset ||
					t.FirstOffset < l.StartOffset() && a.FirstOffset > t.FirstOffset && a.FirstOffset <= b.BaseOffset())
			}) {
				return fmt.Errorf("aborted transaction %+v of batch %d is not among %v", t, b.BaseOffset(), list)
			}
		}
	}
	return nil
}

// checkUsable goes on with the log: an append, a clean stop, a start.
func checkUsable(c *workload, m *model) error {
	next := m.clone()
	end := c.l.EndOffset()
	if end < next.end {
		next.truncate(end)
	}
	next.start = c.l.StartOffset()
	next.hw = c.l.HighWatermark()
	next.epoch++
	c.model = next
	if err := c.lead(batch(c.t, batchOpts{count: 2, timestamp: testNow}), record.Client); err != nil {
		return fmt.Errorf("append after the crash: %w", err)
	}
	if err := c.reopen(); err != nil {
		return fmt.Errorf("stop after the crash: %w", err)
	}
	if err := c.agree(); err != nil {
		return err
	}
	return checkLog(c.l, &c.model)
}

// TestInjectedErrors fails every single operation of the workload once. The step must fail, the
// directory go offline, and what was acknowledged be there after a restart.
func TestInjectedErrors(t *testing.T) {
	injected := errors.New("injected")
	for _, seed := range []uint64{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18} {
		total, step := countOps(t, seed), faultStep()
		for n := int64(seed) % step; n < total; n += step {
			mem := vfs.NewMem()
			w := newWorkload(t, seed, vfs.NewFaulty(mem, func(op vfs.Op) error {
				if op.Index == n {
					return injected
				}
				return nil
			}))
			err := w.run(crashSteps)
			if errors.Is(err, errWorkload) {
				t.Fatalf("seed %d op %d: %v", seed, n, err)
			}
			if err == nil && w.m.dirs[0].offline.Load() {
				t.Fatalf("seed %d op %d: every step succeeded on a failed directory", seed, n)
			}
			if err == nil {
				t.Fatalf("seed %d op %d: the error went unnoticed", seed, n)
			}
			if !errors.Is(err, ErrStorage) && !errors.Is(err, injected) {
				t.Fatalf("seed %d op %d: %v", seed, n, err)
			}
			if w.m != nil {
				if !w.m.dirs[0].offline.Load() {
					t.Fatalf("seed %d op %d: directory is online after %v", seed, n, err)
				}
				if w.l != nil {
					if _, err := w.l.AppendLeader(batch(t, batchOpts{}), AppendOptions{Now: testNow}); !errors.Is(err, ErrStorage) && !errors.Is(err, ErrClosed) {
						t.Fatalf("seed %d op %d: append on a failed directory: %v", seed, n, err)
					}
				}
				w.m.abandon()
			}
			if err := checkAfterCrash(t, mem, w, true); err != nil {
				t.Fatalf("seed %d op %d: %v", seed, n, err)
			}
		}
	}
}
