package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

const cleanSteps = 90

// compactedCrashConfig has a tombstone go with the second or third cleaning that sees it.
func compactedCrashConfig() LogConfig {
	c := crashConfig()
	c.Compact, c.Delete = true, false
	c.SegmentBytes = 500
	c.MinCleanableRatio = 0.01
	c.DeleteRetentionMs = 200
	return c
}

// TestCleanCrash cuts the power before every single operation of the cleanings of a workload, and before some of the
// others, which TestCrash looks at, and checks that who reads what is left comes to the same as who reads all that was
// ever written.
func TestCleanCrash(t *testing.T) {
	for _, seed := range []uint64{21} { // 1023, 1182, 1345 and 1614 clean as often
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			faulty := vfs.NewFaulty(vfs.NewMem(), nil)
			w := newCleanWorkload(t, seed, faulty)
			if err := w.run(cleanSteps); err != nil {
				t.Fatal(err)
			}
			if err := w.check(w.l, &w.model); err != nil {
				t.Fatal(err)
			}
			w.m.Close()
			if w.cleanings < 6 {
				t.Fatalf("%d cleanings", w.cleanings)
			}
			chosen, step := int64(0), faultStep()
			for n := range faulty.Ops() {
				if !w.cleaning[n] && n%16 != 0 {
					continue
				}
				if chosen++; chosen%step != 0 {
					continue
				}
				cleanCrashAt(t, seed, n)
				if t.Failed() {
					return
				}
			}
		})
	}
}

func cleanCrashAt(t *testing.T, seed uint64, n int64) {
	t.Helper()
	mem := vfs.NewMem()
	w := newCleanWorkload(t, seed, vfs.NewFaulty(mem, vfs.CrashAfter(n)))
	if err := w.run(cleanSteps); errors.Is(err, errWorkload) {
		t.Errorf("seed %d op %d: %v", seed, n, err)
		return
	}
	for variant := range uint64(2) {
		var rng *rand.Rand // nil: only what was synced is left
		if variant > 0 {
			rng = rand.New(rand.NewPCG(seed, uint64(n)<<8|variant))
		}
		if err := w.checkAfterCrash(mem.CrashClone(rng), false); err != nil {
			t.Errorf("seed %d op %d variant %d: %v", seed, n, variant, err)
		}
	}
	if w.m != nil {
		w.m.abandon()
	}
	if err := w.checkAfterCrash(mem, true); err != nil {
		t.Errorf("seed %d op %d killed: %v", seed, n, err)
	}
}

// cleanWorkload appends keyed records, values and tombstones, in and out of transactions, and cleans. Its model has all
// that was ever appended.
type cleanWorkload struct {
	*workload
	cleanings int
	truncated bool           // records that a cleaning had seen may have been cut off
	cleaning  map[int64]bool // operations of the file system that belong to a cleaning
}

func newCleanWorkload(t testing.TB, seed uint64, fsys vfs.FS) *cleanWorkload {
	w := newWorkload(t, seed, fsys)
	w.compacted, w.clock = true, clock{testNow}
	return &cleanWorkload{workload: w, cleaning: map[int64]bool{}}
}

// run does n steps, or ends with the first error.
func (w *cleanWorkload) run(n int) error {
	w.before = w.model.clone()
	if err := w.open(); err != nil {
		return err
	}
	c := compactedCrashConfig()
	l, err := w.m.Create(orders, CreateOptions{New: true, Config: &c, TopicID: [16]byte{1}})
	if err != nil {
		return err
	}
	w.l = l
	for range n {
		w.clock.now += 30
		w.before = w.model.clone()
		if err := w.step(); err != nil {
			return err
		}
		if err := w.agree(); err != nil {
			return err
		}
	}
	w.before = w.model.clone()
	return w.reopen()
}

