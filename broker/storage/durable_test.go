package storage

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// The first aborted transaction makes a file of a segment that was flushed before.
func TestAbortedTransactionSurvivesPowerLoss(t *testing.T) {
	mem := vfs.NewMem()
	m := mustOpen(t, testOptions(mem))
	l := mustCreate(t, m, orders, crashConfig())
	appendRecords(t, l, 0, 1)
	if err := l.roll(); err != nil {
		t.Fatal(err)
	}
	begun := batch(t, batchOpts{txn: true, timestamp: testNow, producer: &record.ProducerInfo{ID: 7}})
	if _, err := l.AppendLeader(begun, AppendOptions{Now: testNow}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	aborted := record.AppendMarker(nil, record.MarkerOptions{ProducerID: 7, Timestamp: testNow})
	if _, err := l.AppendLeader(aborted, AppendOptions{Origin: record.Coordinator, Now: testNow}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Flush(), m.dirs[0].checkpointRecoveryPoints()); err != nil {
		t.Fatal(err)
	}
	if err := l.roll(); err != nil { // so that the next start does not look at the segment
		t.Fatal(err)
	}
	for seed := range uint64(50) {
		left := mem.CrashClone(rand.New(rand.NewPCG(seed, 1)))
		l := mustOpen(t, testOptions(left)).Log(orders)
		got, err := l.AbortedTransactions(1, 100, l.EndOffset())
		if err != nil || len(got) != 1 || got[0].ProducerID != 7 || l.EndOffset() != 3 {
			t.Fatalf("seed %d: log to %d with aborted transactions %v, %v", seed, l.EndOffset(), got, err)
		}
	}
}

// The last entry of the time index of a sealed segment may be written after the flush of its records. A kill leaves it in
// the memory of the system, where the next process finds it, and a later power loss must not take it.
func TestTimeIndexSurvivesKillAndPowerLoss(t *testing.T) {
	mem := vfs.NewMem()
	x := newMortal(t, mem, crashConfig())
	const last = 9
	for range last + 1 {
		appendRecords(t, x.l, 0, 1)
	}
	newest := batch(t, batchOpts{timestamp: testNow + 1000})
	if _, err := x.l.AppendLeader(newest, AppendOptions{Now: testNow}); err != nil {
		t.Fatal(err)
	}
	appendRecords(t, x.l, 0, 1)
	x.flush()
	if err := x.l.roll(); err != nil {
		t.Fatal(err)
	}
	x.again()
	appendRecords(t, x.l, 0, 1)
	x.flush()
	if err := x.l.roll(); err != nil {
		t.Fatal(err)
	}
	x.flush()
	appendRecords(t, x.l, 0, 1)
	x.flush()
	left := mem.CrashClone(nil)
	x.m.abandon()
	l := mustOpen(t, testOptions(left)).Log(orders)
	found, ok, err := l.LookupTimestamp(testNow + 1000)
	if err != nil || !ok || found.Offset != last+1 {
		t.Errorf("the record of offset %d is found at %+v, %v, %v", last+1, found, ok, err)
	}
}

// A start after a kill makes the indexes of the last segment anew. If all of it is below the recovery point nobody looks
// there again once another segment has begun.
func TestIndexesMadeAnewSurvivePowerLoss(t *testing.T) {
	for seed := range uint64(100) {
		mem := vfs.NewMem()
		x := newMortal(t, mem, crashConfig())
		newest := batch(t, batchOpts{timestamp: testNow + 1000})
		if _, err := x.l.AppendLeader(newest, AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
		for range 9 {
			appendRecords(t, x.l, 0, 1)
		}
		x.flush()
		x.again()
		if err := x.l.roll(); err != nil {
			t.Fatal(err)
		}
		appendRecords(t, x.l, 0, 1)
		left := mem.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		x.m.abandon()
		l := mustOpen(t, testOptions(left)).Log(orders)
		found, ok, err := l.LookupTimestamp(testNow + 1000)
		if err != nil || !ok || found.Offset != 0 {
			t.Fatalf("seed %d: the newest record, of offset 0, is found at %+v, %v, %v", seed, found, ok, err)
		}
	}
}

// A recovery that finds the log to end below its recovery point takes that back on disk: what is appended up to there
// is in doubt after the next crash. So it does with the high watermark: what is appended up to there need not be replicated.
func TestOffsetsBeyondTheEndAreTakenBack(t *testing.T) {
	mem := vfs.NewMem()
	x := newMortal(t, mem, crashConfig())
	for range 8 {
		appendRecords(t, x.l, 0, 1)
	}
	x.l.SetHighWatermark(8)
	x.flush()
	if err := x.m.dirs[0].checkpointHighWatermarks(); err != nil {
		t.Fatal(err)
	}
	x.m.abandon()
	cut(t, mem, name(0, segment.LogExt), 150)
	x.start()
	defer x.m.abandon()
	end := x.l.EndOffset()
	for _, name := range []string{checkpoint.RecoveryPoints, checkpoint.HighWatermarks} {
		offsets, err := checkpoint.ReadOffsets(mem, "data/"+name)
		if offset := offsets[orders]; err != nil || end >= 8 || offset > end {
			t.Errorf("the log ends at %d, %s has %d, %v", end, name, offset, err)
		}
	}
}

// Once a segment is deleted only the snapshot behind it knows of the producers in it.
func TestProducersOfDeletedSegmentsSurvivePowerLoss(t *testing.T) {
	for seed := range uint64(100) {
		mem := vfs.NewMem()
		x := newMortal(t, mem, crashConfig())
		l := x.l
		first := batch(t, batchOpts{producer: &record.ProducerInfo{ID: 7}, count: 3, timestamp: testNow})
		if _, err := l.AppendLeader(first, AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.Flush(), l.roll()); err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 0, 1)
		l.SetHighWatermark(l.EndOffset())
		_, err := l.IncrementStartOffset(3)
		n, deleteErr := l.deleteOldSegments(testNow)
		if err := errors.Join(err, deleteErr); err != nil || n != 1 {
			t.Fatalf("%d segments deleted: %v", n, err)
		}
		left := mem.CrashClone(rand.New(rand.NewPCG(seed, 0)))
		x.m.abandon()
		l = mustOpen(t, testOptions(left)).Log(orders)
		if got := l.Producers(); len(got) != 1 || got[0].LastSequence != 2 {
			t.Fatalf("seed %d: the log from %d on knows of the producers %+v", seed, l.StartOffset(), got)
		}
	}
}

// A process that was killed while it made its log directory leaves it to the next one, which finds it there.
func TestDirectoryOfAKilledProcessIsDurable(t *testing.T) {
	mem := vfs.NewMem()
	killed := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpSyncDir {
			return vfs.ErrCrashed
		}
		return nil
	})
	if _, err := open(testOptions(killed, "disk/data")); !errors.Is(err, vfs.ErrCrashed) {
		t.Fatal(err)
	}
	m := mustOpen(t, testOptions(mem, "disk/data"))
	l := mustCreate(t, m, orders, crashConfig())
	appendRecords(t, l, 0, 1)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	left := mem.CrashClone(nil)
	if l = mustOpen(t, testOptions(left, "disk/data")).Log(orders); l == nil || l.EndOffset() != 1 {
		t.Errorf("the log is gone with its directory: %+v", l)
	}
}

// roll begins a new segment.
func (l *Log) roll() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rollLocked(l.end.Load())
}
