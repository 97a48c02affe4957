package record

import (
	"io"
	"math/bits"
)

// Limits of deflate's codes.
const (
	maxCodeBits   = 15
	maxLitCodes   = 288
	maxDistCodes  = 32
	maxPreCodes   = 19
	maxPreBits    = 7
	maxUsedLit    = 286
	maxUsedDist   = 30
	endOfBlock    = 256
	firstLength   = 257
	litBits       = 11 // of a code are looked up at once; what is longer has a subtable
	distBits      = 8
	litMask       = 1<<litBits - 1
	distMask      = 1<<distBits - 1
	tableMask     = 1<<12 - 1 // 2342 entries are the most that 288 codes and 11 bits take
	huffmanBuffer = tableMask + 1
)

// An entry tells all about the symbol whose code stands at the start of the bits that are its index.
//
//	bit 31      literal: its value in bits 16-23
//	bit 15      neither literal, length nor distance: bit 14 subtable, bit 13 end of block, or invalid
//	bits 16-30  first length or distance; first entry of the subtable
//	bits 8-11   number of extra bits; bits that index the subtable
//	bits 0-5    bits to consume: code and extra bits
const (
	entryLiteral  = 1 << 31
	entrySpecial  = 1 << 15
	entrySubtable = 1 << 14
	entryEnd      = 1 << 13
)

// huffmanTable decodes one Huffman code.
type huffmanTable struct {
	entries [huffmanBuffer]uint32
}

// Entries of symbols, but for the length of their codes.
var (
	litSymbols  [maxLitCodes]uint32
	distSymbols [maxDistCodes]uint32
	preSymbols  [maxPreCodes]uint32
	fixedLens   [maxLitCodes]uint8
)

func init() {
	for i := range litSymbols {
		switch {
		case i < endOfBlock:
			litSymbols[i] = entryLiteral | uint32(i)<<16
		case i == endOfBlock:
			litSymbols[i] = entrySpecial | entryEnd
		case i >= maxUsedLit:
			litSymbols[i] = entrySpecial
		case i == maxUsedLit-1:
			litSymbols[i] = maxMatch << 16
		default:
			k := uint32(i - firstLength)
			extra := max(k/4, 1) - 1
			base := k + 3
			if k >= 8 {
				base = (4+k%4)<<extra + 3
			}
			litSymbols[i] = base<<16 | extra<<8 | extra
		}
	}
	for i := range distSymbols {
		k := uint32(i)
		extra := max(k/2, 1) - 1
		base := k + 1
		if k >= 4 {
			base = (2+k%2)<<extra + 1
		}
		distSymbols[i] = base<<16 | extra<<8 | extra
		if i >= maxUsedDist {
			distSymbols[i] = entrySpecial
		}
	}
	for i := range preSymbols {
		preSymbols[i] = uint32(i) << 16
	}
	for i := range fixedLens {
		switch {
		case i < 144:
			fixedLens[i] = 8
		case i < 256:
			fixedLens[i] = 9
		case i < 280:
			fixedLens[i] = 7
		default:
			fixedLens[i] = 8
		}
	}
}

