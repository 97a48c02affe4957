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

// symbols decompresses a Huffman block as long as neither input nor output come near their ends, so
// that nothing but the symbols needs a check.
func (f *inflater) symbols() error {
	in, pos, bits, n := f.in, f.pos, f.bits, f.n
	out, w := f.out[:], f.w
	lit, dist := &f.lit.entries, &f.dist.entries
	// An iteration fills the register twice at most, and writes three literals and a match.
	for pos+16 <= len(in) && w < inflateHistory+inflateChunk-3 {
		bits |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
		pos += int(63-n) >> 3
		n |= 56

		e := lit[bits&litMask]
		if e&entryLiteral != 0 { // up to three of 11 bits
			out[w] = byte(e >> 16)
			w++
			bits >>= e & 63
			n -= uint(e & 63)
			if e = lit[bits&litMask]; e&entryLiteral != 0 {
				out[w] = byte(e >> 16)
				w++
				bits >>= e & 63
				n -= uint(e & 63)
				if e = lit[bits&litMask]; e&entryLiteral != 0 {
					out[w] = byte(e >> 16)
					w++
					bits >>= e & 63
					n -= uint(e & 63)
					continue
				}
			}
		}
		if e&entrySpecial != 0 {
			if e&entrySubtable != 0 {
				bits >>= litBits
				n -= litBits
				e = lit[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&tableMask]
			}
			if e&entryLiteral != 0 {
				out[w] = byte(e >> 16)
				w++
				bits >>= e & 63
				n -= uint(e & 63)
				continue
			}
			if e&entrySpecial != 0 {
				f.pos, f.bits, f.n, f.w = pos, bits>>(e&63), n-uint(e&63), w
				return f.endBlock(e)
			}
		}
		// A length of 20 bits at most and a distance of 28.
		if n < 48 {
			bits |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
			pos += int(63-n) >> 3
			n |= 56
		}
		extra := e >> 8 & 15
		length := int(e>>16) + int(bits>>((e-extra)&63)&(1<<extra-1))
		bits >>= e & 63
		n -= uint(e & 63)

		e = dist[bits&distMask]
		if e&entrySpecial != 0 {
			if e&entrySubtable == 0 {
				return errInflateSymbol
			}
			bits >>= distBits
			n -= distBits
			if e = dist[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&tableMask]; e&entrySpecial != 0 {
				return errInflateSymbol
			}
		}
		extra = e >> 8 & 15
		distance := int(e>>16) + int(bits>>((e-extra)&63)&(1<<extra-1))
		bits >>= e & 63
		n -= uint(e & 63)
		if distance > w-f.low {
			return errInflateFar
		}
		copyMatch(out, w, distance, length)
		w += length
	}
	f.pos, f.bits, f.n, f.w = pos, bits, n, w
	return nil
}

// copyMatch copies length bytes, which stand distance before w, to w. It may write up to 15 bytes
// more.
func copyMatch(out []byte, w, distance, length int) {
	from := out[w-distance:]
	to := out[w : w+length+15]
	switch {
	case distance >= 16:
		for i := 0; i < length; i += 16 {
			a := binary.LittleEndian.Uint64(from[i:])
			b := binary.LittleEndian.Uint64(from[i+8:])
			binary.LittleEndian.PutUint64(to[i:], a)
			binary.LittleEndian.PutUint64(to[i+8:], b)
		}
	case distance >= 8:
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
		}
	case distance == 1:
		v := uint64(from[0]) * 0x0101010101010101
		for i := 0; i < length; i += 8 {
			binary.LittleEndian.PutUint64(to[i:], v)
		}
	default:
		for i := range length {
			to[i] = from[i]
		}
	}
}

// endBlock ends a block with e, the entry of a symbol that is no literal and no length.
func (f *inflater) endBlock(e uint32) error {
	if e&entryEnd == 0 {
		return errInflateSymbol
	}
	f.kind = noBlock
	return nil
}

// lastSymbols decompresses a Huffman block symbol by symbol, as far as symbols left it because the
// input nears its end.
func (f *inflater) lastSymbols() error {
	for f.kind == huffmanBlock && f.w < inflateHistory+inflateChunk {
		if f.pos+16 <= len(f.in) && f.w < inflateHistory+inflateChunk-3 {
			return nil // for symbols
		}
		e, err := f.symbol(&f.lit, litBits)
		switch {
		case err != nil:
			return err
		case e&entryLiteral != 0:
			f.out[f.w] = byte(e >> 16)
			f.w++
			continue
		case e&entrySpecial != 0:
			return f.endBlock(e)
		}
		length, err := f.value(e)
		if err != nil {
			return err
		}
		if e, err = f.symbol(&f.dist, distBits); err != nil {
			return err
		}
		if e&entrySpecial != 0 {
			return errInflateSymbol
		}
		distance, err := f.value(e)
		if err != nil {
			return err
		}
		if distance > f.w-f.low {
			return errInflateFar
		}
		copyMatch(f.out[:], f.w, distance, length)
		f.w += length
	}
	return nil
}

// symbol takes the code of the next symbol, without its extra bits, and returns its entry.
func (f *inflater) symbol(t *huffmanTable, tableBits uint) (uint32, error) {
	f.fill()
	e := t.entries[uint(f.bits)&(1<<tableBits-1)]
	if e&entrySubtable != 0 && e&entrySpecial != 0 {
		if f.n < tableBits {
			return 0, io.ErrUnexpectedEOF
		}
		f.bits >>= tableBits
		f.n -= tableBits
		e = t.entries[(e>>16+uint32(f.bits)&(1<<(e>>8&15)-1))&tableMask]
	}
	extra := uint32(0)
	if e&(entryLiteral|entrySpecial) == 0 {
		extra = e >> 8 & 15
	}
	code := uint(e&63) - uint(extra)
	if f.n < code {
		return 0, io.ErrUnexpectedEOF
	}
	f.bits >>= code
	f.n -= code
	return e, nil
}

// value takes the extra bits of a length or distance, and returns it.
func (f *inflater) value(e uint32) (int, error) {
	extra, err := f.take(uint(e >> 8 & 15))
	return int(e>>16) + int(extra), err
}
