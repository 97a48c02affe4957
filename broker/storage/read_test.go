package storage

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func TestReadBounds(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes = 400
	l := newTestLog(t, c)
	size := int64(0)
	for range 6 {
		size = int64(appendRecords(t, l, 0, 5).Bytes)
	}
	l.SetHighWatermark(25)
	if len(l.Segments()) != 3 {
		t.Fatalf("segments %v", l.Segments())
	}
	if _, err := l.IncrementStartOffset(3); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name       string
		offset     int64
		max        int
		upTo       int64
		minOne     bool
		size       int64 // 0: no section
		cut        int64 // bytes within max that are no whole batch
		incomplete bool
		err        error
	}{
		{name: "below the start", offset: 2, upTo: 30, max: 1000, err: ErrOffsetOutOfRange},
		{name: "above the end", offset: 31, upTo: 30, max: 1000, err: ErrOffsetOutOfRange},
		{name: "at the end", offset: 30, upTo: 30, max: 1000},
		{name: "at the bound", offset: 25, upTo: 25, max: 1000, minOne: true},
		{name: "above the bound", offset: 27, upTo: 25, max: 1000, minOne: true},
		{name: "one segment", offset: 3, upTo: 30, max: 10000, size: 2 * size},
		{name: "within a batch: from its beginning", offset: 8, upTo: 30, max: 10000, size: size},
		{name: "up to the bound", offset: 20, upTo: 25, max: 10000, size: size},
		{name: "cut by the size", offset: 10, upTo: 30, max: int(size) + 10, size: size, cut: 10},
		{name: "first batch too large", offset: 10, upTo: 30, max: 10, size: 10, incomplete: true},
		{name: "no byte allowed", offset: 10, upTo: 30, max: 0, incomplete: true},
		{name: "first batch too large, but one is wanted", offset: 10, upTo: 30, max: 10, minOne: true, size: size},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := l.Read(tt.offset, tt.max, tt.upTo, tt.minOne)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			var got int64
			if r.Section != nil {
				got = r.Section.Size()
				r.Section.Release()
			}
			if got != tt.size || r.Found != tt.size+tt.cut || r.Incomplete != tt.incomplete || r.LogStart != 3 || r.LogEnd != 30 {
				t.Errorf("%d bytes, %+v, want %d bytes", got, r, tt.size)
			}
		})
	}
	if n := l.Available(3, 30); n != 6*size {
		t.Errorf("available: %d, want %d", n, 6*size)
	}
	if n := l.Available(20, 25); n != size {
		t.Errorf("available up to the high watermark: %d, want %d", n, size)
	}
	if n := l.Available(30, 30) + l.Available(2, 30) + l.Available(40, 50); n != 0 {
		t.Errorf("available where there is nothing: %d", n)
	}
}

func TestReadPassesOverWhatCompactionLeftEmpty(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes = 200
	l := newTestLog(t, c)
	// Segment 0 ends at offset 0, the next begins at 50 with a record at 60.
	for _, base := range []int64{0, 50, 60} {
		if _, err := l.AppendFollower(batch(t, batchOpts{base: base, size: 60, timestamp: testNow})); err != nil {
			t.Fatal(err)
		}
	}
	for offset, want := range map[int64]int64{0: 0, 1: 50, 49: 50, 51: 60, 60: 60} {
		data, err := fetch(l, offset, 1, 61)
		if err != nil || data == nil {
			t.Fatalf("read at %d: %d bytes, %v", offset, len(data), err)
		}
		if got := record.Batch(data).BaseOffset(); got != want {
			t.Errorf("read at %d finds %d, want %d", offset, got, want)
		}
	}
}

func TestReadAtTheTailTouchesNoDisk(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.OS, t.TempDir()))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	for range 40 {
		appendRecords(t, l, 0, 5)
	}
	l.SetHighWatermark(190)
	allocs := testing.AllocsPerRun(100, func() {
		r, err := l.Read(185, 1<<20, l.HighWatermark(), true)
		if err != nil || r.Section == nil {
			t.Fatal(err)
		}
		r.Section.Release()
		if r, err := l.Read(200, 1<<20, l.EndOffset(), true); err != nil || r.Section != nil {
			t.Fatal(err)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestAppendAllocates(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.OS, t.TempDir()))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	data := batch(t, batchOpts{count: 10, timestamp: testNow})
	allocs := testing.AllocsPerRun(500, func() {
		record.Batch(data).SetBaseOffset(0)
		if _, err := l.AppendLeader(data, AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 2 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestReadersBesideAWriter reads while the log is appended to, rolled, truncated and shortened. What
// a reader gets must be whole batches with the right offsets. It begins anew where a file is removed before it is read, which
// happens at once here (file.delete.delay.ms).
func TestReadersBesideAWriter(t *testing.T) {
	c := DefaultLogConfig()
	c.SegmentBytes = 2000
	c.RetentionBytes = 20000
	c.FileDeleteDelayMs = 0
	o := testOptions(vfs.NewMem())
	o.RetentionCheckInterval = time.Millisecond
	o.InitialTaskDelay = -1
	l := mustCreate(t, mustOpen(t, o), orders, c)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for at := int64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				next, err := readOnce(l, at)
				switch {
				case errors.Is(err, ErrOffsetOutOfRange) || errors.Is(err, vfs.ErrSlotClosed) || next >= l.EndOffset():
					at = l.StartOffset()
				case err != nil:
					t.Errorf("read at %d: %v", at, err)
					return
				default:
					at = next
				}
			}
		})
	}
	for i := range 2000 {
		appendRecords(t, l, 0, 3)
		l.SetHighWatermark(l.EndOffset() - 9)
		if i%100 == 99 {
			if err := l.TruncateTo(l.EndOffset() - 6); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// readOnce reads at offset up to the high watermark, below which nothing is truncated, and returns
// where the batches read end.
func readOnce(l *Log, offset int64) (int64, error) {
	r, err := l.Read(offset, 5000, l.HighWatermark(), true)
	if err != nil || r.Section == nil {
		return math.MaxInt64, err
	}
	defer r.Section.Release()
	data := make([]byte, r.Section.Size())
	if _, err := r.Section.ReadAt(data, 0); err != nil {
		return 0, err
	}
	next := offset
	err = record.Each(data, func(b record.Batch) error {
		if b.LastOffset() < next {
			return errors.New("offsets go backwards")
		}
		next = b.NextOffset()
		return b.Check()
	})
	return next, err
}

func TestOldFormats(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	appendRecords(t, l, 4, 2)
	old := record.NewBuilder(record.MagicV1, record.BuilderOptions{BaseOffset: 2})
	if err := old.Append(record.Record{Offset: 2, Timestamp: testNow, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	data, err := old.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendFollower(data); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.LatestEpoch(); ok {
		t.Error("a record without an epoch leaves the epochs in force")
	}
	if got := readAll(t, l, 0, 3); len(got) != 2 || got[1].Magic() != record.MagicV1 {
		t.Errorf("read %d batches", len(got))
	}
	if got := l.Segments(); !slices.Equal(got, []int64{0}) {
		t.Errorf("segments %v", got)
	}
}
