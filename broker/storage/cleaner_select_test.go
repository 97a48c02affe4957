package storage

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// selectionLog has segments at 0, 1, 2 ... with one record each, of the given timestamps; all are replicated.
func selectionLog(t *testing.T, c LogConfig, timestamps ...int64) (*Manager, *Log) {
	t.Helper()
	m := openCleaner(t, vfs.NewMem())
	c.SegmentBytes, c.SegmentMs = len(keyed(t, batchOpts{timestamp: testNow}, "key=value")), 1<<60
	l := mustCreate(t, m, orders, c)
	for _, ts := range timestamps {
		putAt(t, l, ts, "key=value")
	}
	if got := len(l.Segments()); got != len(timestamps) {
		t.Fatalf("%d segments", got)
	}
	return m, l
}

// TestCandidate follows LogCleanerManager: which part of a log of six segments is dirty, and whether it is to be cleaned.
func TestCandidate(t *testing.T) {
	const hour = 3600_000
	old := testNow - 10*hour
	tests := []struct {
		name       string
		timestamps []int64 // nil: six old ones
		tweak      func(*LogConfig)
		before     func(*testing.T, *Log)
		first, end int64
		clean      int // segments
		dirty      int
		due        bool
		invalid    bool
	}{
		{name: "never cleaned: all but the active segment", end: 5, dirty: 5, due: true},
		{name: "cleaned before", before: func(_ *testing.T, l *Log) { l.cleaned.Store(3) },
			first: 3, end: 5, clean: 3, dirty: 2, due: true},
		{name: "as dirty as allowed is not dirty enough", tweak: func(c *LogConfig) { c.MinCleanableRatio = 0.4 },
			before: func(_ *testing.T, l *Log) { l.cleaned.Store(3) }, first: 3, end: 5, clean: 3, dirty: 2},
		{name: "ratio 0 needs something dirty", tweak: func(c *LogConfig) { c.MinCleanableRatio = 0 },
			before: func(_ *testing.T, l *Log) { l.cleaned.Store(5) }, first: 5, end: 5, clean: 5},
		{name: "ratio 1 is never exceeded", tweak: func(c *LogConfig) { c.MinCleanableRatio = 1 }, end: 5, dirty: 5},
		{name: "not beyond the high watermark", before: func(_ *testing.T, l *Log) { l.highWatermark.Store(2) }, end: 2, dirty: 2, due: true},
		{name: "not beyond the last stable offset", before: func(_ *testing.T, l *Log) { l.firstUnstable.Store(3) }, end: 3, dirty: 3, due: true},
		{name: "not beyond a record younger than min.compaction.lag.ms", tweak: func(c *LogConfig) { c.MinCompactionLagMs = hour },
			timestamps: []int64{old, old, testNow - hour + 1, old, old, old}, end: 2, dirty: 2, due: true},
		{name: "one as old as min.compaction.lag.ms may be cleaned", tweak: func(c *LogConfig) { c.MinCompactionLagMs = hour },
			timestamps: []int64{old, old, testNow - hour, old, old, old}, end: 5, dirty: 5, due: true},
		{name: "a young record in the clean part does not matter", tweak: func(c *LogConfig) { c.MinCompactionLagMs = hour },
			timestamps: []int64{testNow, testNow, old, old, old, old},
			before:     func(_ *testing.T, l *Log) { l.cleaned.Store(2) }, first: 2, end: 5, clean: 2, dirty: 3, due: true},
		{name: "overdue by max.compaction.lag.ms", tweak: func(c *LogConfig) { c.MaxCompactionLagMs, c.MinCleanableRatio = hour, 1 },
			end: 5, dirty: 5, due: true},
		{name: "as old as max.compaction.lag.ms is not overdue", tweak: func(c *LogConfig) { c.MaxCompactionLagMs, c.MinCleanableRatio = hour, 1 },
			timestamps: []int64{testNow - hour, testNow, testNow, testNow, testNow, testNow}, end: 5, dirty: 5},
		{name: "overdue, but nothing may be cleaned", tweak: func(c *LogConfig) { c.MaxCompactionLagMs, c.MinCleanableRatio = hour, 1 },
			before: func(_ *testing.T, l *Log) { l.highWatermark.Store(0) }},
		{name: "a checkpoint below the log start", before: func(t *testing.T, l *Log) {
			l.cleaned.Store(1)
			if _, err := l.IncrementStartOffset(2); err != nil {
				t.Fatal(err)
			}
		}, first: 2, end: 5, clean: 2, dirty: 3, due: true, invalid: true},
		{name: "a checkpoint beyond the log end", before: func(_ *testing.T, l *Log) { l.cleaned.Store(7) },
			end: 5, dirty: 5, due: true, invalid: true},
		{name: "a log start in the active segment", before: func(t *testing.T, l *Log) {
			if _, err := l.IncrementStartOffset(6); err != nil {
				t.Fatal(err)
			}
		}, first: 6, end: 5, clean: 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := compactConfig()
			c.MinCleanableRatio = 0.3
			if tt.tweak != nil {
				tt.tweak(&c)
			}
			if tt.timestamps == nil {
				tt.timestamps = []int64{old, old, old, old, old, old}
			}
			_, l := selectionLog(t, c, tt.timestamps...)
			if tt.before != nil {
				tt.before(t, l)
			}
			size := l.Size() / 6
			got, err := l.candidate(testNow)
			if err != nil {
				t.Fatal(err)
			}
			if got.firstDirty != tt.first || got.end != tt.end || got.cleanBytes != int64(tt.clean)*size || got.dirtyBytes != int64(tt.dirty)*size {
				t.Errorf("dirty from %d to %d, %d bytes and %d clean; want %d to %d, %d and %d", got.firstDirty, got.end,
					got.dirtyBytes, got.cleanBytes, tt.first, tt.end, int64(tt.dirty)*size, int64(tt.clean)*size)
			}
			if got.due() != tt.due || got.invalid != tt.invalid {
				t.Errorf("due %v, invalid checkpoint %v", got.due(), got.invalid)
			}
		})
	}
}