func (w *cleanWorkload) step() error {
	switch n := w.rng.IntN(100); {
	case n < 36:
		return w.appendKeyed()
	case n < 50:
		return w.appendKeyedTxn()
	case n < 62:
		w.model.hw = w.l.SetHighWatermark(w.model.end)
		return nil
	case n < 65:
		w.model.flushed = w.model.end
		return w.l.Flush()
	case n < 69:
		before := w.l.RecoveryPoint()
		w.m.env.flush.drain(context.Background())
		return w.flushed(before)
	case n < 83:
		return w.clean()
	case n < 87:
		return w.truncateUnreplicated()
	case n < 92:
		w.m.env.sched.runDue(context.Background())
		return w.l.online()
	case n < 96:
		return w.checkpoint(92 + n%4)
	}
	return w.reopen()
}

// flushed takes note of what was flushed.
func (w *cleanWorkload) flushed(before int64) error {
	if point := w.l.RecoveryPoint(); point > before {
		w.model.flushed = max(w.model.flushed, point)
	}
	return w.l.online()
}

// ops returns how many operations there were.
func (w *cleanWorkload) ops() int64 {
	if faulty, ok := w.fsys.(*vfs.Faulty); ok {
		return faulty.Ops()
	}
	return 0
}

func (w *cleanWorkload) clean() error {
	before, upTo, from := w.l.RecoveryPoint(), w.l.cleaned.Load(), w.ops()
	cleanOnce(w.m)
	for ; from < w.ops(); from++ {
		w.cleaning[from] = true
	}
	if w.l.cleaned.Load() > upTo {
		w.cleanings++
	}
	if w.l.uncleanable.Load() {
		return fmt.Errorf("%w: the log cannot be cleaned", errWorkload)
	}
	return w.flushed(before)
}

// truncateUnreplicated follows another leader, which never cuts what is below the high watermark, nor, therefore, what
// was cleaned. It leaves the markers of aborted transactions: a log that was started again goes by those that are not
// replicated, as Kafka's does, for a coordinator that has decided writes its marker again until it is.
func (w *cleanWorkload) truncateUnreplicated() error {
	w.model.epoch++
	from := w.model.hw
	if _, aborted := w.model.producers(w.model.end); len(aborted) > 0 {
		from = max(from, aborted[len(aborted)-1].LastOffset+1)
	}
	offset := w.pick(w.model.boundaries(from))
	w.truncated = w.truncated || w.cleanings > 0 && offset < w.model.end
	w.model.truncate(offset)
	return w.l.TruncateTo(offset)
}

// records are one to four for one of six keys each; one in six is a tombstone.
func (w *cleanWorkload) records() []string {
	var all []string
	for range 1 + w.rng.IntN(4) {
		r := fmt.Sprintf("k%d", w.rng.IntN(6))
		if w.rng.IntN(6) > 0 {
			r += fmt.Sprintf("=%d.%d", w.model.end, w.rng.IntN(1000))
		}
		all = append(all, r)
	}
	return all
}

func (w *cleanWorkload) appendKeyed() error {
	o := batchOpts{timestamp: w.time()}
	if id := int64(w.rng.IntN(4)); id > 0 {
		o.producer = &record.ProducerInfo{ID: id, Sequence: w.nextSequence(id)}
	}
	return w.lead(keyed(w.t, o, w.records()...), record.Client)
}

// appendKeyedTxn continues, commits or aborts the transaction of one of two producers.
func (w *cleanWorkload) appendKeyedTxn() error {
	id := int64(10 + w.rng.IntN(2))
	s, _ := w.model.producers(w.model.end)
	if s.HasOpenTxn(id) && w.rng.IntN(6) > 0 {
		return w.lead(record.AppendMarker(nil, record.MarkerOptions{
			Marker: record.Marker{Commit: w.rng.IntN(2) == 0}, ProducerID: id, Timestamp: w.time(),
		}), record.Coordinator)
	}
	o := batchOpts{timestamp: w.time(), txn: true, producer: &record.ProducerInfo{ID: id, Sequence: w.nextSequence(id)}}
	return w.lead(keyed(w.t, o, w.records()...), record.Client)
}

