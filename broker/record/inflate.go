package record

import (
	"encoding/binary"
	"errors"
	"io"
)

// Sizes of an inflater's output, in bytes. It decompresses into a buffer of its own, which keeps the
// history that matches refer to, a chunk at a time:
//
//	history (32 KiB) | chunk (32 KiB) | what a match or a wide copy may write beyond it
const (
	inflateHistory = 32 << 10
	inflateChunk   = 32 << 10
	inflateSlack   = maxMatch + 64
	maxMatch       = 258
)

var (
	errInflateCode   = errors.New("deflate stream with an impossible Huffman code")
	errInflateBlock  = errors.New("deflate stream with an invalid block")
	errInflateSymbol = errors.New("deflate stream with an invalid symbol")
	errInflateFar    = errors.New("deflate stream with a match before its start")
)

// inflater decompresses a raw deflate stream (RFC 1951) that is wholly in memory. It exists because
// validation of gzip batches is little else than this, and the decoders for io.Readers take twice the
// time: here bits are taken from a 64-bit register that is filled with eight bytes at once, symbols
// come from one table lookup each with all that is to know about them, and matches are copied in
// words (the approach of libdeflate).
type inflater struct {
	in   []byte
	pos  int    // of the next byte that is not in bits
	bits uint64 // the next bits, lowest first; those above n are either right or zero
	n    uint   // how many are counted as there

	kind   blockKind
	final  bool // the current block is the last
	stored int  // bytes left of a stored block

	low int // first valid byte of history in out
	r   int // first byte of out that was not given away
	w   int // end of what was decompressed

	lit  huffmanTable
	dist huffmanTable
	lens [maxLitCodes + maxDistCodes]uint8
	out  [inflateHistory + inflateChunk + inflateSlack]byte
}

type blockKind uint8

const (
	noBlock blockKind = iota // a header is next
	storedBlock
	huffmanBlock
)

// reset makes f read in.
func (f *inflater) reset(in []byte) {
	f.in, f.pos, f.bits, f.n = in, 0, 0, 0
	f.kind, f.final, f.stored = noBlock, false, 0
	f.low, f.r, f.w = 0, 0, 0
}

// read decompresses at least a byte into dst; at the end of the stream it returns io.EOF with the last
// bytes or without any. Then rest returns what follows the stream.
func (f *inflater) read(dst []byte) (int, error) {
	for f.r == f.w {
		if f.kind == noBlock && f.final {
			return 0, io.EOF
		}
		if f.w > inflateHistory {
			f.slide()
		}
		if err := f.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(dst, f.out[f.r:f.w])
	f.r += n
	return n, nil
}

// rest returns what stands after the stream, which must have ended.
func (f *inflater) rest() []byte { return f.in[f.pos-int(f.n/8):] }

// slide moves the last 32 KiB to the start.
func (f *inflater) slide() {
	copy(f.out[:inflateHistory], f.out[f.w-inflateHistory:f.w])
	f.low = max(f.low-(f.w-inflateHistory), 0)
	f.w, f.r = inflateHistory, inflateHistory
}

// chunk decompresses until the chunk is full or the stream ends.
func (f *inflater) chunk() error {
	for f.w < inflateHistory+inflateChunk {
		var err error
		switch f.kind {
		case noBlock:
			if f.final {
				return nil
			}
			err = f.header()
		case storedBlock:
			err = f.copyStored()
		case huffmanBlock:
			if err = f.symbols(); err == nil {
				err = f.lastSymbols()
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill makes at least 56 bits available, or all that are left.
func (f *inflater) fill() {
	if f.pos+8 <= len(f.in) {
		f.bits |= binary.LittleEndian.Uint64(f.in[f.pos:]) << (f.n & 63)
		f.pos += int(63-f.n) >> 3
		f.n |= 56
		return
	}
	for f.n <= 56 && f.pos < len(f.in) {
		f.bits |= uint64(f.in[f.pos]) << (f.n & 63)
		f.pos++
		f.n += 8
	}
}

// take returns the next count bits, of at most 16.
func (f *inflater) take(count uint) (uint, error) {
	if f.n < count {
		if f.fill(); f.n < count {
			return 0, io.ErrUnexpectedEOF
		}
	}
	v := uint(f.bits) & (1<<count - 1)
	f.bits >>= count & 63
	f.n -= count
	return v, nil
}

// header reads the header of a block.
func (f *inflater) header() error {
	head, err := f.take(3)
	if err != nil {
		return err
	}
	f.final = head&1 != 0
	switch head >> 1 {
	case 0:
		f.pos -= int(f.n / 8) // back to the byte after the header's
		f.bits, f.n = 0, 0
		if len(f.in)-f.pos < 4 {
			return io.ErrUnexpectedEOF
		}
		size := binary.LittleEndian.Uint16(f.in[f.pos:])
		if size != ^binary.LittleEndian.Uint16(f.in[f.pos+2:]) {
			return errInflateBlock
		}
		f.pos += 4
		f.stored, f.kind = int(size), storedBlock
		return nil
	case 1:
		f.kind = huffmanBlock
		return f.fixedCodes()
	case 2:
		f.kind = huffmanBlock
		return f.dynamicCodes()
	}
	return errInflateBlock
}

// copyStored copies what is left of a stored block, or what fits.
func (f *inflater) copyStored() error {
	n := min(f.stored, inflateHistory+inflateChunk-f.w)
	if n > len(f.in)-f.pos {
		return io.ErrUnexpectedEOF
	}
	copy(f.out[f.w:], f.in[f.pos:f.pos+n])
	f.w += n
	f.pos += n
	if f.stored -= n; f.stored == 0 {
		f.kind = noBlock
	}
	return nil
}
