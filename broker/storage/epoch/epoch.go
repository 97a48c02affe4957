// Package epoch remembers at which offset each leader epoch of a partition began (KIP-101, KIP-279;
// Kafka's LeaderEpochFileCache).
//
// A follower finds the point where its log and the leader's part by comparing these beginnings, and
// truncates there; by high watermarks alone, acknowledged records could be lost.
package epoch

import (
	"fmt"
	"slices"
	"sync"
)

// Undefined stands for "no epoch" and "no offset" in answers about epochs.
const Undefined = -1

// Entry says that the records from Start on were written under Epoch, until the next entry's Start.
type Entry struct {
	Epoch int32
	Start int64 // offset of the first record; equal to the log's end while there is none
}

// Cache holds the epochs of one log, the zero Cache none.
//
// Invariants: entries ascend strictly in Epoch and in Start; none is negative.
//
// It is safe for concurrent use. What changes it says whether it did: the owner writes the checkpoint.
type Cache struct {
	mu      sync.RWMutex
	entries []Entry // under mu; replaced, never changed in place
}

// NewCache returns a cache with the entries of a checkpoint. Entries that break the order replace
// the ones before them, as assigning one after the other would do; negative ones are refused.
func NewCache(entries []Entry) (*Cache, error) {
	c := new(Cache)
	for _, e := range entries {
		if e.Epoch < 0 || e.Start < 0 {
			return nil, fmt.Errorf("leader epoch entry %d %d is negative", e.Epoch, e.Start)
		}
		if next, changed := assign(c.entries, e); changed {
			c.entries = next
		}
	}
	return c, nil
}

// Assign records that epoch begins at start, dropping entries that contradict it. It does nothing if
// epoch is already the latest one and begins at or before start. It reports whether anything changed;
// a negative epoch or start is an error.
func (c *Cache) Assign(epoch int32, start int64) (changed bool, err error) {
	if !c.needs(Entry{epoch, start}) { // nearly every append ends here
		return false, nil
	}
	if epoch < 0 || start < 0 {
		return false, fmt.Errorf("leader epoch entry %d %d is negative", epoch, start)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries, changed = assign(c.entries, Entry{epoch, start})
	return changed, nil
}

func (c *Cache) needs(e Entry) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return needed(c.entries, e)
}

// needed reports whether assigning e would change entries.
func needed(entries []Entry, e Entry) bool {
	if len(entries) == 0 {
		return true
	}
	last := entries[len(entries)-1]
	return e.Epoch != last.Epoch || e.Start < last.Start
}

// assign returns entries with e at the end and without those that e contradicts.
func assign(entries []Entry, e Entry) (next []Entry, changed bool) {
	if !needed(entries, e) {
		return entries, false
	}
	keep := len(entries)
	for keep > 0 && (entries[keep-1].Epoch >= e.Epoch || entries[keep-1].Start >= e.Start) {
		keep--
	}
	return append(slices.Clone(entries[:keep]), e), true
}

// Clear forgets every epoch, which is what the append of a record without one (message formats 0
// and 1) demands. It reports whether anything changed.
func (c *Cache) Clear() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := len(c.entries) > 0
	c.entries = nil
	return changed
}

// TruncateFromStart forgets the epochs that ended at or before start, the log's new first offset;
// the one that holds start now begins there. A stale checkpoint is trimmed again when it is loaded, so
// that the owner may write it later. It reports whether anything changed.
func (c *Cache) TruncateFromStart(start int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.entries) && c.entries[n].Start <= start {
		n++
	}
	if n == 0 || n == 1 && c.entries[0].Start == start {
		return false
	}
	c.entries = slices.Clone(c.entries[n-1:])
	c.entries[0].Start = start
	return true
}

// TruncateFromEnd forgets the epochs that begin at or after end, the log's new end offset. As with
// TruncateFromStart the owner may write the checkpoint later. It reports whether anything changed.
func (c *Cache) TruncateFromEnd(end int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.entries)
	for n > 0 && end >= 0 && c.entries[n-1].Start >= end {
		n--
	}
	if n == len(c.entries) {
		return false
	}
	c.entries = slices.Clone(c.entries[:n])
	return true
}

// EndOffsetFor answers OffsetForLeaderEpoch: the largest known epoch at or below the requested one,
// and the offset where it ends. logEnd is where the latest epoch ends. Both are Undefined if the
// requested epoch is, or is later than all known ones; an epoch before all known ones ends where
// the first of these begins.
func (c *Cache) EndOffsetFor(requested int32, logEnd int64) (epoch int32, end int64) {
	entries := c.view()
	if requested == Undefined || len(entries) == 0 {
		return Undefined, Undefined
	}
	if entries[len(entries)-1].Epoch == requested {
		return requested, logEnd
	}
	higher, _ := slices.BinarySearchFunc(entries, requested, func(e Entry, requested int32) int {
		if e.Epoch <= requested {
			return -1
		}
		return 1
	})
	switch {
	case higher == len(entries):
		return Undefined, Undefined
	case higher == 0:
		return requested, entries[0].Start
	}
	return entries[higher-1].Epoch, entries[higher].Start
}

// EpochAt returns the epoch under which the record at offset was written, or Undefined.
func (c *Cache) EpochAt(offset int64) int32 {
	entries := c.view()
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Start <= offset {
			return entries[i].Epoch
		}
	}
	return Undefined
}

// Latest returns the last entry; false if there is none.
func (c *Cache) Latest() (Entry, bool) {
	entries := c.view()
	if len(entries) == 0 {
		return Entry{}, false
	}
	return entries[len(entries)-1], true
}

// Earliest returns the first entry; false if there is none.
func (c *Cache) Earliest() (Entry, bool) {
	entries := c.view()
	if len(entries) == 0 {
		return Entry{}, false
	}
	return entries[0], true
}

// Previous returns the last entry below epoch; false if there is none.
func (c *Cache) Previous(epoch int32) (Entry, bool) {
	entries := c.view()
	for i := len(entries) - 1; i >= 0; i-- {
		if entries[i].Epoch < epoch {
			return entries[i], true
		}
	}
	return Entry{}, false
}

// Entries returns all entries in order. The slice is shared and must not be changed.
func (c *Cache) Entries() []Entry { return c.view() }

func (c *Cache) view() []Entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries
}
