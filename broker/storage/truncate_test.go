package storage

import (
	"errors"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// truncateLog has batches of 5 records at 0, 5 .. 25, two in a segment, of epochs 0, 1 .. 5, each by
// the same producer. All is flushed and replicated.
func truncateLog(t *testing.T) (*Log, *Manager) {
	t.Helper()
	c := DefaultLogConfig()
	c.SegmentBytes = 460
	m := mustOpen(t, testOptions(vfs.NewMem()))
	l := mustCreate(t, m, orders, c)
	for i := range 6 {
		_, err := l.AppendLeader(batch(t, batchOpts{count: 5, size: 20, timestamp: testNow + int64(10*i), producer: &record.ProducerInfo{ID: 9, Sequence: int32(5 * i)}}),
			AppendOptions{Epoch: int32(i), Now: testNow})
		if err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(30)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := []int64{0, 10, 20}; !slices.Equal(l.Segments(), want) {
		t.Fatalf("segments %v, want %v", l.Segments(), want)
	}
	return l, m
}

func TestTruncateTo(t *testing.T) {
	tests := []struct {
		to       int64
		end      int64
		segments []int64
		epoch    int32 // latest
		sequence int32 // the producer's last; -1: it is unknown
	}{
		{40, 30, []int64{0, 10, 20}, 5, 29},
		{30, 30, []int64{0, 10, 20}, 5, 29},
		{25, 25, []int64{0, 10, 20}, 4, 24},
		{27, 27, []int64{0, 10, 20}, 5, 24}, // the batch that holds 27 goes as a whole
		{20, 20, []int64{0, 10, 20}, 3, 19},
		{15, 15, []int64{0, 10}, 2, 14},
		{5, 5, []int64{0}, 0, 4},
		{0, 0, []int64{0}, -1, -1},
	}
	for _, tt := range tests {
		l, _ := truncateLog(t)
		if err := l.TruncateTo(tt.to); err != nil {
			t.Fatal(err)
		}
		epoch, ok := l.LatestEpoch()
		if !ok {
			epoch = -1
		}
		sequence := int32(-1)
		if p := l.Producers(); len(p) > 0 {
			sequence = p[0].LastSequence
		}
		if l.EndOffset() != tt.end || !slices.Equal(l.Segments(), tt.segments) || epoch != tt.epoch || sequence != tt.sequence {
			t.Errorf("truncated to %d: end %d, segments %v, epoch %d, sequence %d; want %+v", tt.to, l.EndOffset(), l.Segments(), epoch, sequence, tt)
		}
		if hw := l.HighWatermark(); hw != min(30, tt.end) || l.RecoveryPoint() != min(30, tt.end) {
			t.Errorf("truncated to %d: high watermark %d, recovery point %d", tt.to, hw, l.RecoveryPoint())
		}
		a := appendRecords(t, l, 8, 2)
		if a.First != tt.end || len(readAll(t, l, 0, l.EndOffset())) == 0 {
			t.Errorf("append after a truncation to %d: %+v", tt.to, a)
		}
	}
}

func TestTruncateFullyAndStartAt(t *testing.T) {
	for _, to := range []int64{0, 7, 100} {
		l, m := truncateLog(t)
		if err := l.TruncateFullyAndStartAt(to); err != nil {
			t.Fatal(err)
		}
		if l.StartOffset() != to || l.EndOffset() != to || l.HighWatermark() != to || !slices.Equal(l.Segments(), []int64{to}) || len(l.Producers()) != 0 {
			t.Errorf("log %d to %d, high watermark %d, segments %v", l.StartOffset(), l.EndOffset(), l.HighWatermark(), l.Segments())
		}
		if got := files(t, m.opts.FS, l.Path(), segment.SnapshotExt); len(got) != 0 {
			t.Errorf("producer snapshots: %v", got)
		}
		if a := appendRecords(t, l, 8, 2); a.First != to {
			t.Errorf("append: %+v", a)
		}
	}
}

func TestTruncateBelowTheFirstSegmentStartsAnew(t *testing.T) {
	l, _ := truncateLog(t)
	if _, err := l.IncrementStartOffset(12); err != nil {
		t.Fatal(err)
	}
	if _, err := l.deleteOldSegments(testNow); err != nil {
		t.Fatal(err)
	}
	if err := l.TruncateTo(5); err != nil {
		t.Fatal(err)
	}
	if l.StartOffset() != 5 || l.EndOffset() != 5 {
		t.Errorf("log %d to %d", l.StartOffset(), l.EndOffset())
	}
}

// TestTruncationIsForgottenByNoCheckpoint: a checkpoint written before must not outlive what it says.
func TestTruncationIsForgottenByNoCheckpoint(t *testing.T) {
	l, m := truncateLog(t)
	d := m.dirs[0]
	if _, err := l.IncrementStartOffset(27); err != nil {
		t.Fatal(err)
	}
	for _, write := range []func() error{d.checkpointRecoveryPoints, d.checkpointStarts, d.checkpointHighWatermarks} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.TruncateTo(15); err != nil {
		t.Fatal(err)
	}
	for name, written := range map[string]checkpoint.Offsets{"recovery": d.recovery.holds, "high watermark": d.watermarks.holds} {
		if written[orders] != 15 {
			t.Errorf("%s checkpoint: %v", name, written)
		}
	}
	if start := d.starts.holds[orders]; start != 15 {
		t.Errorf("start checkpoint: %v", d.starts.holds)
	}
}

func TestIncrementStartOffset(t *testing.T) {
	l, _ := truncateLog(t)
	l.SetHighWatermark(20)
	if _, err := l.IncrementStartOffset(21); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("above the high watermark: %v", err)
	}
	for _, tt := range []struct {
		to   int64
		want bool
	}{{12, true}, {12, false}, {3, false}, {20, true}} {
		if got, err := l.IncrementStartOffset(tt.to); err != nil || got != tt.want {
			t.Errorf("to %d: %v %v", tt.to, got, err)
		}
	}
	if l.StartOffset() != 20 || l.EpochAt(20) != 4 {
		t.Errorf("start %d, epoch %d", l.StartOffset(), l.EpochAt(20))
	}
}