// TestDirtiestFirst: of several logs the one with the largest dirty share is cleaned first, and none that is not
// compacted, has nothing, or is being moved.
func TestDirtiestFirst(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys, "a", "b")
	logs := make([]*Log, 6)
	for i := range logs {
		logs[i] = mustCreate(t, m, partition(i), compactConfig())
	}
	for i, n := range []int{10, 10, 10, 10, 0, 10} {
		versions(t, logs[i], n, "a", "b", "c")
	}
	logs[0].cleaned.Store(15) // 10 of 25 records are dirty; the active segment has 5 more
	logs[1].cleaned.Store(10)
	logs[2].cleaned.Store(20)
	c := compactConfig()
	c.Compact, c.Delete = false, true
	logs[3].SetConfig(c)
	to := map[string]string{"a": "b", "b": "a"}[logs[5].Dir()]
	if _, err := m.CreateFuture(partition(5), absolute(t, to)); err != nil {
		t.Fatal(err)
	}
	var order []int32
	for {
		g := m.env.cleaner.grab(testNow)
		if g == nil {
			break
		}
		order = append(order, g.log.partition.Index) // and is at work until the end of the test
	}
	if !slices.Equal(order, []int32{1, 0, 2}) {
		t.Errorf("cleaned in the order %v", order)
	}
	for _, i := range order {
		m.env.cleaner.states.end(partition(int(i)))
	}
	if err := m.DeleteFuture(partition(5)); err != nil {
		t.Fatal(err)
	}
	if g := m.env.cleaner.grab(testNow); g == nil || g.log != logs[5] {
		t.Error("not cleaned once it is not moved any more")
	} else {
		m.env.cleaner.states.end(partition(5))
	}
}

// TestInvalidCheckpoint: what the checkpoint has wrong is put right there.
func TestInvalidCheckpoint(t *testing.T) {
	fsys := vfs.NewMem()
	m := openCleaner(t, fsys)
	l := mustCreate(t, m, orders, compactConfig())
	versions(t, l, 5, "a", "b")
	l.cleaned.Store(1)
	if _, err := l.IncrementStartOffset(3); err != nil {
		t.Fatal(err)
	}
	g := m.env.cleaner.grab(testNow)
	if g == nil || g.firstDirty != 3 {
		t.Fatalf("grabbed %+v", g)
	}
	if got := checkpointed(t, fsys, "data"); !slices.Equal(got, []string{"orders-0:3"}) {
		t.Errorf("cleaner-offset-checkpoint: %v", got)
	}
	m.env.cleaner.states.end(orders)
}

