package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/gregor-mq/gregor/broker/record"
)

// walker goes from batch header to batch header through [pos, end) of a log file, reading a block
// at a time and nothing of the batches in between.
type walker struct {
	f        io.ReaderAt
	pos, end int64
	block    *[blockSize]byte
	at       int64 // position of block in the file
	n        int   // bytes in block
}

// newWalker takes a block from the pool; done gives it back.
func newWalker(f io.ReaderAt, pos, end int64) *walker {
	return &walker{f: f, pos: pos, end: end, block: blocks.Get().(*[blockSize]byte)}
}

func (w *walker) done() { blocks.Put(w.block) }

// head returns the header of the batch at pos, as a Batch that holds no records, and the batch's
// whole size. io.EOF ends the walk: nothing whole is left before end. The header is valid until the
// next call.
func (w *walker) head() (record.Batch, int64, error) {
	left := w.end - w.pos
	if left < record.PeekLen {
		return nil, 0, io.EOF
	}
	want := min(left, record.HeaderSize)
	if w.pos < w.at || w.pos+want > w.at+int64(w.n) {
		w.at, w.n = w.pos, int(min(left, blockSize))
		if err := readFull(w.f, w.block[:w.n], w.at); err != nil {
			w.n = 0
			return nil, 0, err
		}
	}
	head := w.block[w.pos-w.at:][:want]
	size, err := record.PeekSize(head)
	if err != nil {
		return nil, 0, corruptAt(w.pos, err)
	}
	if int64(size) > left {
		return nil, 0, io.EOF
	}
	return record.Batch(head[:min(size, len(head))]), int64(size), nil
}

func corruptAt(pos int64, err error) error {
	return fmt.Errorf("%w: at position %d: %w", ErrCorrupt, pos, err)
}

// noBatch reports whether err, of head, says that there is no batch, rather than that it cannot be read.
func noBatch(err error) bool { return err == io.EOF || errors.Is(err, ErrCorrupt) }

// seek moves to the first batch with a last offset at or beyond offset and returns its position, which
// is end if there is none, and where its offsets begin, as place tells it.
func (w *walker) seek(offset int64) (pos, first int64, err error) {
	for {
		head, size, err := w.head()
		switch {
		case err == io.EOF:
			return w.end, offset, nil
		case err != nil:
			return 0, 0, err
		case head.LastOffset() >= offset && head.Magic() == record.MagicV2:
			return w.pos, max(offset, head.BaseOffset()), nil
		case head.LastOffset() >= offset:
			return w.pos, offset, nil // the first offset of a compressed message in an old format is not in its header
		}
		w.pos += size
	}
}

// leadsTo reports whether a batch begins at pos from which one gets to offset: an index may be wrong. It stays at pos.
// What lies within a batch hardly ever looks like one in format v2. In the old formats, with their few fields, zeros and
// small numbers may, but not like two of them, one behind the other.
func (w *walker) leadsTo(base, offset int64) (bool, error) {
	at := w.pos
	defer func() { w.pos = at }()
	for {
		head, n, err := w.head()
		switch {
		case err == io.EOF && w.pos > at && w.pos == w.end:
			return true, nil
		case noBatch(err):
			return false, nil
		case err != nil:
			return false, err
		case head.Magic() < record.MagicV0 || head.Magic() > record.MagicV2 || head.LastOffset() < head.BaseOffset(),
			head.BaseOffset() < base, w.pos == at && head.BaseOffset() > offset:
			return false, nil
		case head.Magic() == record.MagicV2 || w.pos > at:
			return true, nil
		}
		w.pos += n
	}
}

// batchReader reads whole batches of [pos, end) of a log file, one after the other.
type batchReader struct {
	f        io.ReaderAt
	pos, end int64
	// checkLarge has the checksum of batches above largeBatch compared before they are loaded, so
	// that a size field with a flipped bit costs no memory.
	checkLarge bool
	buf        []byte
	lo, hi     int // unread bytes of buf; lo is pos in the file
}

