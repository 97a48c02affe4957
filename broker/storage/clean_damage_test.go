package storage

import (
	"math"
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestSegmentsThatCannotBeCopied: what only another broker can have written, batches too far from the base of their
// segment or out of order, makes a log uncleanable. It is no failure of the disk.
func TestSegmentsThatCannotBeCopied(t *testing.T) {
	const far = math.MaxInt32 + 10
	tests := []struct {
		name    string
		batches []byte
	}{
		{"far from the base", slices.Concat(keyed(t, batchOpts{}, "a=0"), keyed(t, batchOpts{base: far}, "b=0"))},
		{"out of order", slices.Concat(keyed(t, batchOpts{base: 7}, "x=0"), keyed(t, batchOpts{base: 6}, "b=0"))},
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
