package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// retentionLog has segments at 0, 1, 2 ... with one record each, of the given timestamps; all are
// replicated.
func retentionLog(t *testing.T, timestamps []int64, tweak func(*LogConfig, int64)) (*Manager, *Log, vfs.FS) {
	t.Helper()
	fsys := vfs.NewMem()
	m := openIdle(t, testOptions(fsys))
	size := int64(len(batch(t, batchOpts{timestamp: testNow})))
	c := DefaultLogConfig()
	c.SegmentBytes = int(size)
	c.SegmentMs = 1 << 60
	tweak(&c, size)
	l := mustCreate(t, m, orders, c)
	for _, ts := range timestamps {
		if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: ts}), AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(l.EndOffset())
	return m, l, fsys
}

// TestRetention follows UnifiedLog.deleteOldSegments: what is deleted of segments at 0, 1, 2, 3.
func TestRetention(t *testing.T) {
	hour := int64(3600_000)
	old := testNow - 2*hour
	tests := []struct {
		name       string
		timestamps []int64
		tweak      func(*LogConfig, int64)
		before     func(*Log)
		want       []int64
		start      int64
	}{
		{name: "nothing is due", timestamps: []int64{testNow, testNow, testNow}, tweak: func(*LogConfig, int64) {}, want: []int64{0, 1, 2}},
		{name: "by time", timestamps: []int64{old, old, testNow, testNow},
			tweak: func(c *LogConfig, _ int64) { c.RetentionMs = hour }, want: []int64{2, 3}, start: 2},
		{name: "exactly retention.ms old stays", timestamps: []int64{testNow - hour, testNow},
			tweak: func(c *LogConfig, _ int64) { c.RetentionMs = hour }, want: []int64{0, 1}},
		{name: "a newer segment protects older ones behind it", timestamps: []int64{testNow + hour, old, old},
			tweak: func(c *LogConfig, _ int64) { c.RetentionMs = hour }, want: []int64{0, 1, 2}},
		{name: "all: a new segment is begun", timestamps: []int64{old, old},
			tweak: func(c *LogConfig, _ int64) { c.RetentionMs = hour }, want: []int64{2}, start: 2},
		{name: "by size: as long as retention.bytes remain", timestamps: []int64{testNow, testNow, testNow, testNow},
			tweak: func(c *LogConfig, size int64) { c.RetentionBytes = 2*size - 1 }, want: []int64{2, 3}, start: 2},
		{name: "by size: a segment that is partly needed stays", timestamps: []int64{testNow, testNow, testNow, testNow},
			tweak: func(c *LogConfig, size int64) { c.RetentionBytes = 2*size + 1 }, want: []int64{1, 2, 3}, start: 1},
		{name: "below the start offset", timestamps: []int64{testNow, testNow, testNow},
			tweak:  func(*LogConfig, int64) {},
			before: func(l *Log) { l.IncrementStartOffset(2) }, want: []int64{2}, start: 2},
		{name: "compact alone: only below the start offset", timestamps: []int64{old, old, old},
			tweak:  func(c *LogConfig, _ int64) { c.RetentionMs, c.Delete, c.Compact = hour, false, true },
			before: func(l *Log) { l.IncrementStartOffset(1) }, want: []int64{1, 2}, start: 1},
		{name: "above the high watermark nothing goes", timestamps: []int64{old, old, old},
			tweak:  func(c *LogConfig, _ int64) { c.RetentionMs = hour },
			before: func(l *Log) { l.SetHighWatermark(1) }, want: []int64{1, 2}, start: 1},
		{name: "switched off", timestamps: []int64{1, 2, 3},
			tweak: func(c *LogConfig, _ int64) { c.RetentionMs, c.RetentionBytes = -1, -1 }, want: []int64{0, 1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, l, _ := retentionLog(t, tt.timestamps, tt.tweak)
			if tt.before != nil {
				tt.before(l)
			}
			end := l.EndOffset()
			n, err := l.deleteOldSegments(testNow)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Segments(); !slices.Equal(got, tt.want) || l.StartOffset() != tt.start || l.EndOffset() != end {
				t.Errorf("deleted %d: segments %v, start %d, end %d; want %v, start %d", n, got, l.StartOffset(), l.EndOffset(), tt.want, tt.start)
			}
		})
	}
}

