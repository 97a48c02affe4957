package vfs

import (
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrSlotClosed reports an Acquire after Slot.Close: the file was deleted or its log closed.
var ErrSlotClosed = errors.New("file is closed")

// Opener opens the files of its slots. kind is the number the Slot was made with.
//
// An Opener is asked again whenever a file is needed and not open, so that it must know the file's
// present name; it is never asked while a handle of the slot is cached.
type Opener interface {
	OpenSlot(kind uint8) (File, error)
}

// Cache keeps at most its capacity of files open, those in use at the moment included unless they alone are more.
//
// Goal: taking an open file costs two atomic operations and no lock, since every append and every
// fetched partition does it. So the order of eviction is second chance (a clock), which comes close
// to least recently used but needs only a flag per use: the hand passes over the cached handles,
// clears the flag of those used since its last round, and evicts the first one without. It passes over those in use:
// to evict them closes nothing.
//
// A Handle is counted: one reference belongs to the cache, one to every user. Eviction and
// Slot.Close give up the cache's; the last Release closes the file. A user's handle is therefore
// valid until released, whatever happens to the slot. Users hold one for as long as they read or write, and never while
// they wait for anybody else: so few are in use at a time, whatever is asked for. See Frugal.
type Cache struct {
	capacity int

	mu struct {
		sync.Mutex
		clock []*Handle // handles that hold the cache's reference
		hand  int
	}
}

// NewCache returns a cache for capacity open files; less than 1 counts as 1.
func NewCache(capacity int) *Cache {
	return &Cache{capacity: max(capacity, 1)}
}

// Open returns the number of files that the cache itself holds open.
func (c *Cache) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.mu.clock)
}

// Slot is one file's place in a Cache. It is made by Init and must not be copied.
type Slot struct {
	cache  *Cache
	opener Opener
	open   atomic.Pointer[Handle] // nil: not open

	mu     sync.Mutex // held while opening, so that a file is opened once
	closed bool       // under mu
	kind   uint8
}

// Init makes s a place for the file that opener opens for kind. It is called once, before any other
// method.
func (s *Slot) Init(c *Cache, opener Opener, kind uint8) {
	s.cache, s.opener, s.kind = c, opener, kind
}

// Acquire returns the open file, opening it if need be. The caller releases it once.
func (s *Slot) Acquire() (*Handle, error) {
	if h := s.open.Load(); h != nil && h.acquire() {
		return h, nil
	}
	return s.acquireSlow()
}

func (s *Slot) acquireSlow() (*Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrSlotClosed
	}
	if h := s.open.Load(); h != nil && h.acquire() {
		return h, nil // another goroutine opened it meanwhile
	}
	f, err := s.opener.OpenSlot(s.kind)
	if err != nil {
		return nil, err
	}
	h := &Handle{File: f, slot: s}
	h.refs.Store(2) // the cache's and the caller's
	h.used.Store(true)
	s.open.Store(h)
	s.cache.add(h)
	return h, nil
}

// Ready makes sure that the file is open, or says why it cannot be, for those who are about to use it: it may be closed by
// then, and Acquire opens it again. It costs less than an Acquire if the file is open.
func (s *Slot) Ready() error {
	if s.open.Load() != nil {
		return nil
	}
	h, err := s.acquireSlow()
	if err == nil {
		h.Release()
	}
	return err
}

// Drop closes the file once nobody uses it; the next Acquire opens it again.
func (s *Slot) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked()
}

// Close drops the file for good: further Acquires fail with ErrSlotClosed.
func (s *Slot) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.dropLocked()
}

func (s *Slot) dropLocked() {
	if h := s.open.Swap(nil); h != nil && s.cache.remove(h) {
		h.Release()
	}
}

// Handle is an open file with a count of its users.
type Handle struct {
	File
	slot *Slot
	refs atomic.Int32 // 0: closed
	used atomic.Bool  // since the clock's hand last passed
	at   int          // index in the clock, under Cache.mu; -1: evicted
}

// Release gives the handle back. The handle must not be used afterwards.
func (h *Handle) Release() {
	if h.refs.Add(-1) == 0 {
		_ = h.Close() // what had to be durable was synced; nobody is left to hear of it
	}
}

// OSFile returns the operating system's file, for sendfile; nil if there is none.
func (h *Handle) OSFile() *os.File { return h.File.OSFile() }

// acquire adds a user unless the handle is closed or about to be.
func (h *Handle) acquire() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			if !h.used.Load() { // a store only if needed keeps the line shared
				h.used.Store(true)
			}
			return true
		}
	}
}

// add gives the cache its reference to h and evicts another handle if there are too many.
func (c *Cache) add(h *Handle) {
	var two [2]*Handle // one for h, and one for another that was in use when it was its turn
	victims := two[:0]
	c.mu.Lock()
	for len(c.mu.clock) >= c.capacity && len(victims) < len(two) {
		victim := c.nextVictimLocked()
		if victim == nil {
			break
		}
		c.removeLocked(victim)
		victims = append(victims, victim)
	}
	h.at = len(c.mu.clock)
	c.mu.clock = append(c.mu.clock, h)
	c.mu.Unlock()
	for _, victim := range victims {
		victim.evicted()
	}
}

// evicted gives up the reference of the cache to a handle that was taken out of the clock.
func (h *Handle) evicted() {
	h.slot.open.CompareAndSwap(h, nil)
	h.Release()
}

// Shed closes up to n files that are not in use, and returns how many.
func (c *Cache) Shed(n int) int {
	var victims []*Handle
	c.mu.Lock()
	for range n {
		victim := c.nextVictimLocked()
		if victim == nil {
			break
		}
		c.removeLocked(victim)
		victims = append(victims, victim)
	}
	c.mu.Unlock()
	for _, victim := range victims {
		victim.evicted()
	}
	return len(victims)
}

// Evict closes the files whose opener which says yes to, each once nobody uses it. Their slots open them again when they
// are asked for.
func (c *Cache) Evict(which func(Opener) bool) {
	c.mu.Lock()
	handles := slices.Clone(c.mu.clock)
	c.mu.Unlock()
	for _, h := range handles {
		if which(h.slot.opener) && c.remove(h) {
			h.evicted()
		}
	}
}

// nextVictimLocked moves the hand to the first handle that is not in use and was not since its last round; nil: all are
// in use. It ends: each handle it passes loses its flag, and goes as soon as the hand comes round again.
func (c *Cache) nextVictimLocked() *Handle {
	for range 2 * len(c.mu.clock) {
		c.mu.hand %= len(c.mu.clock)
		h := c.mu.clock[c.mu.hand]
		if h.refs.Load() == 1 && !h.used.Swap(false) { // the reference of the cache
			return h
		}
		c.mu.hand++
	}
	return nil
}

// remove takes the cache's reference away from h; false if it was gone.
func (c *Cache) remove(h *Handle) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.at < 0 {
		return false
	}
	c.removeLocked(h)
	return true
}

func (c *Cache) removeLocked(h *Handle) {
	last := len(c.mu.clock) - 1
	moved := c.mu.clock[last]
	c.mu.clock[h.at] = moved
	moved.at = h.at
	c.mu.clock[last] = nil
	c.mu.clock = c.mu.clock[:last]
	h.at = -1
}
