package segment

import (
	"errors"
	"io"
	"slices"
)

// splitChunk is how many bytes Split copies at a time, more if a batch is larger.
const splitChunk = 1 << 20

// Overflows reports whether the segment holds an offset that is too far from its base for an index
// (LogSegment.hasOverflow). Brokers before Kafka 1.1 could leave such a segment, by compaction above all
// (KAFKA-6264); nobody appends to one. Of a log that does not end with a whole batch the batches in front of that count.
func (s *Segment) Overflows() (bool, error) {
	next, err := s.NextOffset()
	if errors.Is(err, ErrCorrupt) {
		next, err = s.lastInOrder()
	}
	return next > s.base && !fitsRelative(s.base, next-1), s.wrap("look for the last offset of", err)
}

// lastInOrder walks the segment up to where a batch is not whole, or has an offset below the one before it, and
// returns the offset that follows.
func (s *Segment) lastInOrder() (int64, error) {
	next, size := s.base, s.Size()
	h, err := s.log.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	w := newWalker(h, 0, size)
	defer w.done()
	for {
		head, n, err := w.head()
		switch {
		case err == io.EOF || errors.Is(err, ErrCorrupt):
			return next, nil
		case err != nil:
			return 0, err
		case head.LastOffset() < next:
			return next, nil
		}
		next = head.NextOffset()
		w.pos += n
	}
}

// Split copies the segment's batches to as many segments as their offsets need (LocalLog.splitOverflowedSegment),
// which create makes, and its aborted transactions to those that hold their markers. It returns them and how many
// bytes were copied: all, unless a batch is not whole, and none if one has an offset below the one before it. txns is false if
// the transaction index is not to be trusted. Nothing of what was made is sealed or synced.
func (s *Segment) Split(create func(base int64) (*Segment, error)) (pieces []*Segment, copied int64, txns bool, err error) {
	h, err := s.log.Acquire()
	if err != nil {
		return nil, 0, false, s.wrap("split", err)
	}
	defer h.Release()
	c := splitter{create: create, base: s.base, next: s.base}
	copied, err = c.copyAll(&batchReader{f: h, end: s.Size(), checkLarge: true})
	if err != nil {
		return c.pieces, 0, false, s.wrap("split", err)
	}
	err = s.shareAborted(c.pieces)
	if txns = !errors.Is(err, ErrCorrupt) && !errors.Is(err, io.ErrUnexpectedEOF); !txns {
		err = nil
	}
	return c.pieces, copied, txns, s.wrap("split", err)
}

// splitter is a Split under way. The last piece takes what is in chunk.
type splitter struct {
	create func(base int64) (*Segment, error)
	base   int64 // of what is split
	next   int64
	pieces []*Segment
	chunk  []byte
}

// copyAll copies batches as long as they are whole and in order, and returns where that ends.
func (c *splitter) copyAll(r *batchReader) (int64, error) {
	for {
		pos := r.pos
		b, err := r.next()
		switch {
		case err == io.EOF || errors.Is(err, ErrCorrupt):
			return pos, c.flush()
		case err != nil:
			return 0, err
		case b.LastOffset() < c.next: // then it is a wrong offset in front that is too far away
			return 0, nil
		}
		if n := len(c.pieces); n == 0 || !fitsRelative(c.pieces[n-1].base, b.LastOffset()) {
			base := c.base // as long as it is near enough, so that the log begins where it did
			if n > 0 || !fitsRelative(base, b.LastOffset()) {
				if base, err = b.FirstOffset(); err != nil {
					return pos, c.flush()
				}
			}
			if err := c.begin(base); err != nil {
				return 0, err
			}
		}
		c.chunk = append(c.chunk, b...)
		c.next = b.NextOffset()
		if len(c.chunk) >= splitChunk {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
}

func (c *splitter) begin(base int64) error {
	if err := c.flush(); err != nil {
		return err
	}
	s, err := c.create(base)
	if err == nil {
		c.pieces = append(c.pieces, s)
	}
	return err
}

func (c *splitter) flush() error {
	if len(c.chunk) == 0 {
		return nil
	}
	err := c.pieces[len(c.pieces)-1].Append(c.chunk)
	c.chunk = c.chunk[:0]
	return err
}

// shareAborted copies the aborted transactions to those of pieces that hold their markers.
func (s *Segment) shareAborted(pieces []*Segment) error {
	var failed error
	err := s.eachAborted(func(_ int, t AbortedTxn) bool {
		for _, piece := range slices.Backward(pieces) {
			if piece.base <= t.LastOffset {
				failed = piece.AppendAborted(t)
				break
			}
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}
