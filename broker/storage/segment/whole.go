package segment

import "io"

// wholeBatches returns how many bytes of the whole batches from the one at pos on lie before limit. If
// there are none, it also returns the size of that batch, which is larger. size is that of the log.
//
// The index leads to a batch close before limit, so that this costs one read of the index and one of a
// header. It pays: where the batches end is where the reader is likely to go on; it is remembered, and
// to find it then would cost the same.
func (s *Segment) wholeBatches(gen uint64, pos, limit, size int64) (whole, first int64, err error) {
	entry, _, err := s.floor(&s.offsets, func(e []byte) bool { return entryPosition(e) <= limit })
	if err != nil {
		return 0, 0, err
	}
	h, err := s.log.Acquire()
	if err != nil {
		return 0, 0, err
	}
	defer h.Release()
	w := newWalker(h, max(pos, entryPosition(entry[:])), size)
	defer w.done()
	if w.pos > pos {
		leads, err := w.leadsTo(s.base, s.base+entryRelative(entry[:]))
		if err != nil {
			return 0, 0, err
		}
		if !leads {
			w.pos = pos // an index that points nowhere is no help, but the log is still good
		}
	}
	for {
		head, n, err := w.head()
		switch {
		case err == io.EOF && w.pos > pos: // a batch is cut off behind them
			return w.pos - pos, 0, nil
		case err == io.EOF:
			return 0, 0, corruptAt(w.pos, io.ErrUnexpectedEOF)
		case err != nil:
			return 0, 0, err
		case w.pos+n <= limit:
			w.pos += n
		case w.pos > pos:
			s.hints.put(gen, head.BaseOffset(), w.pos)
			return w.pos - pos, 0, nil
		default:
			next := head.LastOffset() + 1
			w.pos += n
			if _, _, err := w.head(); err == nil || w.pos == size { // or else a reader would get what is left of a batch
				s.hints.put(gen, next, w.pos)
			}
			return 0, n, nil
		}
	}
}
