package segment

// locate returns where the first batch with a last offset at or beyond offset begins, and the size of
// the log at that time; both are equal if there is no such batch.
func (s *Segment) locate(offset int64) (pos, size int64, err error) {
	p, err := s.place(offset)
	return p.pos, p.size, err
}

// place is what locate finds. first is where the batch's offsets begin, if that was seen to be behind the offset asked
// for, and otherwise that offset.
type place struct{ pos, size, first int64 }

func (s *Segment) place(offset int64) (place, error) {
	for {
		s.mu.RLock()
		gen, size := s.gen, s.size
		atEnd := s.loaded && offset >= s.next
		exactEnd := s.loaded && offset == s.next
		near, found := s.recent.floor(offset)
		sound := s.firstKnown // a batch begins the file: what is left of one must not be served for it
		s.mu.RUnlock()

		at := func(pos int64) (place, error) { return place{pos, size, offset}, nil }
		switch {
		case size == 0 || sound && offset <= s.base:
			return at(0)
		case exactEnd:
			s.hints.put(gen, offset, size) // where this reader will go on
			return at(size)
		case atEnd:
			return at(size)
		case found && near.offset == offset:
			return at(near.position)
		}
		if offset <= s.base {
			if _, whole, err := s.firstBatch(); err != nil {
				return place{}, err
			} else if whole {
				return at(0)
			}
		}
		if pos, ok := s.hints.get(gen, offset); ok {
			return at(min(pos, size))
		}
		from, probe, err := near.position, int64(-1), error(nil)
		if !found {
			from, probe, err = s.indexed(offset, size)
		}
		p := place{size: size}
		if err == nil {
			p.pos, p.first, err = s.scan(offset, from, probe, size)
		}
		if s.generation() != gen {
			continue
		}
		if err == nil && p.pos < size {
			s.hints.put(gen, offset, p.pos)
		}
		return p, err
	}
}

// indexed returns the position of a batch at or before offset, from the offset index, and that of the
// next indexed one if it is likely to hold offset, and otherwise -1. That is so where the index has an
// entry for each batch, because batches are larger than its interval.
func (s *Segment) indexed(offset, size int64) (from, probe int64, err error) {
	relative := offset - s.base
	n, err := s.around(&s.offsets, func(e []byte) bool { return entryRelative(e) <= relative })
	if err != nil || !n.found {
		return 0, -1, err
	}
	if from = entryPosition(n.last[:]); from < 0 || from >= size {
		return 0, -1, nil // an index that points nowhere is no help, but the log is still good
	}
	probe = entryPosition(n.next[:])
	exact := entryRelative(n.last[:]) == relative // it is the one at from
	if dense := probe-from >= 2*int64(s.interval); exact || !n.followed || !dense || probe >= size {
		probe = -1
	}
	return from, probe, nil
}

// scan walks the batches of [from, size) to offset, unless it is in the batch at probe, if that is not -1. It returns a
// place without its size.
// An index with a wrong entry leads to no batch, or to one behind offset: then all batches are walked.
func (s *Segment) scan(offset, from, probe, size int64) (pos, first int64, err error) {
	h, err := s.log.Acquire()
	if err != nil {
		return 0, 0, err
	}
	defer h.Release()
	w := newWalker(h, from, size)
	defer w.done()
	if probe >= 0 {
		w.pos = probe
		head, _, err := w.head()
		switch {
		case err == nil && head.BaseOffset() <= offset && offset <= head.LastOffset():
			return probe, offset, nil
		case err != nil && !noBatch(err):
			return 0, 0, err
		}
		w.pos = from
	}
	if from > 0 {
		leads, err := w.leadsTo(s.base, offset)
		if err != nil {
			return 0, 0, err
		}
		if !leads {
			w.pos = 0
		}
	}
	return w.seek(offset)
}
