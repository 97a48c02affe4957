package vfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// counted is an Opener that counts how many of its files are open.
type counted struct {
	fs     FS
	opens  atomic.Int64
	isOpen atomic.Int64
}

type countedFile struct {
	File
	c *counted
}

func (f countedFile) Close() error {
	f.c.isOpen.Add(-1)
	return f.File.Close()
}

func (c *counted) OpenSlot(kind uint8) (File, error) {
	f, err := c.fs.OpenFile(fmt.Sprint("f", kind), ReadWrite|Create)
	if err != nil {
		return nil, err
	}
	c.opens.Add(1)
	c.isOpen.Add(1)
	return countedFile{f, c}, nil
}

func slots(c *Cache, opener Opener, n int) []Slot {
	s := make([]Slot, n)
	for i := range s {
		s[i].Init(c, opener, uint8(i))
	}
	return s
}

func TestCacheIsBounded(t *testing.T) {
	opener := &counted{fs: NewMem()}
	cache := NewCache(3)
	s := slots(cache, opener, 10)
	for round := range 3 {
		for i := range s {
			must(s[i].Acquire())(t).Release()
			if open := opener.isOpen.Load(); open > 3 {
				t.Fatalf("round %d: %d files open", round, open)
			}
		}
	}
	if cache.Open() != 3 {
		t.Errorf("cache holds %d files", cache.Open())
	}
	before := opener.opens.Load()
	for range 10 {
		must(s[9].Acquire())(t).Release()
	}
	if opener.opens.Load() != before {
		t.Error("a cached file was opened again")
	}
}

// A file in constant use stays, though others come and go.
func TestCacheGivesASecondChance(t *testing.T) {
	opener := &counted{fs: NewMem()}
	s := slots(NewCache(4), opener, 50)
	must(s[0].Acquire())(t).Release()
	for i := 1; i < 50; i++ {
		must(s[i].Acquire())(t).Release()
		must(s[0].Acquire())(t).Release()
	}
	if opens := opener.opens.Load(); opens > 53 {
		t.Errorf("%d opens for 50 files", opens)
	}
}

// A handle is good until released, whatever becomes of its slot.
func TestHandleOutlivesEvictionAndClose(t *testing.T) {
	opener := &counted{fs: NewMem()}
	s := slots(NewCache(1), opener, 2)
	h := must(s[0].Acquire())(t)
	if _, err := h.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	must(s[1].Acquire())(t).Release() // evicts s[0]
	s[0].Close()
	if _, err := h.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("read of an evicted handle: %v", err)
	}
	h.Release()
	if open := opener.isOpen.Load(); open != 1 {
		t.Errorf("%d files open, want that of s[1]", open)
	}
	if _, err := s[0].Acquire(); !errors.Is(err, ErrSlotClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	s[1].Drop()
	s[1].Drop()
	if open := opener.isOpen.Load(); open != 0 {
		t.Errorf("%d files open after Drop", open)
	}
	must(s[1].Acquire())(t).Release()
}

func TestCacheUnderConcurrentUse(t *testing.T) {
	opener := &counted{fs: NewMem()}
	cache := NewCache(5)
	s := slots(cache, opener, 20)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range 2000 {
				slot := &s[rng.IntN(len(s))]
				if rng.IntN(50) == 0 {
					slot.Drop()
					continue
				}
				h, err := slot.Acquire()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := h.WriteAt([]byte{1}, 0); err != nil {
					t.Error(err)
				}
				h.Release()
			}
		})
	}
	wg.Wait()
	if open := opener.isOpen.Load(); open != int64(cache.Open()) || open > 5 {
		t.Errorf("%d files open, %d cached", open, cache.Open())
	}
	for i := range s {
		s[i].Close()
	}
	if open := opener.isOpen.Load(); open != 0 || cache.Open() != 0 {
		t.Errorf("%d files open, %d cached after Close", open, cache.Open())
	}
}

func BenchmarkAcquire(b *testing.B) {
	s := slots(NewCache(1), &counted{fs: NewMem()}, 1)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h, err := s[0].Acquire()
			if err != nil {
				b.Fatal(err)
			}
			h.Release()
		}
	})
}

// To evict a file that is in use closes nothing: those that are not go first, and as soon as one is given back the cache is
// within its bound again.
func TestCachePassesOverFilesInUse(t *testing.T) {
	opener := &counted{fs: NewMem()}
	cache := NewCache(4)
	s := slots(cache, opener, 20)
	var held []*Handle
	for i := range 3 {
		held = append(held, must(s[i].Acquire())(t))
	}
	for i := range s {
		must(s[i].Acquire())(t).Release()
		if open := opener.isOpen.Load(); open > 4 {
			t.Fatalf("%d files are open, 3 in use", open)
		}
	}
	for i := 3; i < 7; i++ {
		held = append(held, must(s[i].Acquire())(t))
	}
	if open := opener.isOpen.Load(); open != 7 {
		t.Errorf("%d files are open, 7 in use", open)
	}
	for _, h := range held {
		h.Release()
	}
	for i := 10; i < 20; i++ {
		must(s[i].Acquire())(t).Release()
	}
	if open := opener.isOpen.Load(); open != 4 {
		t.Errorf("%d files are open, none in use", open)
	}
}
