package storage

import (
	"math"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestSegmentsThatCannotBeCopied: what no broker can have written, batches out of order, makes a log uncleanable. It is
// no failure of the disk. What old brokers did write, batches too far from the base of their segment, a start has split.
func TestSegmentsThatCannotBeCopied(t *testing.T) {
	const far = math.MaxInt32 + 10
	tests := []struct {
		name      string
		batches   []byte
		cleanable bool
	}{
		{"far from the base", slices.Concat(keyed(t, batchOpts{}, "a=0"), keyed(t, batchOpts{base: far}, "b=0")), true},
		{"out of order", slices.Concat(keyed(t, batchOpts{base: 7}, "x=0"), keyed(t, batchOpts{base: 6}, "b=0")), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fsys := vfs.NewMem()
			m := mustOpen(t, testOptions(fsys))
			l := mustCreate(t, m, orders, compactConfig())
			put(t, l, "c=0")
			path := l.Path() + "/"
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			for name, data := range map[string][]byte{
				segment.FileName(0, segment.LogExt):       test.batches,
				segment.FileName(far+1, segment.LogExt):   keyed(t, batchOpts{base: far + 1}, "a=1"),
				segment.FileName(far+1, segment.IndexExt): nil,
				segment.FileName(far+1, segment.TimeExt):  nil,
				segment.FileName(far+2, segment.LogExt):   nil,
				segment.FileName(far+2, segment.IndexExt): nil,
				segment.FileName(far+2, segment.TimeExt):  nil,
			} {
				if err := vfs.WriteFile(fsys, path+name, data); err != nil {
					t.Fatal(err)
				}
			}
			m = openCleaner(t, fsys)
			l = m.Log(orders)
			l.SetHighWatermark(l.EndOffset())
			cleanOnce(m)
			if test.cleanable {
				if err := l.Err(); err != nil || l.uncleanable.Load() || l.cleaned.Load() != far+2 {
					t.Fatalf("uncleanable %v, clean up to %d: %v", l.uncleanable.Load(), l.cleaned.Load(), err)
				}
				return
			}
			if err := l.Err(); err != nil || !l.uncleanable.Load() {
				t.Fatalf("uncleanable %v: %v", l.uncleanable.Load(), err)
			}
			put(t, l, "d=0")
			for range 2 {
				cleanOnce(m) // nobody tries again
			}
			noLeftovers(t, fsys, l)
		})
	}
}