// checkAfterCrash opens what a crash left, compares it with the model before or after the step in which it happened,
// and goes on with it.
func (w *cleanWorkload) checkAfterCrash(fsys vfs.FS, kept bool) error {
	c := newCleanWorkload(w.t, 1, fsys)
	c.dirs = w.dirs
	c.clock.now = w.clock.now + 1000 // all tombstones that were cleaned once are due
	if err := c.open(); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if c.m != nil {
			c.m.Close()
		}
	}()
	if c.l == nil {
		if min(w.before.flushed, w.model.flushed) > 0 {
			return errors.New("the log is gone")
		}
		return nil
	}
	var errs error
	for _, m := range []*model{&w.before, &w.model} {
		// A cleaning flushes before it changes anything.
		least := max(min(w.before.flushed, w.model.flushed), c.l.RecoveryPoint())
		if kept {
			least = min(w.before.end, w.model.end)
		}
		survived, err := w.survives(c.l, m, least)
		if err == nil {
			return c.goOn(survived)
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// survives says what of l cannot come from m by losing what is behind offset least, and returns what is left of m. Of
// what is behind it any batch may have been lost, since gaps in a compacted log mean nothing.
func (w *cleanWorkload) survives(l *Log, m *model, least int64) (*model, error) {
	if end := l.EndOffset(); end > m.end || end < least {
		return nil, fmt.Errorf("log ends at %d; model at %d, of which %d were safe", end, m.end, least)
	}
	if l.StartOffset() != 0 {
		return nil, fmt.Errorf("log starts at %d", l.StartOffset())
	}
	if cleaned := l.cleaned.Load(); cleaned > l.EndOffset() {
		return nil, fmt.Errorf("clean up to %d, but the log ends at %d", cleaned, l.EndOffset())
	}
	batches, err := readBatches(l, 0, l.EndOffset())
	if err != nil {
		return nil, err
	}
	left := m.clone()
	if left.end > l.EndOffset() {
		left.truncate(l.EndOffset())
	}
	left.batches = slices.DeleteFunc(left.batches, func(b record.Batch) bool {
		found := slices.ContainsFunc(batches, func(left record.Batch) bool { return left.BaseOffset() == b.BaseOffset() })
		return b.BaseOffset() >= least && !found
	})
	return &left, w.check(l, &left)
}

// goOn appends, cleans until nothing is dirty, and starts once more.
func (w *cleanWorkload) goOn(m *model) error {
	w.model = m.clone()
	w.model.epoch++
	for i := range 12 { // fills a segment
		if err := w.lead(keyed(w.t, batchOpts{timestamp: w.time()}, fmt.Sprintf("filler%d=0", i), "k0=last"), record.Client); err != nil {
			return fmt.Errorf("append after the crash: %w", err)
		}
	}
	w.model.hw = w.l.SetHighWatermark(w.model.end)
	cleanAll(w.m)
	if w.l.uncleanable.Load() {
		return errors.New("the log cannot be cleaned after the crash")
	}
	if err := w.check(w.l, &w.model); err != nil {
		return fmt.Errorf("cleaned after the crash: %w", err)
	}
	if err := w.reopen(); err != nil {
		return fmt.Errorf("stop after the crash: %w", err)
	}
	return w.check(w.l, &w.model)
}

// check compares what l holds with the model, which ends where l does.
func (w *cleanWorkload) check(l *Log, m *model) error {
	batches, err := readBatches(l, 0, l.EndOffset())
	if err != nil {
		return err
	}
	if err := subset(batches, m.batches); err != nil {
		return err
	}
	for i := 1; i < len(batches); i++ {
		if batches[i].BaseOffset() < batches[i-1].NextOffset() {
			return fmt.Errorf("batch at %d follows one up to %d", batches[i].BaseOffset(), batches[i-1].LastOffset())
		}
	}
	if err := checkIndexes(l, batches); err != nil {
		return err
	}
	if err := w.checkProducers(l, m, batches); err != nil {
		return err
	}
	got, err := consumeLog(l)
	if err != nil {
		return err
	}
	want := map[string]string{}
	consume(want, m.batches, abortedOf(m, l.EndOffset()))
	for _, key := range []string{"k0", "k1", "k2", "k3", "k4", "k5"} {
		if got[key] != want[key] {
			return fmt.Errorf("%s is %q for a consumer, was last written as %q (log ends at %d, cleaned up to %d)", key, got[key], want[key], l.EndOffset(), l.cleaned.Load())
		}
	}
	return nil
}

// subset reports what of batches was never written.
func subset(batches, written []record.Batch) error {
	type place struct {
		offset int64
		epoch  int32
	}
	all := map[place]string{}
	for _, b := range written {
		for r, err := range b.Records() {
			if err != nil {
				return err
			}
			all[place{r.Offset, b.LeaderEpoch()}] = fmt.Sprintf("%q %q %v", r.Key, r.Value, r.Value == nil)
		}
	}
	for _, b := range batches {
		for r, err := range b.Records() {
			if err != nil {
				return err
			}
			if got := fmt.Sprintf("%q %q %v", r.Key, r.Value, r.Value == nil); all[place{r.Offset, b.LeaderEpoch()}] != got {
				return fmt.Errorf("record at %d of epoch %d is %s, was %s", r.Offset, b.LeaderEpoch(), got, all[place{r.Offset, b.LeaderEpoch()}])
			}
		}
	}
	return nil
}

// checkProducers compares what is known of producers. Of each a cleaning keeps the last replicated batch; but after a start
// only the last one of all is known. If that is cut off, the one before is gone, and no snapshot need tell of it after a
// crash or a move.
func (w *cleanWorkload) checkProducers(l *Log, m *model, batches []record.Batch) error {
	want, _ := m.producers(l.EndOffset())
	got := map[int64]ProducerState{}
	for _, p := range l.Producers() {
		got[p.ProducerID] = p
	}
	for e := range want.All() {
		p, ok := got[e.ID]
		if !ok {
			p.LastSequence = -1
		}
		cleaned := !slices.ContainsFunc(batches, func(b record.Batch) bool { return b.LastOffset() == e.LastDataOffset() })
		if w.truncated && cleaned && e.TxnFirstOffset < 0 && p.LastSequence < e.LastSequence() {
			continue
		}
		if !ok || p.LastSequence != e.LastSequence() || p.TxnStartOffset != e.TxnFirstOffset {
			return fmt.Errorf("producer %+v, should be %+v", p, e)
		}
	}
	return nil
}

// abortedOf returns the transactions that the model has aborted below end.
func abortedOf(m *model, end int64) []AbortedTransaction {
	_, completed := m.producers(end)
	var aborted []AbortedTransaction
	for _, t := range completed {
		aborted = append(aborted, AbortedTransaction{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset})
	}
	return aborted
}

// consumeLog returns the last value of each key for a consumer that leaves out what was aborted, as clients do with
// each fetch.
func consumeLog(l *Log) (map[string]string, error) {
	state := map[string]string{}
	for from := int64(0); from < l.EndOffset(); {
		data, err := fetch(l, from, 1<<20, l.EndOffset())
		if err != nil || data == nil {
			return state, err
		}
		aborted, err := l.AbortedTransactions(from, int64(len(data)), l.EndOffset())
		if err != nil {
			return nil, err
		}
		var batches []record.Batch
		err = record.Each(data, func(b record.Batch) error {
			batches = append(batches, b)
			from = b.NextOffset()
			return nil
		})
		if err != nil {
			return nil, err
		}
		consume(state, batches, aborted)
	}
	return state, nil
}

// consume applies batches to the last values of keys.
func consume(state map[string]string, batches []record.Batch, aborted []AbortedTransaction) {
	slices.SortFunc(aborted, func(a, b AbortedTransaction) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	skip := map[int64]bool{}
	for _, b := range batches {
		for len(aborted) > 0 && aborted[0].FirstOffset <= b.LastOffset() {
			skip[aborted[0].ProducerID] = true
			aborted = aborted[1:]
		}
		if b.IsControl() {
			if marker, ok, err := b.Marker(); err == nil && ok && !marker.Commit {
				delete(skip, b.ProducerID())
			}
			continue
		}
		if b.IsTransactional() && skip[b.ProducerID()] {
			continue
		}
		for r, err := range b.Records() {
			if err != nil {
				panic(err)
			}
			if r.Value == nil {
				delete(state, string(r.Key))
				continue
			}
			state[string(r.Key)] = string(r.Value)
		}
	}
}
