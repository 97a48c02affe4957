package segment

import (
	"fmt"
	"math"

	"github.com/gregor-mq/gregor/broker/record"
)

// Append writes records, whole batches with their offsets assigned, behind the last one, with one
// write. It is the owner's to check that they are valid. ErrFull means that the owner has to roll
// first. After any error the segment is as before.
func (s *Segment) Append(records []byte) error {
	if len(records) == 0 {
		return nil
	}
	if err := s.append(records); err != nil {
		return s.wrap("append to", err)
	}
	return nil
}

func (s *Segment) append(records []byte) error {
	if err := s.load(); err != nil {
		return err
	}
	if err := s.makeRoom(); err != nil {
		return err
	}
	s.mu.RLock()
	pos, next := s.size, s.next
	s.mu.RUnlock()
	if pos+int64(len(records)) > maxSize {
		return ErrFull
	}
	if err := s.checkOffsets(records, next); err != nil {
		return err
	}
	if err := s.write(records, pos); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.add(hint{offset: next, position: pos})
	for rest := records; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			return err // checkOffsets has walked them
		}
		s.noteLocked(b, int64(len(b)), pos)
		pos += int64(len(b))
		rest = tail
	}
	if pos == int64(len(records)) {
		s.first, s.firstKnown = s.maxTime.Timestamp, true
	}
	s.dirty = true
	return nil
}

// checkOffsets refuses batches that do not follow next, or lie too far from the base for an index.
func (s *Segment) checkOffsets(records []byte, next int64) error {
	for rest := records; len(rest) > 0; {
		b, tail, err := record.Next(rest)
		if err != nil {
			return err
		}
		last := b.LastOffset()
		if !fitsRelative(s.base, last) {
			return fmt.Errorf("%w: offset %d is too far from its base", ErrFull, last)
		}
		if last < next {
			return fmt.Errorf("batch ends at offset %d, below the segment's next offset %d", last, next)
		}
		next, rest = last+1, tail
	}
	return nil
}

// write writes records at pos. What a failed write leaves behind is cut, as well as can be: readers
// never see it, but after a clean stop nobody would look for it.
func (s *Segment) write(records []byte, pos int64) error {
	h, err := s.log.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if _, err := h.WriteAt(records, pos); err != nil {
		if !s.prealloc {
			_ = h.Truncate(pos)
		}
		return err
	}
	return nil
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