// build makes the table of the code whose symbols have codes of lens bits, 0 for none, and are
// described by symbols. tableBits of a code index the table directly. Like zlib it takes a code that
// leaves bits unused only if it has a single symbol, or none.
func (t *huffmanTable) build(lens []uint8, symbols []uint32, tableBits uint) error {
	var counts, next [maxCodeBits + 1]uint16
	for _, n := range lens {
		counts[n]++
	}
	used := uint16(len(lens)) - counts[0]
	space, longest := 1, uint(0)
	for n := uint(1); n <= maxCodeBits; n++ {
		space = space<<1 - int(counts[n])
		if space < 0 {
			return errInflateCode
		}
		if counts[n] > 0 {
			longest = n
		}
		if n < maxCodeBits {
			next[n+1] = next[n] + counts[n]
		}
	}
	if space > 0 {
		if used > 1 || used == 1 && longest > 1 {
			return errInflateCode
		}
		for i := range t.entries[:1<<tableBits] {
			t.entries[i] = entrySpecial
		}
	}
	var sorted [maxLitCodes]uint16 // symbols, by length of their codes
	for symbol, n := range lens {
		if n > 0 {
			sorted[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	if space > 0 { // one code of one bit, 0, or none at all
		if used == 1 {
			for i := 0; i < 1<<tableBits; i += 2 {
				t.entries[i] = symbols[sorted[0]] + 1
			}
		}
		return nil
	}
	t.fill(&counts, sorted[:used], symbols, tableBits)
	return nil
}

// fill writes the entries of a complete code. Codes are numbered in bit-reversed order, as they are
// indexed; the table doubles with each bit, so that short codes are copied to all places where they
// apply.
func (t *huffmanTable) fill(counts *[maxCodeBits + 1]uint16, sorted []uint16, symbols []uint32, tableBits uint) {
	code, n := uint32(0), uint(1)
	for size := uint(1); ; n++ { // size: entries so far, 2^(n-1)
		copy(t.entries[size:2*size], t.entries[:size])
		size *= 2
		for range counts[n] {
			t.entries[code] = symbols[sorted[0]] + uint32(n)
			sorted = sorted[1:]
			if len(sorted) == 0 {
				for ; n < tableBits; n++ {
					copy(t.entries[size:2*size], t.entries[:size])
					size *= 2
				}
				return
			}
			code = nextCode(code, n)
		}
		if n == tableBits {
			break
		}
	}
	t.fillSubtables(counts, sorted, symbols, tableBits, code)
}

// fillSubtables writes the entries of codes longer than tableBits, the first of which is code.
func (t *huffmanTable) fillSubtables(counts *[maxCodeBits + 1]uint16, sorted []uint16, symbols []uint32, tableBits uint, code uint32) {
	end := uint32(1) << tableBits // of all tables so far
	prefix, start, subBits := ^uint32(0), uint32(0), uint(0)
	for n := tableBits + 1; len(sorted) > 0; n++ {
		for k := range counts[n] {
			if p := code & (1<<tableBits - 1); p != prefix {
				prefix, start = p, end
				// The subtable has as many bits as it takes to hold what begins with prefix.
				subBits = n - tableBits
				room := 1<<subBits - int(counts[n]-k)
				for longer := n; room > 0 && longer < maxCodeBits; {
					longer++
					subBits++
					room = room<<1 - int(counts[longer])
				}
				end = start + 1<<subBits
				t.entries[prefix] = entrySpecial | entrySubtable | start<<16 | uint32(subBits)<<8 | uint32(tableBits)
			}
			entry := symbols[sorted[0]] + uint32(n-tableBits)
			sorted = sorted[1:]
			step := uint32(1) << (n - tableBits)
			for i := start + code>>tableBits; i < end; i += step {
				t.entries[i&tableMask] = entry
			}
			if len(sorted) == 0 {
				return
			}
			code = nextCode(code, n)
		}
	}
}

// nextCode returns the code of n bits after code, both in bit-reversed order.
func nextCode(code uint32, n uint) uint32 {
	bit := uint32(1) << (bits.Len32(code^(1<<n-1)) - 1)
	return code&(bit-1) | bit
}

func (f *inflater) fixedCodes() error {
	copy(f.lens[:], fixedLens[:])
	if err := f.lit.build(f.lens[:maxLitCodes], litSymbols[:], litBits); err != nil {
		return err
	}
	for i := range maxDistCodes {
		f.lens[i] = 5
	}
	return f.dist.build(f.lens[:maxDistCodes], distSymbols[:], distBits)
}

// preOrder is the order in which the lengths of the code for lengths come.
var preOrder = [maxPreCodes]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamicCodes reads the codes that a block brings with it.
func (f *inflater) dynamicCodes() error {
	head, err := f.take(14)
	if err != nil {
		return err
	}
	nLit, nDist, nPre := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if nLit > maxUsedLit || nDist > maxUsedDist {
		return errInflateCode
	}
	var pre [maxPreCodes]uint8
	for _, symbol := range preOrder[:nPre] {
		n, err := f.take(3)
		if err != nil {
			return err
		}
		pre[symbol] = uint8(n)
	}
	// The table of the distances is free until their lengths are known.
	if err := f.dist.build(pre[:], preSymbols[:], maxPreBits); err != nil {
		return err
	}
	lens := f.lens[:nLit+nDist]
	if err := f.readLens(lens); err != nil {
		return err
	}
	if lens[endOfBlock] == 0 {
		return errInflateCode
	}
	if err := f.lit.build(lens[:nLit], litSymbols[:], litBits); err != nil {
		return err
	}
	return f.dist.build(lens[nLit:], distSymbols[:], distBits)
}

// readLens reads lengths of codes with the code in f.dist.
func (f *inflater) readLens(lens []uint8) error {
	for i := 0; i < len(lens); {
		f.fill()
		e := f.dist.entries[f.bits&(1<<maxPreBits-1)]
		if e&entrySpecial != 0 {
			return errInflateCode
		}
		n := uint(e & 63)
		if f.n < n {
			return io.ErrUnexpectedEOF
		}
		f.bits >>= n
		f.n -= n
		symbol := uint8(e >> 16)
		if symbol < 16 {
			lens[i] = symbol
			i++
			continue
		}
		repeat, extra, value := 3, uint(2), uint8(0)
		switch symbol {
		case 16:
			if i == 0 {
				return errInflateCode
			}
			value = lens[i-1]
		case 17:
			extra = 3
		case 18:
			repeat, extra = 11, 7
		}
		more, err := f.take(extra)
		if err != nil {
			return err
		}
		if repeat += int(more); repeat > len(lens)-i {
			return errInflateCode
		}
		for range repeat {
			lens[i] = value
			i++
		}
	}
	return nil
}
