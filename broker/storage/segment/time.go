package segment

import (
	"io"
	"math"

	"github.com/gregor-mq/gregor/broker/record"
)

// Found is a record found by its timestamp.
type Found struct {
	Timestamp   int64 // ms
	Offset      int64
	LeaderEpoch int32 // of its batch
}

// MaxTimestamp returns the largest timestamp in the segment and the last offset of the first batch
// that has it; (-1, base) if there is none.
func (s *Segment) MaxTimestamp() (TimestampOffset, error) {
	s.mu.RLock()
	known, newest := s.maxKnown, s.maxTime
	s.mu.RUnlock()
	if known {
		return newest, nil
	}
	if err := s.loadLast(&s.times); err != nil {
		return TimestampOffset{}, s.wrap("read", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.maxKnown { // Seal has left an entry for the largest one
		s.maxTime, s.maxKnown = s.lastTimeLocked(), true
	}
	return s.maxTime, nil
}

// LargestTimestamp returns the largest timestamp in ms, or the log file's modification time if the
// records have none. Retention by time goes by it.
func (s *Segment) LargestTimestamp() (int64, error) {
	newest, err := s.MaxTimestamp()
	if err != nil || newest.Timestamp >= 0 {
		return newest.Timestamp, err
	}
	modified, err := s.LastModified()
	return modified.UnixMilli(), err
}

// FirstTimestamp returns the largest timestamp of the first batch in ms, math.MaxInt64 if it has
// none. The compaction lag counts from it.
func (s *Segment) FirstTimestamp() (int64, error) {
	first, err := s.firstTimestamp()
	if err == nil && first < 0 {
		first = math.MaxInt64
	}
	return first, err
}

// firstTimestamp returns -1 for none.
func (s *Segment) firstTimestamp() (int64, error) {
	first, whole, err := s.firstBatch()
	if !whole {
		first = -1
	}
	return first, s.wrap("read", err)
}

// firstBatch returns the largest timestamp of the batch that begins the log file, whatever its offsets are; false if there
// is no whole one. It is read once.
func (s *Segment) firstBatch() (timestamp int64, whole bool, err error) {
	s.mu.RLock()
	known, first, gen, size := s.firstKnown, s.first, s.gen, s.size
	s.mu.RUnlock()
	if known || size == 0 {
		return first, size > 0, nil
	}
	h, err := s.log.Acquire()
	if err != nil {
		return 0, false, err
	}
	defer h.Release()
	w := newWalker(h, 0, size)
	defer w.done()
	head, _, err := w.head()
	if err == io.EOF {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	first = head.MaxTimestamp()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == gen && !s.firstKnown {
		s.first, s.firstKnown = first, true
	}
	return first, true, nil
}

// FindTimestamp returns the first record with a timestamp of at least ts and an offset of at least
// from; false if the segment holds none.
func (s *Segment) FindTimestamp(ts, from int64) (Found, bool, error) {
	found, ok, err := s.undisturbed(func() (Found, bool, error) {
		e, ok, err := s.floor(&s.times, func(e []byte) bool { return entryTimestamp(e) <= ts })
		if err != nil {
			return Found{}, false, err
		}
		start := from // no record at or before the entry's offset is newer than the entry
		if ok {
			start = max(start, s.base+entryTimeRelative(e[:]))
		}
		pos, size, err := s.locate(start)
		if err != nil {
			return Found{}, false, err
		}
		return s.findFrom(pos, size, ts, from)
	})
	return found, ok, s.wrap("read", err)
}

// MaxTimestampRecord returns the first record with the segment's largest timestamp (KIP-734); false
// if the records have no timestamps.
func (s *Segment) MaxTimestampRecord() (Found, bool, error) {
	found, ok, err := s.undisturbed(func() (Found, bool, error) {
		newest, err := s.MaxTimestamp()
		if err != nil || newest.Timestamp < 0 {
			return Found{}, false, err
		}
		pos, size, err := s.locate(newest.Offset)
		if err != nil {
			return Found{}, false, err
		}
		return s.findFrom(pos, size, newest.Timestamp, s.base)
	})
	return found, ok, s.wrap("read", err)
}

// undisturbed repeats find until no truncation came in between.
func (s *Segment) undisturbed(find func() (Found, bool, error)) (Found, bool, error) {
	for {
		gen := s.generation()
		found, ok, err := find()
		if s.generation() == gen {
			return found, ok, err
		}
	}
}

// findFrom looks through the batches of [pos, size) for the first record with a timestamp of at least
// ts and an offset of at least from. Of batches that cannot hold it only the header is read.
func (s *Segment) findFrom(pos, size, ts, from int64) (Found, bool, error) {
	if pos >= size {
		return Found{}, false, nil
	}
	h, err := s.log.Acquire()
	if err != nil {
		return Found{}, false, err
	}
	defer h.Release()
	w := newWalker(h, pos, size)
	defer w.done()
	for {
		head, n, err := w.head()
		if err == io.EOF {
			return Found{}, false, nil
		}
		if err != nil {
			return Found{}, false, err
		}
		if head.MaxTimestamp() >= ts && head.LastOffset() >= from {
			r := batchReader{f: h, pos: w.pos, end: w.pos + n, buf: make([]byte, n)}
			b, err := r.next()
			if err != nil {
				return Found{}, false, err
			}
			if found, ok, err := findIn(b, ts, from); ok || err != nil {
				return found, ok, err
			}
		}
		w.pos += n
	}
}

func findIn(b record.Batch, ts, from int64) (Found, bool, error) {
	for r, err := range b.Records() {
		if err != nil {
			return Found{}, false, err
		}
		if r.Timestamp >= ts && r.Offset >= from {
			return Found{Timestamp: r.Timestamp, Offset: r.Offset, LeaderEpoch: b.LeaderEpoch()}, true, nil
		}
	}
	return Found{}, false, nil
}
