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

// Cache holds the epochs of one log.
//
// Invariants: entries ascend strictly in Epoch and in Start; none is negative.
//
// It is safe for concurrent use. Saves are made one after the other, in the order of the changes.
type Cache struct {
	save func([]Entry) error

	writing sync.Mutex // held from a change until it is saved
	mu      sync.RWMutex
	entries []Entry // under mu; replaced, never changed in place
}

// NewCache returns a cache with the entries of a checkpoint. Entries that break the order replace
// the ones before them, as assigning one after the other would do; negative ones are refused.
//
// save is called with all entries whenever Assign has changed them, before Assign returns, so that
// an epoch is on disk before a record of it is acknowledged. It must not keep the slice's address
// beyond the call, nor call the cache. nil saves nothing.
func NewCache(entries []Entry, save func([]Entry) error) (*Cache, error) {
	c := &Cache{save: save}
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
// epoch is already the latest one and begins at or before start. A failed save leaves the
// cache changed and is returned; the owner takes the log's directory off line.
func (c *Cache) Assign(epoch int32, start int64) error {
	if !c.needs(Entry{epoch, start}) { // nearly every append ends here
		return nil
	}
	if epoch < 0 || start < 0 {
		return fmt.Errorf("leader epoch entry %d %d is negative", epoch, start)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	next, changed := assign(c.view(), Entry{epoch, start})
	if !changed {
		return nil
	}
	c.set(next)
	return c.saveEntries(next)
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
// and 1) demands.
func (c *Cache) Clear() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(c.view()) == 0 {
		return nil
	}
	c.set(nil)
	return c.saveEntries(nil)
}

// TruncateFromStart forgets the epochs that ended at or before start, the log's new first offset;
// the one that holds start now begins there. Nothing is saved: a stale checkpoint is trimmed again
// when it is loaded, so that the owner may Save later. It reports whether anything changed.
func (c *Cache) TruncateFromStart(start int64) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	entries := c.view()
	n := 0
	for n < len(entries) && entries[n].Start <= start {
		n++
	}
	if n == 0 || n == 1 && entries[0].Start == start {
		return false
	}
	next := slices.Clone(entries[n-1:])
	next[0].Start = start
	c.set(next)
	return true
}

// TruncateFromEnd forgets the epochs that begin at or after end, the log's new end offset. As with
// TruncateFromStart the owner may Save later. It reports whether anything changed.
func (c *Cache) TruncateFromEnd(end int64) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	entries := c.view()
	n := len(entries)
	for n > 0 && end >= 0 && entries[n-1].Start >= end {
		n--
	}
	if n == len(entries) {
		return false
	}
	c.set(slices.Clone(entries[:n]))
	return true
}

// Save writes the present entries out.
func (c *Cache) Save() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.saveEntries(c.view())
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

func (c *Cache) set(entries []Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = entries
}

func (c *Cache) saveEntries(entries []Entry) error {
	if c.save == nil {
		return nil
	}
	return c.save(entries)
}
