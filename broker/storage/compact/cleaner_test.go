package compact

import (
	"slices"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// cleaner does with a log in memory what a cleaner does with files.
type cleaner struct {
	t          testing.TB
	log        []logSegment
	start, end int64                // of the dirty part
	aborted    []segment.AbortedTxn // the transaction indexes of what has been cleaned before
	expired    map[int64]bool       // segments, by base offset, that are so old that tombstones without a horizon go
	chunk      int                  // bytes that are read at a time
	opts       FilterOptions
	stats      Stats

	replayed replayed
	filter   *Filter
	kept     []Kept // of the calls of Filter, without Pieces
}

// index does the first pass.
func (c *cleaner) index() {
	c.replayed = replay(c.t, c.log)
	dirty := slices.DeleteFunc(c.replayed.aborted, func(txn segment.AbortedTxn) bool { return txn.LastOffset < c.start })
	c.replayed.aborted = slices.Concat(c.aborted, dirty)
	c.opts.Map = NewOffsetMap(1<<20, 0.9)
	x := NewIndex(c.opts.Map, c.start, c.replayed.between(c.start, c.end), &c.stats)
	for i, s := range c.log {
		next := c.log[min(i+1, len(c.log)-1)].base
		if s.base >= c.end || next <= c.start && i+1 < len(c.log) {
			continue
		}
		c.chunks(s.bytes(), func(data []byte) int {
			n, full, err := x.Add(data)
			if err != nil || full {
				c.t.Fatal(full, err)
			}
			return n
		})
		x.EndSegment(min(next, c.end))
	}
	if c.opts.Map.End() != c.end {
		c.t.Fatalf("indexed up to %d, want %d", c.opts.Map.End(), c.end)
	}
	c.filter = NewFilter(c.opts, &c.stats)
}

// group does the second pass with the segments in [from, to).
func (c *cleaner) group(from, to int64) (left []record.Batch) {
	if c.filter == nil {
		c.index()
	}
	c.filter.BeginGroup(c.replayed.lastRecords())
	for i, s := range c.log {
		if s.base < from || s.base >= to {
			continue
		}
		next := s.batches[len(s.batches)-1].NextOffset()
		if i+1 < len(c.log) && c.log[i+1].base < to {
			next = c.log[i+1].base
		}
		c.filter.BeginSegment(c.replayed.between(s.base, next), !c.expired[s.base])
		c.chunks(s.bytes(), func(data []byte) int {
			kept, err := c.filter.Filter(data)
			if err != nil {
				c.t.Fatal(err)
			}
			left = append(left, split(c.t, slices.Concat(kept.Pieces...))...)
			k := *kept
			k.Pieces, k.Aborted = nil, slices.Clone(k.Aborted)
			c.kept = append(c.kept, k)
			return kept.Read
		})
	}
	return left
}

// chunks calls f with one chunk of data after the other; it returns how many bytes it has taken.
func (c *cleaner) chunks(data []byte, f func([]byte) int) {
	for size := c.chunk; len(data) > 0; {
		n := f(data[:min(size, len(data))])
		if n == 0 && size >= len(data) {
			c.t.Fatalf("%d bytes are left", len(data))
		}
		if n == 0 {
			size *= 2 // not a whole batch
			continue
		}
		data, size = data[n:], c.chunk
	}
}
