package storage

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// farOff is an offset that is too far from 0 for an index.
const farOff = int64(math.MaxInt32) + 100

// An overflowed log is the directory of a log as brokers before Kafka 1.1 could leave it: one segment at base 0 holds
// batches beyond farOff, with relative offsets in its indexes that have wrapped around. Segment last follows.
type overflowed struct {
	batches []record.Batch
	last    int64 // base of the segment behind; 0: none
	aborted []segment.AbortedTxn
}

// overflowedLog has batches at these base offsets in the first segment.
func overflowedLog(t *testing.T, bases []int64, last int64) (*vfs.Mem, overflowed) {
	t.Helper()
	o := overflowed{last: last}
	var first, index, times, txns []byte
	for i, base := range bases {
		b := batch(t, batchOpts{base: base, count: 5, timestamp: testNow + int64(10*i)})
		index = append(index, be32(base+4)...)
		index = append(index, be32(int64(len(first)))...)
		times = append(times, record.Batch(b)[35:43]...)
		times = append(times, be32(base+4)...)
		first = append(first, b...)
		o.batches = append(o.batches, b)
		o.aborted = append(o.aborted, segment.AbortedTxn{ProducerID: 7, FirstOffset: base, LastOffset: base + 4, LastStableOffset: base})
		txns = o.aborted[i].AppendTo(txns)
	}
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll(logDir); err != nil {
		t.Fatal(err)
	}
	write(t, fsys, name(0, segment.LogExt), first)
	write(t, fsys, name(0, segment.IndexExt), index)
	write(t, fsys, name(0, segment.TimeExt), times)
	write(t, fsys, name(0, segment.TxnExt), txns)
	end := bases[len(bases)-1] + 5
	if last > 0 {
		b := batch(t, batchOpts{base: last, count: 5, timestamp: testNow + 1000})
		write(t, fsys, name(last, segment.LogExt), b)
		write(t, fsys, name(last, segment.IndexExt), nil)
		write(t, fsys, name(last, segment.TimeExt), nil)
		o.batches = append(o.batches, b)
		end = last + 5
	}
	write(t, fsys, logDir+"/"+checkpoint.LeaderEpochs, []byte("0\n1\n0 0\n"))
	if err := checkpoint.WriteCleanShutdown(fsys, "data", 1); err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.WriteOffsets(fsys, "data/"+checkpoint.RecoveryPoints, checkpoint.Offsets{orders: end}); err != nil {
		t.Fatal(err)
	}
	return durable(t, fsys), o
}

func be32(v int64) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// check requires that l holds what o has, once, in these segments, and finds it.
func (o *overflowed) check(l *Log, segments []int64) error {
	last := o.batches[len(o.batches)-1]
	if l.StartOffset() != segments[0] || l.EndOffset() != last.NextOffset() {
		return fmt.Errorf("log %d to %d", l.StartOffset(), l.EndOffset())
	}
	if got := l.Segments(); !slices.Equal(got, segments) {
		return fmt.Errorf("segments at %v, not %v", got, segments)
	}
	got, err := readBatches(l, l.StartOffset(), l.EndOffset())
	if err != nil || !slices.EqualFunc(got, o.batches, func(a, b record.Batch) bool { return bytes.Equal(a, b) }) {
		return fmt.Errorf("%d batches of %d: %v", len(got), len(o.batches), err)
	}
	return checkIndexes(l, o.batches)
}

// checkAborted requires that the transactions are found with the batches of theirs.
func (o *overflowed) checkAborted(l *Log) error {
	for i, want := range o.aborted {
		list, err := l.AbortedTransactions(want.FirstOffset, int64(len(o.batches[i])), l.EndOffset())
		if err != nil || !slices.Contains(list, AbortedTransaction{ProducerID: 7, FirstOffset: want.FirstOffset}) {
			return fmt.Errorf("aborted transaction at %d is not among %v: %v", want.FirstOffset, list, err)
		}
	}
	return nil
}

