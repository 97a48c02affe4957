package storage

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestCompactedRetention: what is removed of compacted logs, and by whom.
func TestCompactedRetention(t *testing.T) {
	const hour = 3600_000
	old := testNow - 2*hour
	tests := []struct {
		name    string
		delete  bool // cleanup.policy=compact,delete
		start   int64
		without bool // no cleaner
		want    []int64
	}{
		{name: "compact: neither by time nor by size", want: []int64{0, 1, 2, 3}},
		{name: "compact: what is below the log start goes", start: 2, want: []int64{2, 3}},
		{name: "compact,delete: by time", delete: true, want: []int64{2, 3}},
		{name: "without a cleaner nothing goes", delete: true, start: 2, without: true, want: []int64{0, 1, 2, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := compactConfig()
			c.MinCleanableRatio = 1 // nothing is cleaned
			c.Delete, c.RetentionMs = tt.delete, hour
			m, l := selectionLog(t, c, old, old, testNow, testNow)
			if tt.without {
				m.env.cleaner = nil
			}
			if _, err := l.IncrementStartOffset(tt.start); err != nil {
				t.Fatal(err)
			}
			m.checkRetention()
			if got := l.Segments(); len(got) != 4 {
				t.Errorf("the retention check has left %v of a compacted log", got)
			}
			if !tt.without {
				cleanOnce(m)
			}
			if got := l.Segments(); !slices.Equal(got, tt.want) {
				t.Errorf("segments %v, want %v", got, tt.want)
			}
		})
	}
}

// TestCompactedRetentionInOrder: of several segments that a compacted log loses at once no crash brings back an older one
// without the newer, whose values are the later ones.
func TestCompactedRetentionInOrder(t *testing.T) {
	for n := int64(0); ; n++ {
		fsys := vfs.NewMem()
		crash := false
		var l *Log
		faulty := vfs.NewFaulty(fsys, func(op vfs.Op) error {
			if crash && op.Index >= n {
				return vfs.ErrCrashed
			}
			if crash && op.Kind == vfs.OpSyncDir {
				if !l.mu.TryLock() { // nobody else is there
					t.Error("appends wait until a segment's removal is durable")
					return nil
				}
				l.mu.Unlock()
			}
			return nil
		})
		m := openCleaner(t, faulty)
		c := compactConfig()
		c.MinCleanableRatio = 1
		l = mustCreate(t, m, orders, c)
		versions(t, l, 20, "a", "b")
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.IncrementStartOffset(20); err != nil {
			t.Fatal(err)
		}
		from := faulty.Ops()
		if n < from {
			n = from
		}
		crash = true
		cleanOnce(m)
		done := faulty.Ops() <= n
		m.abandon()
		left := fsys.CrashClone(nil)
		for _, seed := range []uint64{0, 1, 2, 3} {
			if seed > 0 {
				left = fsys.CrashClone(rand.New(rand.NewPCG(seed, 0)))
			}
			bases := basesOf(t, left)
			for i := 1; i < len(bases); i++ {
				if bases[i] != bases[i-1]+5 {
					t.Fatalf("op %d seed %d: segments %v", n, seed, bases)
				}
			}
		}
		if done {
			return
		}
	}
}

// basesOf lists the segments in the directory of a log.
func basesOf(t *testing.T, fsys vfs.FS) []int64 {
	t.Helper()
	var bases []int64
	for _, name := range files(t, fsys, "data/orders-0", segment.LogExt) {
		base, _, _, ok := segment.ParseFileName(name)
		if !ok {
			t.Fatalf("file %s", name)
		}
		bases = append(bases, base)
	}
	return bases
}

// TestCompactedRetentionIsAborted: who pauses the cleaning of a log waits until one of its old segments is removed, durably, and not
// for all of them. They are removed later, or go with the log.
func TestCompactedRetentionIsAborted(t *testing.T) {
	fsys := vfs.NewMem()
	var m *Manager
	armed, paused := false, make(chan struct{})
	faulty := vfs.NewFaulty(fsys, func(op vfs.Op) error {
		if armed && op.Kind == vfs.OpSyncDir {
			armed = false
			states := m.env.cleaner.states
			states.mu.Lock()
			abort := states.of[orders].abort
			states.mu.Unlock()
			go func() {
				states.pause(orders)
				close(paused)
			}()
			<-abort
		}
		return nil
	})
	m = openCleaner(t, faulty)
	c := compactConfig()
	c.MinCleanableRatio = 1
	l := mustCreate(t, m, orders, c)
	versions(t, l, 20, "a", "b")
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	before := l.Segments()
	if _, err := l.IncrementStartOffset(20); err != nil {
		t.Fatal(err)
	}
	armed = true
	cleanOnce(m)
	<-paused
	if got := l.Segments(); !slices.Equal(got, before[1:]) {
		t.Errorf("the pause came after %v were left of %v", got, before)
	}
	cleanOnce(m)
	if got := l.Segments(); !slices.Equal(got, before[1:]) {
		t.Errorf("%v are left of %v after a cleaning that is paused", got, before)
	}
	m.env.cleaner.states.resume(orders)
	cleanOnce(m)
	if got := l.Segments(); got[0] != 20 {
		t.Errorf("segments %v, want none before 20", got)
	}
	if got := basesOf(t, fsys.CrashClone(nil)); got[0] != 20 {
		t.Errorf("segments %v after a crash, want none before 20", got)
	}
}
