package segment

import (
	"io"
	"os"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Result is what a Read found.
type Result struct {
	// Section holds the bytes; nil if this segment has none to read at the offset, be it not yet or no
	// more. The caller releases it.
	Section  request.Section
	Position int64 // of the section's first byte in the log file
	// Missing is where the offsets of the first batch begin, if that was found to be behind what was asked for, and
	// otherwise the offset asked for: what lies between is not in the segment. It is told once, and of format v2 only.
	Missing int64
	// Found is how many bytes there are within maxBytes: the size of the section, or more if the last of
	// them are not a whole batch.
	Found int64
	// Partial says that the section ends within its first batch.
	Partial bool
}

// Read returns the bytes from the batch that holds offset, or else the first one behind it, up to the
// batch that holds upTo. They are at most maxBytes of whole batches, but with minOne at least one batch
// (KIP-74), and without it a part of the first batch if that is larger.
//
// Kafka cuts at maxBytes, wherever that is, and its clients throw away what they get of the last batch.
//
// Reading at the end of the segment touches no disk: both positions are remembered from the append.
func (s *Segment) Read(offset, upTo int64, maxBytes int, minOne bool) (Result, error) {
	for {
		gen := s.generation()
		res, err := s.find(gen, offset, upTo, int64(max(maxBytes, 0)), minOne)
		if s.generation() != gen {
			continue // truncated meanwhile: positions may mean other batches now
		}
		if err != nil || res.size == 0 {
			return res.Result, s.wrap("read", err)
		}
		if err := s.log.Ready(); err != nil {
			return Result{}, s.wrap("read", err)
		}
		res.Section = &section{file: &s.log, at: res.Position, size: res.size}
		return res.Result, nil
	}
}

type findResult struct {
	Result
	size int64
}

func (s *Segment) find(gen uint64, offset, upTo, maxBytes int64, minOne bool) (res findResult, err error) {
	res.Missing = offset
	from, err := s.place(offset)
	if err != nil {
		return res, err
	}
	start := from.pos
	if start < from.size {
		res.Missing = from.first
	}
	end, size, err := s.locate(upTo)
	if err != nil {
		return res, err
	}
	res.Position = start
	available := end - start
	switch {
	case available <= 0:
		return res, nil
	case available <= maxBytes:
		res.size, res.Found = available, available
		return res, nil
	case maxBytes == 0 && !minOne:
		res.Partial = true
		return res, nil
	}
	whole, first, err := s.wholeBatches(gen, start, start+maxBytes, size)
	if err != nil {
		return res, err
	}
	switch {
	case whole > 0:
		res.size, res.Found = whole, maxBytes
	case minOne:
		res.size, res.Found = first, first
	default:
		res.size, res.Found, res.Partial = maxBytes, maxBytes, true
	}
	return res, nil
}

// Position returns where the first batch with a last offset at or beyond offset begins, and Size if
// there is none.
func (s *Segment) Position(offset int64) (int64, error) {
	pos, _, err := s.locate(offset)
	return pos, s.wrap("read", err)
}

func (s *Segment) generation() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.gen
}

// UpperBound returns an offset at or behind the end of size bytes at position, as the offset index
// knows it; false if it knows none, and the next segment's base has to do. Consumers are told of the
// transactions that were aborted below it.
func (s *Segment) UpperBound(position, size int64) (int64, bool, error) {
	e, ok, err := s.ceiling(&s.offsets, func(e []byte) bool { return entryPosition(e) < position+size })
	if err != nil || !ok {
		return 0, false, s.wrap("read", err)
	}
	return s.base + entryRelative(e[:]), true, nil
}

// section is a run of bytes of a log file.
type section struct {
	file     *vfs.Slot
	open     *vfs.Handle // between Open and Close
	at, size int64
}

var _ request.Section = (*section)(nil)

func (x *section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= x.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > x.size-off
	if short {
		p = p[:x.size-off]
	}
	h, err := x.file.Acquire()
	if err != nil {
		return 0, err
	}
	defer h.Release()
	n, err := h.ReadAt(p, x.at+off)
	if err == nil && short {
		err = io.EOF
	}
	return n, err
}

func (x *section) Size() int64 { return x.size }
func (x *section) Release()    {}

func (x *section) Open() (f *os.File, at int64, err error) {
	if x.open, err = x.file.Acquire(); err != nil {
		return nil, 0, err
	}
	return x.open.OSFile(), x.at, nil
}

func (x *section) Close() {
	x.open.Release()
	x.open = nil
}
