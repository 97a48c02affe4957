package storage

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A kill in a truncation leaves names removed, but not durably. A power loss may bring back what they named, behind
// records that were appended since, in a later epoch: those stay, and what has come back goes.
func TestWhatWasCutOffDoesNotComeBack(t *testing.T) {
	for _, appended := range []int{1, 5} { // beyond where the old segment begins, and to where it ended
		t.Run(fmt.Sprint(appended), func(t *testing.T) {
			mem := vfs.NewMem()
			killed := false
			x := newMortal(t, vfs.NewFaulty(mem, func(op vfs.Op) error {
				if killed && op.Kind == vfs.OpSyncDir {
					return vfs.ErrCrashed
				}
				return nil
			}), crashConfig())
			l := x.l
			for range 2 {
				for range 5 {
					appendRecords(t, l, 1, 1)
				}
				if err := l.roll(); err != nil {
					t.Fatal(err)
				}
			}
			for range 5 {
				appendRecords(t, l, 1, 1)
			}
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			killed = true
			if err := l.TruncateTo(8); !errors.Is(err, vfs.ErrCrashed) {
				t.Fatal(err)
			}
			x.opts.FS = mem
			x.again()
			l = x.l
			if l.EndOffset() != 10 {
				t.Fatalf("the log ends at %d", l.EndOffset())
			}
			for range appended {
				appendRecords(t, l, 2, 1)
			}
			if err := syncFile(mem, name(5, segment.LogExt)); err != nil {
				t.Fatal(err)
			}
			left := mem.CrashClone(nil)
			x.m.abandon()
			l = mustOpen(t, testOptions(left)).Log(orders)
			batches := readAll(t, l, 0, l.EndOffset())
			if end := int64(10 + appended); l.EndOffset() != end || int64(len(batches)) != end {
				t.Errorf("the log ends at %d with %d records, should at %d", l.EndOffset(), len(batches), end)
			}
			if record.Batch(batches[len(batches)-1]).LeaderEpoch() != 2 {
				t.Error("the last record is of an epoch that was cut off")
			}
		})
	}
}

// A recovery that is killed once it has cut a segment leaves nothing that tells of the cut. In a log that was compacted
// the next one would take what was lost there for compacted away, and keep what was behind it.
func TestKilledRecoveryEndsWhereTheNextOneDoes(t *testing.T) {
	for n := int64(0); ; n++ {
		mem := vfs.NewMem()
		x := newMortal(t, mem, compactConfig())
		for range 2 {
			for range 3 {
				put(t, x.l, "a=1")
			}
			if err := x.l.roll(); err != nil {
				t.Fatal(err)
			}
		}
		put(t, x.l, "b=1")
		x.m.abandon()
		cut(t, mem, name(0, segment.LogExt), 10)
		crashing := vfs.NewFaulty(mem, vfs.CrashAfter(n))
		x.opts.FS = crashing
		if m, err := open(x.opts); err == nil {
			m.abandon()
		}
		left := []*vfs.Mem{mem.CrashClone(nil), mem}
		for i, fsys := range left {
			x.opts.FS = fsys
			x.start()
			if x.l != nil && x.l.EndOffset() > 2 {
				t.Errorf("killed at operation %d (%d): the log ends at %d", n, i, x.l.EndOffset())
			}
			x.m.abandon()
		}
		if crashing.Ops() <= n {
			return
		}
	}
}

// A truncation that is killed leaves the beginning of the log, also of one that may have gaps since it is compacted.
func TestKilledTruncationLeavesNoGap(t *testing.T) {
	for n, done := int64(0), false; !done; n++ {
		mem := vfs.NewMem()
		from := int64(math.MaxInt64)
		crashing := vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.Index >= from {
				return vfs.ErrCrashed
			}
			return nil
		})
		x := newMortal(t, crashing, compactConfig())
		l := x.l
		for i := range 9 {
			put(t, l, fmt.Sprintf("a=%d", i))
			if i%3 == 2 {
				if err := l.roll(); err != nil {
					t.Fatal(err)
				}
			}
		}
		from = crashing.Ops() + n
		done = l.TruncateTo(2) == nil
		x.opts.FS = mem
		x.again()
		l = x.l
		if got := readAll(t, l, 0, l.EndOffset()); int64(len(got)) != l.EndOffset() {
			t.Errorf("killed at operation %d: %d records in a log that ends at %d", n, len(got), l.EndOffset())
		}
		x.m.abandon()
	}
}