// TestDeletionsNameTheirReason: where records went, and why, is asked of the log.
func TestDeletionsNameTheirReason(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	opts := testOptions(vfs.NewMem())
	opts.Logger = logger
	m := openIdle(t, opts)
	size := int64(len(batch(t, batchOpts{timestamp: testNow})))
	c := DefaultLogConfig()
	c.SegmentBytes, c.RetentionBytes, c.RetentionMs = int(size), 2*size, 1000
	l := mustCreate(t, m, orders, c)
	for _, ts := range []int64{testNow, testNow, 1, testNow, testNow} {
		if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: ts}), AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	l.SetHighWatermark(l.EndOffset())
	if _, err := l.IncrementStartOffset(1); err != nil {
		t.Fatal(err)
	}
	if n, err := l.deleteOldSegments(testNow); n != 3 || err != nil {
		t.Fatalf("deleted %d, %v", n, err)
	}
	var got []string
	for _, e := range hook.AllEntries() {
		if strings.HasPrefix(e.Message, "Deleted segments") {
			got = append(got, fmt.Sprint(e.Message, " ", e.Data["from"], "-", e.Data["to"]))
		}
	}
	want := []string{"Deleted segments due to log start offset breach 0-1", "Deleted segments due to log retention size breach 1-3"}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestDeletedSegmentsStayForAWhile(t *testing.T) {
	m, l, fsys := retentionLog(t, []int64{1, 2, 3}, func(c *LogConfig, _ int64) { c.RetentionMs, c.FileDeleteDelayMs = 1000, 0 })
	r, err := l.Read(0, 1000, 3, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Section.Release()
	if _, err := l.deleteOldSegments(testNow); err != nil {
		t.Fatal(err)
	}
	if got := files(t, fsys, "data/orders-0", segment.DeletedSuffix); len(got) != 9 {
		t.Errorf("renamed files: %v", got)
	}
	if _, err := r.Section.ReadAt(make([]byte, 10), 0); err != nil {
		t.Errorf("a section read before the deletion: %v", err)
	}
	m.env.sched.runDue(context.Background())
	if got := files(t, fsys, "data/orders-0", segment.DeletedSuffix); len(got) != 0 {
		t.Errorf("files after file.delete.delay.ms: %v", got)
	}
	if got := files(t, fsys, "data/orders-0", segment.SnapshotExt); !slices.Equal(got, []string{"00000000000000000003.snapshot"}) {
		t.Errorf("producer snapshots: %v", got)
	}
	if _, err := r.Section.ReadAt(make([]byte, 10), 0); !errors.Is(err, segment.ErrClosed) {
		t.Errorf("a section read before the deletion, when the files are removed: %v", err)
	}
}

// TestRetentionFlushesNothing: what a start offset within a segment skips was not flushed for that.
func TestRetentionFlushesNothing(t *testing.T) {
	_, l, _ := retentionLog(t, slices.Repeat([]int64{testNow}, 4), func(c *LogConfig, size int64) { c.SegmentBytes = int(2 * size) })
	l.IncrementStartOffset(3)
	if _, err := l.deleteOldSegments(testNow); err != nil {
		t.Fatal(err)
	}
	if first := l.Segments()[0]; first != 2 || l.RecoveryPoint() != first {
		t.Errorf("the log begins at %d and is flushed up to %d; want 2 for both", first, l.RecoveryPoint())
	}
}

// A new log has no segment before its first record.
func TestRetentionOfANewLog(t *testing.T) {
	c := DefaultLogConfig()
	c.RetentionMs, c.RetentionBytes = 0, 0
	l := mustCreate(t, openIdle(t, testOptions(vfs.NewMem())), orders, c)
	if n, err := l.deleteOldSegments(testNow); n != 0 || err != nil || l.EndOffset() != 0 {
		t.Errorf("deleted %d, %v, end %d", n, err, l.EndOffset())
	}
}
