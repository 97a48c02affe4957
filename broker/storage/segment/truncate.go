package segment

import (
	"errors"
)

// Truncate removes the batch that holds offset and all behind it; records before offset in the same
// batch go as well. NextOffset is offset afterwards. It returns the number of bytes removed. nowMs
// is the time from which the age of a segment counts that has become empty.
//
// The indexes are cut before the log: a crash in between leaves batches without entries, never
// entries without batches.
func (s *Segment) Truncate(offset, nowMs int64) (int64, error) {
	if err := s.load(); err != nil {
		return 0, s.wrap("truncate", err)
	}
	pos, size, err := s.locate(offset)
	if err != nil || pos >= size {
		return 0, s.wrap("truncate", err)
	}
	if err := s.cut(offset, pos, nowMs); err != nil {
		return 0, s.wrap("truncate", err)
	}
	return size - pos, s.wrap("truncate", s.reloadMaxTime())
}

func (s *Segment) cut(offset, pos, nowMs int64) error {
	s.spillMu.Lock()
	defer s.spillMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.recent.reset()
	relative := offset - s.base
	err := errors.Join(
		s.offsets.truncateLocked(func(e []byte) bool { return entryRelative(e) < relative }),
		s.times.truncateLocked(func(e []byte) bool { return entryTimeRelative(e) < relative }),
		s.cutTxnsLocked(offset),
	)
	if err != nil {
		return err
	}
	h, err := s.log.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if err := h.Truncate(pos); err != nil {
		return err
	}
	s.size, s.next, s.prealloc, s.reserved, s.dirty = pos, max(offset, s.base), false, 0, true
	s.unindexed = 0
	s.maxTime, s.maxKnown, s.maxProven = s.lastTimeLocked(), true, false // at least; reloadMaxTime looks further
	if pos == 0 {
		s.created, s.first, s.firstKnown = nowMs, -1, true
	}
	return nil
}

// reloadMaxTime finds the largest timestamp again, behind the last time index entry.
func (s *Segment) reloadMaxTime() error {
	s.mu.RLock()
	newest, size, from := s.lastTimeLocked(), s.size, int64(0)
	if s.offsets.countLocked() > 0 {
		from = entryPosition(s.offsets.last[:])
	}
	s.mu.RUnlock()
	_, newest, err := s.walkEnd(from, size, newest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxTime, s.maxKnown = newest, true
	return nil
}