// TestInvalidCheckpointOfACutLog: what was found of a log is not noted once the log was cut. Records that come behind
// the cut are dirty.
func TestInvalidCheckpointOfACutLog(t *testing.T) {
	m := openCleaner(t, vfs.NewMem())
	l := mustCreate(t, m, orders, compactConfig())
	for len(l.Segments()) < 3 || l.EndOffset() < l.active().Base()+3 {
		put(t, l, "a=0")
	}
	active := l.active().Base()
	l.cleaned.Store(1)
	if _, err := l.IncrementStartOffset(active + 2); err != nil {
		t.Fatal(err)
	}
	found, err := l.candidate(testNow)
	if err != nil || found.firstDirty != active+2 {
		t.Fatalf("dirty from %d on: %v", found.firstDirty, err)
	}
	if err := l.TruncateTo(active + 1); err != nil {
		t.Fatal(err)
	}
	found.correct()
	if cleaned := l.cleaned.Load(); cleaned > l.EndOffset() {
		t.Errorf("clean up to %d of a log that ends at %d", cleaned, l.EndOffset())
	}
}

// TestGroupSegments: segments of 100 bytes each at the given base offsets.
func TestGroupSegments(t *testing.T) {
	const far = 1 << 32
	tests := []struct {
		name   string
		bases  []int64
		empty  []int64
		limits groupLimits
		want   string
	}{
		{name: "as many as fit", bases: []int64{0, 10, 20, 30, 40}, limits: groupLimits{bytes: 250, index: 1 << 20, end: 50}, want: "[[0 10] [20 30] [40]]"},
		{name: "exactly segment.bytes", bases: []int64{0, 10, 20}, limits: groupLimits{bytes: 300, index: 1 << 20, end: 50}, want: "[[0 10 20]]"},
		{name: "one alone may be larger", bases: []int64{0, 10}, limits: groupLimits{bytes: 50, index: 1 << 20, end: 50}, want: "[[0] [10]]"},
		{name: "indexes that are full", bases: []int64{0, 10, 20}, limits: groupLimits{bytes: 1000, index: 30, end: 50}, want: "[[0 10] [20]]"},
		{name: "offsets too far apart", bases: []int64{0, 10, far}, limits: groupLimits{bytes: 1000, index: 1 << 20, end: far + 1}, want: "[[0] [10] [4294967296]]"},
		{name: "an empty segment bridges any distance", bases: []int64{0, 10, far}, empty: []int64{10, far}, limits: groupLimits{bytes: 1000, index: 1 << 20, end: far + 1},
			want: "[[0 10 4294967296]]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := vfs.NewMem()
			if err := fsys.MkdirAll("log"); err != nil {
				t.Fatal(err)
			}
			dir, cache := segment.NewDir(fsys, "log", nil), vfs.NewCache(10)
			var segments []*segment.Segment
			for _, base := range tt.bases {
				s, err := segment.Create(segment.Options{Dir: dir, Files: cache, Base: base, MaxIndexBytes: 1 << 20})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(tt.empty, base) {
					fill(t, s, base)
				}
				segments = append(segments, s)
			}
			got := make([][]int64, 0)
			for _, group := range groupSegments(segments, tt.limits) {
				var bases []int64
				for _, s := range group {
					bases = append(bases, s.Base())
				}
				got = append(got, bases)
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
}

// fill appends two batches of 50 bytes, and leaves an entry in each index.
func fill(t *testing.T, s *segment.Segment, base int64) {
	t.Helper()
	for i := range int64(2) {
		b := record.NewBuilder(record.MagicV1, record.BuilderOptions{BaseOffset: base + i})
		if err := b.Append(record.Record{Key: []byte("k"), Value: make([]byte, 50-12-22-1), Timestamp: testNow + i}); err != nil {
			t.Fatal(err)
		}
		data, err := b.Build(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) != 50 {
			t.Fatalf("a batch of %d bytes", len(data))
		}
		if err := s.Append(data); err != nil {
			t.Fatal(err)
		}
	}
}
