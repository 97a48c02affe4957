package segment

import (
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Sizes of index entries in bytes.
const (
	OffsetEntrySize = 8
	TimeEntrySize   = 12
)

const (
	offsetWidth = OffsetEntrySize
	timeWidth   = TimeEntrySize
)

// ParseOffsetEntry takes an entry of the offset index of the segment at base apart: the last offset of a batch, and the
// position of that or an earlier batch in the log file.
func ParseOffsetEntry(base int64, e []byte) (offset, position int64) {
	return base + entryRelative(e), entryPosition(e)
}

// ParseTimeEntry takes an entry of the time index of the segment at base apart.
func ParseTimeEntry(base int64, e []byte) TimestampOffset {
	return TimestampOffset{Timestamp: entryTimestamp(e), Offset: base + entryTimeRelative(e)}
}

// tailEntries is how many entries an index keeps in memory before they go to its file; one append
// may exceed it by the entries of its own batches.
const tailEntries = 512

// index is an offset or time index: entries in the file, then entries in memory. All but slot,
// kind, width and near is guarded by Segment.mu.
type index struct {
	slot  vfs.Slot
	kind  uint8
	width int
	filed int    // entries in the file
	tail  []byte // entries behind these, encoded
	last  [timeWidth]byte
	// lastKnown is false until the last entry of an opened index was read into last.
	lastKnown bool
	near      atomic.Int32 // entry of the file that was looked up last; needs no lock
}

func (ix *index) countLocked() int { return ix.filed + len(ix.tail)/ix.width }

func (ix *index) addLocked(e []byte) {
	ix.tail = append(ix.tail, e...)
	copy(ix.last[:], e)
	ix.lastKnown = true
}

func appendOffsetEntry(dst []byte, relative int32, position int64) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(relative))
	return binary.BigEndian.AppendUint32(dst, uint32(position))
}

func appendTimeEntry(dst []byte, timestamp int64, relative int32) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(timestamp))
	return binary.BigEndian.AppendUint32(dst, uint32(relative))
}

// Fields of an offset index entry.
func entryRelative(e []byte) int64 { return int64(int32(binary.BigEndian.Uint32(e))) }
func entryPosition(e []byte) int64 { return int64(int32(binary.BigEndian.Uint32(e[4:]))) }

// Fields of a time index entry.
func entryTimestamp(e []byte) int64    { return int64(binary.BigEndian.Uint64(e)) }
func entryTimeRelative(e []byte) int64 { return int64(int32(binary.BigEndian.Uint32(e[8:]))) }

// blocks are buffers for reading indexes and batch headers.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

const blockSize = 4096

// readFull reads len(p) bytes at off. A file that ends before is io.ErrUnexpectedEOF.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := f.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	}
	return err
}

// loadLast reads an index's last entry if that is not known.
func (s *Segment) loadLast(ix *index) error {
	s.mu.RLock()
	known, filed := ix.lastKnown || len(ix.tail) > 0, ix.filed
	s.mu.RUnlock()
	if known {
		return nil
	}
	var e [timeWidth]byte
	if filed > 0 {
		h, err := ix.slot.Acquire()
		if err != nil {
			return err
		}
		defer h.Release()
		if err := readFull(h, e[:ix.width], int64(filed-1)*int64(ix.width)); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ix.lastKnown {
		ix.last, ix.lastKnown = e, true
	}
	return nil
}

// lastTimeLocked returns the time index's last entry, (-1, base) if it is empty. It requires mu and
// a loaded last entry.
func (s *Segment) lastTimeLocked() TimestampOffset {
	if s.times.countLocked() == 0 {
		return TimestampOffset{Timestamp: -1, Offset: s.base}
	}
	e := s.times.last[:]
	return TimestampOffset{Timestamp: entryTimestamp(e), Offset: s.base + entryTimeRelative(e)}
}

// spill writes an index's entries in memory to its file. It may run beside an append, which only
// adds entries behind those written here.
func (s *Segment) spill(ix *index) error {
	s.spillMu.Lock()
	defer s.spillMu.Unlock()
	s.mu.RLock()
	data, filed := ix.tail[:len(ix.tail):len(ix.tail)], ix.filed
	s.mu.RUnlock()
	if len(data) == 0 {
		return nil
	}
	h, err := ix.slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if _, err := h.WriteAt(data, int64(filed)*int64(ix.width)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = true
	ix.filed += len(data) / ix.width
	rest := ix.tail[len(data):]
	if cap(ix.tail) > 4*tailEntries*ix.width {
		ix.tail = nil // grown by one large append
	}
	ix.tail = append(ix.tail[:0], rest...)
	return nil
}

// truncateLocked drops the entries that do not satisfy keep, on disk and in memory. It requires
// Segment.spillMu and mu.
func (ix *index) truncateLocked(keep func(e []byte) bool) error {
	ix.lastKnown = false
	if k := leadingIn(ix.tail, ix.width, keep); k > 0 {
		ix.tail = ix.tail[:k*ix.width]
		copy(ix.last[:], ix.tail[(k-1)*ix.width:])
		ix.lastKnown = true
		return nil
	}
	ix.tail = ix.tail[:0]
	h, err := ix.slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	k, err := leading(h, ix.width, ix.filed, keep)
	if err != nil {
		return err
	}
	if k < ix.filed {
		if err := h.Truncate(int64(k) * int64(ix.width)); err != nil {
			return err
		}
		ix.filed = k
	}
	if k > 0 {
		if err := readFull(h, ix.last[:ix.width], int64(k-1)*int64(ix.width)); err != nil {
			return err
		}
	}
	ix.lastKnown = true
	return nil
}