// peekLen covers every checksum and the magic.
const peekLen = 21

const (
	readAhead  = 128 << 10
	largeBatch = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// next returns the batch at pos and moves behind it; io.EOF if nothing whole is left. The batch is
// valid until the following call.
func (r *batchReader) next() (record.Batch, error) {
	left := r.end - r.pos
	if left < record.PeekLen {
		return nil, io.EOF
	}
	if err := r.fill(int(min(left, peekLen))); err != nil {
		return nil, err
	}
	size, err := record.PeekSize(r.buf[r.lo:r.hi])
	if err != nil {
		return nil, corruptAt(r.pos, err)
	}
	if int64(size) > left {
		return nil, io.EOF
	}
	if r.checkLarge && size > largeBatch {
		if err := compareChecksum(r.f, r.pos, int64(size)); err != nil {
			return nil, err
		}
	}
	if err := r.fill(size); err != nil {
		return nil, err
	}
	b, _, err := record.Next(r.buf[r.lo : r.lo+size])
	if err != nil {
		return nil, corruptAt(r.pos, err)
	}
	r.lo += size
	r.pos += int64(size)
	return b, nil
}

// fill makes at least n bytes from pos on available; they are in the file.
func (r *batchReader) fill(n int) error {
	if r.hi-r.lo >= n {
		return nil
	}
	kept := copy(r.buf, r.buf[r.lo:r.hi])
	if n > len(r.buf) {
		grown := make([]byte, max(n, int(min(readAhead, r.end-r.pos))))
		copy(grown, r.buf[:kept])
		r.buf = grown
	}
	r.lo, r.hi = 0, kept
	more := min(int64(len(r.buf)-kept), r.end-r.pos-int64(kept))
	if err := readFull(r.f, r.buf[kept:kept+int(more)], r.pos+int64(kept)); err != nil {
		return err
	}
	r.hi = kept + int(more)
	return nil
}

// compareChecksum computes the checksum of the batch of size bytes at pos, reading it in pieces. The batch is
// corrupt if another one is stored in it.
func compareChecksum(f io.ReaderAt, pos, size int64) error {
	head := make([]byte, min(size, peekLen))
	if err := readFull(f, head, pos); err != nil {
		return err
	}
	table, from := castagnoli, int64(21) // v2: from the attributes on
	if record.Batch(head).Magic() < record.MagicV2 {
		table, from = crc32.IEEETable, 16 // from the magic on
	}
	sum := crc32.New(table)
	if _, err := io.Copy(sum, io.NewSectionReader(f, pos+from, size-from)); err != nil {
		return err
	}
	if stored := storedChecksum(head); sum.Sum32() != stored {
		return corruptAt(pos, fmt.Errorf("stored checksum %d, computed %d", stored, sum.Sum32()))
	}
	return nil
}

// storedChecksum reads the checksum from the first 21 bytes of a batch of any format.
func storedChecksum(head []byte) uint32 {
	if record.Batch(head).Magic() < record.MagicV2 {
		return binary.BigEndian.Uint32(head[12:])
	}
	return binary.BigEndian.Uint32(head[17:])
}

// EachBatch calls f for every batch from the one that holds offset on. A batch is valid during the
// call only. An error of f ends the walk and is returned; ErrCorrupt means bytes that are no batch.
func (s *Segment) EachBatch(offset int64, f func(record.Batch) error) error {
	pos, size, err := s.locate(offset)
	if err != nil || pos >= size {
		return s.wrap("read", err)
	}
	h, err := s.log.Acquire()
	if err != nil {
		return s.wrap("read", err)
	}
	defer h.Release()
	r := batchReader{f: h, pos: pos, end: size}
	for {
		b, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.wrap("read", err)
		}
		if err := f(b); err != nil {
			return err
		}
	}
}
