package segment

import (
	"fmt"
	"math"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Append writes appends, each of which is whole batches with their offsets assigned, one behind the
// other behind the last batch, with one write. It is the owner's to check that they are valid, and
// the list belongs to the owner again when Append returns. ErrFull means that the owner has to roll
// first, record.ErrOffsetsOutOfOrder that a batch ends below the segment's next offset. After any error
// the segment is as before.
func (s *Segment) Append(appends ...[]byte) error {
	size := 0
	for _, records := range appends {
		size += len(records)
	}
	if size == 0 {
		return nil
	}
	return s.wrap("append to", s.append(appends, int64(size)))
}

func (s *Segment) append(appends [][]byte, size int64) error {
	if err := s.load(); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	s.mu.RLock()
	pos, next := s.size, s.next
	s.mu.RUnlock()
	if pos+size > maxSize {
		return ErrFull
	}
	for _, records := range appends {
		var err error
		if next, err = s.checkOffsets(records, next); err != nil {
			return err
		}
	}
	if err := s.write(appends, pos, size); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, records := range appends {
		if err := s.addLocked(records); err != nil {
			return err
		}
	}
	s.dirty = true
	return nil
}

// addLocked accounts for one append, which is written. It requires mu.
func (s *Segment) addLocked(records []byte) error {
	first := s.size == 0
	s.recent.add(hint{offset: s.next, position: s.size})
	for rest := records; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			return err // checkOffsets has walked them
		}
		s.noteLocked(b, int64(len(b)), s.size)
		rest = tail
	}
	if first {
		s.first, s.firstKnown = s.maxTime.Timestamp, true
	}
	return nil
}

// checkOffsets refuses batches that do not follow next, or lie too far from the base for an index. It
// returns the offset that follows them.
func (s *Segment) checkOffsets(records []byte, next int64) (int64, error) {
	for rest := records; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			return 0, err
		}
		last := b.LastOffset()
		if !fitsRelative(s.base, last) {
			return 0, fmt.Errorf("%w: offset %d is too far from its base", ErrFull, last)
		}
		if last < next {
			return 0, fmt.Errorf("%w: batch ends at offset %d, below the segment's next offset %d", record.ErrOffsetsOutOfOrder, last, next)
		}
		next, rest = last+1, tail
	}
	return next, nil
}

// write writes appends, size bytes in all, at pos. What a failed write leaves behind is cut, as well
// as can be: readers never see it, but after a clean stop nobody would look for it.
func (s *Segment) write(appends [][]byte, pos, size int64) error {
	h, err := s.log.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	s.reserve(h, pos, pos+size)
	if len(appends) == 1 {
		_, err = h.WriteAt(appends[0], pos)
	} else {
		_, err = h.WriteVAt(appends, pos)
	}
	if err != nil && !s.prealloc {
		_ = h.Truncate(pos)
	}
	return err
}

// How much room on the disk is reserved ahead of the end of a log that grows. A file system finds
// room for a megabyte with about the work that a page takes, and what it does not find for each page
// of each append leaves a quarter of an append's time. Small logs, of which there may be many, reserve
// nothing, and large ones little beside what they hold.
const (
	reserveFrom = 1 << 20 // size of a log from which on it reserves
	reserveMin  = 1 << 20
	reserveMax  = 16 << 20
)

// reserve reserves room behind end, if what was reserved before ends there. It is called by the
// writer.
func (s *Segment) reserve(h *vfs.Handle, pos, end int64) {
	if end <= s.reserved || pos < reserveFrom || s.prealloc || s.unreservable {
		return
	}
	ahead := min(max(pos/16, reserveMin), reserveMax, maxSize-end)
	from := max(pos, s.reserved)
	if err := h.Reserve(from, end+ahead-from); err != nil {
		s.unreservable = true // the disk is nearly full, or its file system knows no such thing
		return
	}
	s.reserved = end + ahead
}

// noteLocked accounts for a batch of size bytes at pos: timestamps, indexes, end of the segment. It
// requires mu and a loaded segment.
func (s *Segment) noteLocked(b record.Batch, size, pos int64) {
	last := b.LastOffset()
	if ts := b.MaxTimestamp(); ts > s.maxTime.Timestamp {
		s.maxTime = TimestampOffset{Timestamp: ts, Offset: last}
	}
	if s.unindexed > s.interval {
		if s.offsets.countLocked() < s.maxIndex/offsetWidth {
			var e [offsetWidth]byte
			s.offsets.addLocked(appendOffsetEntry(e[:0], int32(last-s.base), pos))
		}
		s.addTimeLocked(false)
		s.unindexed = 0
	}
	s.unindexed = int(min(int64(s.unindexed)+size, math.MaxInt32))
	s.next, s.size = last+1, pos+size
}

// addTimeLocked adds a time index entry if the largest timestamp has grown since the last one. The
// last place is for the one that Seal forces.
func (s *Segment) addTimeLocked(force bool) {
	if s.maxTime.Timestamp <= s.lastTimeLocked().Timestamp {
		return
	}
	if !force && s.times.countLocked() >= s.maxIndex/timeWidth-1 {
		return
	}
	var e [timeWidth]byte
	s.times.addLocked(appendTimeEntry(e[:0], s.maxTime.Timestamp, int32(s.maxTime.Offset-s.base)))
}

// makeRoom writes the indexes out that have too much in memory.
func (s *Segment) makeRoom() error {
	for _, ix := range [...]*index{&s.offsets, &s.times} {
		s.mu.RLock()
		full := len(ix.tail) >= tailEntries*ix.width
		s.mu.RUnlock()
		if full {
			if err := s.spill(ix); err != nil {
				return err
			}
		}
	}
	return nil
}
