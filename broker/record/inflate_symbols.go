package record

import (
	"encoding/binary"
	"io"
)

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
					w, bits, n = w+1, bits>>(e&63), n-uint(e&63)
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
