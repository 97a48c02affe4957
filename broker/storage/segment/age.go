package segment

import (
	"errors"
	"math"
)

// ProvenTimestamp is LargestTimestamp, but goes by the batches. Records are deleted by it, and the time index may be
// wrong: a flipped bit in its last entry, or an end of it that was cut off, makes a segment look older than it is.
// Kafka believes the entry, and deletes the segment before its time.
//
// The entry must name the end of a batch with its timestamp. What lies behind that is looked through, header by
// header; usually that is next to nothing, since the newest record is among the last ones. All batches are looked
// through if the entry is wrong. Once is enough. Where the log itself cannot be read, the index has to do. What is appended or cut off
// meanwhile leaves the segment unproven.
func (s *Segment) ProvenTimestamp() (int64, error) {
	if err := s.proveMaxTime(); err != nil {
		return 0, s.wrap("look for the largest timestamp in", err)
	}
	return s.LargestTimestamp()
}

func (s *Segment) proveMaxTime() error {
	s.mu.RLock()
	proven, size, gen := s.maxProven, s.size, s.gen
	s.mu.RUnlock()
	if proven || size == 0 {
		return nil
	}
	indexed, err := s.MaxTimestamp()
	if err != nil {
		return err
	}
	from, err := s.batchEndingAt(indexed, size)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	_, newest, err := s.walkEnd(from, size, TimestampOffset{Timestamp: math.MinInt64})
	unreadable := errors.Is(err, ErrCorrupt)
	if err != nil && !unreadable {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size != size || s.gen != gen {
		return nil
	}
	s.maxProven = true
	if newest.Timestamp > s.maxTime.Timestamp || !unreadable {
		s.maxTime = newest
	}
	return nil
}

// batchEndingAt returns the position of the batch that ends at t's offset, if it has t's timestamp, and otherwise 0.
func (s *Segment) batchEndingAt(t TimestampOffset, size int64) (int64, error) {
	if t.Timestamp < 0 {
		return 0, nil
	}
	pos, _, err := s.locate(t.Offset)
	if err != nil || pos >= size {
		return 0, err
	}
	h, err := s.log.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	w := newWalker(h, pos, size)
	defer w.done()
	head, _, err := w.head()
	if err != nil || head.LastOffset() != t.Offset || head.MaxTimestamp() != t.Timestamp {
		return 0, nil // whatever is wrong with the batch, the walk from the first one will find it
	}
	return pos, nil
}
