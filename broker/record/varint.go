package record

import "encoding/binary"

// Varints are zig-zag numbers in groups of seven bits, lowest first. Like Kafka's ByteUtils, reading
// takes up to 5 bytes for an int and 10 for a long, drops bits that do not fit, and does not insist on
// the shortest form.
const (
	maxVarint  = 5
	maxVarlong = 10
)

// varint reads an int from b at position i, and returns the position after it, which is beyond len(b)
// if there is no such number. Reading goes on from there in the same way, so that a sequence of reads
// needs only one check at its end. i may be anything.
func varint(b []byte, i int) (v int32, next int) {
	// One byte in nearly all cases: deltas, headers, lengths below 64.
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return int32(b[i]>>1) ^ -int32(b[i]&1), i + 1
	}
	return longVarint(b, i)
}

// longVarint is varint for numbers of more than one byte.
func longVarint(b []byte, i int) (int32, int) {
	if i >= 0 && i+1 < len(b) && b[i+1] < 0x80 { // two, which most lengths and deltas take
		u := uint32(b[i]&0x7f) | uint32(b[i+1])<<7
		return int32(u>>1) ^ -int32(u&1), i + 2
	}
	return longerVarint(b, i)
}

func longerVarint(b []byte, i int) (int32, int) {
	var u uint32
	for n := range maxVarint {
		if uint(i) >= uint(len(b)) {
			break
		}
		c := b[i]
		i++
		u |= uint32(c&0x7f) << (7 * n)
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), i
		}
	}
	return 0, len(b) + 1
}

// varlong is varint for a long.
func varlong(b []byte, i int) (v int64, next int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return int64(b[i]>>1) ^ -int64(b[i]&1), i + 1
	}
	return longVarlong(b, i)
}

// longVarlong is varlong for numbers of more than one byte.
func longVarlong(b []byte, i int) (int64, int) {
	if i >= 0 && i+1 < len(b) && b[i+1] < 0x80 {
		u := uint64(b[i]&0x7f) | uint64(b[i+1])<<7
		return int64(u>>1) ^ -int64(u&1), i + 2
	}
	return longerVarlong(b, i)
}

func longerVarlong(b []byte, i int) (int64, int) {
	var u uint64
	for n := range maxVarlong {
		if uint(i) >= uint(len(b)) {
			break
		}
		c := b[i]
		i++
		u |= uint64(c&0x7f) << (7 * n)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i
		}
	}
	return 0, len(b) + 1
}

// bytesAt reads a length and that many bytes as varint does; a negative length is null.
func bytesAt(b []byte, i int) (v []byte, next int) {
	n, i := varint(b, i)
	if n < 0 {
		return nil, i
	}
	if i > len(b) || int(n) > len(b)-i {
		return nil, len(b) + 1
	}
	return b[i : i+int(n) : i+int(n)], i + int(n)
}

func appendVarint(dst []byte, v int32) []byte {
	return binary.AppendUvarint(dst, uint64(uint32(v<<1)^uint32(v>>31)))
}

func appendVarlong(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

// appendBytes appends a length and b; nil has length -1.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return appendVarint(dst, -1)
	}
	return append(appendVarint(dst, int32(len(b))), b...)
}