// TestSplitOverflowedSegment follows LogLoaderTest.testRecoveryOfSegmentWithOffsetOverflow, KAFKA-6264.
func TestSplitOverflowedSegment(t *testing.T) {
	tests := []struct {
		name  string
		bases []int64
		last  int64
		do    func(t *testing.T, fsys vfs.FS)
		txns  bool // the transaction index is left, and not gathered from the batches
		want  []int64
	}{
		{name: "a segment in the middle", bases: []int64{0, 5, farOff, farOff + 5}, last: farOff + 10, txns: true,
			want: []int64{0, farOff, farOff + 10}},
		{name: "the last segment", bases: []int64{0, 5, farOff, farOff + 5}, txns: true, want: []int64{0, farOff}},
		{name: "three pieces", bases: []int64{3, farOff, 3 * farOff, 3*farOff + 5}, txns: true, want: []int64{0, farOff, 3 * farOff}},
		{name: "all of it is too far away", bases: []int64{farOff, farOff + 5}, last: farOff + 10, txns: true, want: []int64{farOff, farOff + 10}},
		{name: "a batch across the limit", bases: []int64{0, math.MaxInt32 - 2}, last: farOff, txns: true, want: []int64{0, math.MaxInt32 - 2, farOff}},
		{name: "without indexes", bases: []int64{0, 5, farOff, farOff + 5}, last: farOff + 10, do: func(t *testing.T, fsys vfs.FS) {
			remove(t, fsys, name(0, segment.IndexExt))
			remove(t, fsys, name(0, segment.TimeExt))
		}, txns: true, want: []int64{0, farOff, farOff + 10}},
		{name: "after a crash, below the recovery point", bases: []int64{0, 5, farOff, farOff + 5}, last: farOff + 10,
			do: func(t *testing.T, fsys vfs.FS) { crashed(t, fsys, farOff+15) }, txns: true, want: []int64{0, farOff, farOff + 10}},
		{name: "after a crash, above the recovery point", bases: []int64{0, 5, farOff, farOff + 5}, last: farOff + 10,
			do: func(t *testing.T, fsys vfs.FS) { crashed(t, fsys, 0) }, want: []int64{0, farOff, farOff + 10}},
		{name: "the last segment after a crash, with a torn end", bases: []int64{0, 5, farOff, farOff + 5}, do: func(t *testing.T, fsys vfs.FS) {
			crashed(t, fsys, 5)
			file := name(0, segment.LogExt)
			write(t, fsys, file, append(read(t, fsys, file), make([]byte, 100)...))
		}, want: []int64{0, farOff}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys, o := overflowedLog(t, tt.bases, tt.last)
			if tt.do != nil {
				tt.do(t, fsys)
			}
			for range 2 { // the second start finds what the first one has made
				m := mustOpen(t, loadOptions(fsys))
				l := m.Log(orders)
				err := o.check(l, tt.want)
				if err == nil && tt.txns {
					err = o.checkAborted(l)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestSplitCrash cuts the power before every change that a start makes to a directory with an overflowed segment.
func TestSplitCrash(t *testing.T) {
	for _, bases := range [][]int64{{0, 5, farOff, farOff + 5, 3 * farOff}, {farOff, farOff + 5, 3 * farOff}} {
		last := 3*farOff + 5
		want := []int64{bases[0], farOff, 3 * farOff, last}
		want = slices.Compact(want)
		for n := int64(0); ; n++ {
			fsys, o := overflowedLog(t, bases, last)
			m, err := open(loadOptions(vfs.NewFaulty(fsys, vfs.CrashAfter(n))))
			if err == nil {
				m.abandon()
				if m.Log(orders) != nil && n > 100 {
					break
				}
			}
			for variant := range uint64(8) {
				var rng *rand.Rand
				if variant > 0 {
					rng = rand.New(rand.NewPCG(uint64(n), variant))
				}
				left := fsys.CrashClone(rng)
				m, err := open(loadOptions(left))
				if err != nil {
					t.Fatalf("op %d variant %d: %v", n, variant, err)
				}
				l := m.Log(orders)
				if err = o.check(l, want); err == nil {
					err = o.checkAborted(l)
				}
				if err != nil {
					t.Fatalf("op %d variant %d: %v", n, variant, err)
				}
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
