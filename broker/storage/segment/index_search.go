package segment

import "io"

// leading returns how many of the first n entries of f satisfy before, which holds for the first
// ones and no others. It halves the range by single entries until a block covers it.
func leading(f io.ReaderAt, width, n int, before func(e []byte) bool) (int, error) {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	lo, hi := 0, n
	for hi-lo > blockSize/width {
		mid := lo + (hi-lo)/2
		if err := readFull(f, block[:width], int64(mid)*int64(width)); err != nil {
			return 0, err
		}
		if before(block[:width]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	entries := block[:(hi-lo)*width]
	if err := readFull(f, entries, int64(lo)*int64(width)); err != nil {
		return 0, err
	}
	return lo + leadingIn(entries, width, before), nil
}

// leadingIn is leading for entries in memory.
func leadingIn(entries []byte, width int, before func(e []byte) bool) int {
	lo, hi := 0, len(entries)/width
	for lo < hi {
		mid := lo + (hi-lo)/2
		if before(entries[mid*width : (mid+1)*width]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// neighbours are the last entry of an index that satisfies a condition, and the one behind it.
type neighbours struct {
	last, next [timeWidth]byte
	found      bool // last is there
	followed   bool // next is known; there may be one that is not
}

// floor copies the last entry that satisfies before; false if none does.
func (s *Segment) floor(ix *index, before func(e []byte) bool) (e [timeWidth]byte, ok bool, err error) {
	n, err := s.around(ix, before)
	return n.last, n.found, err
}

// around copies the last entry that satisfies before, and the one behind it.
func (s *Segment) around(ix *index, before func(e []byte) bool) (n neighbours, err error) {
	s.mu.RLock()
	filed := ix.filed
	if k := leadingIn(ix.tail, ix.width, before); k > 0 {
		n.take(ix.tail, ix.width, k)
		s.mu.RUnlock()
		return n, nil
	}
	s.mu.RUnlock()
	if filed == 0 {
		return n, nil
	}
	h, err := ix.slot.Acquire()
	if err != nil {
		return n, err
	}
	defer h.Release()
	err = ix.aroundInFile(h, filed, before, &n)
	return n, err
}

// take copies the entry before the k-th one of entries, and that one if it is there.
func (n *neighbours) take(entries []byte, width, k int) {
	copy(n.last[:width], entries[(k-1)*width:])
	n.found = true
	if n.followed = (k+1)*width <= len(entries); n.followed {
		copy(n.next[:width], entries[k*width:])
	}
}

// aroundInFile is around for the first count entries of the file. A reader that goes through the log
// needs next what lies little behind the entry it needed last, so that block is tried first.
func (ix *index) aroundInFile(f io.ReaderAt, count int, before func(e []byte) bool, n *neighbours) error {
	block := blocks.Get().(*[blockSize]byte)
	defer blocks.Put(block)
	near := min(int(ix.near.Load()), count-1)
	entries := block[:min(count-near, blockSize/ix.width)*ix.width]
	if err := readFull(f, entries, int64(near)*int64(ix.width)); err != nil {
		return err
	}
	k := leadingIn(entries, ix.width, before)
	if k > 0 && (k*ix.width < len(entries) || near+k == count) {
		n.take(entries, ix.width, k)
		ix.near.Store(int32(near + k - 1))
		return nil
	}
	k, err := leading(f, ix.width, count, before)
	if err != nil || k == 0 {
		return err
	}
	ix.near.Store(int32(k - 1))
	pair := block[:min(2, count-k+1)*ix.width]
	if err := readFull(f, pair, int64(k-1)*int64(ix.width)); err != nil {
		return err
	}
	n.take(pair, ix.width, 1)
	return nil
}

// ceiling copies the first entry that does not satisfy before; false if all do.
func (s *Segment) ceiling(ix *index, before func(e []byte) bool) (e [timeWidth]byte, ok bool, err error) {
	s.mu.RLock()
	filed := ix.filed
	s.mu.RUnlock()
	if filed > 0 {
		h, err := ix.slot.Acquire()
		if err != nil {
			return e, false, err
		}
		defer h.Release()
		k, err := leading(h, ix.width, filed, before)
		if err != nil {
			return e, false, err
		}
		if k < filed {
			return e, true, readFull(h, e[:ix.width], int64(k)*int64(ix.width))
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	tail := ix.tail
	if k := leadingIn(tail, ix.width, before); k*ix.width < len(tail) {
		copy(e[:], tail[k*ix.width:(k+1)*ix.width])
		return e, true, nil
	}
	return e, false, nil // perhaps spilled meanwhile: no bound known is a good answer, too
}
