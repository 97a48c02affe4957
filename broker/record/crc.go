package record

import "hash/crc32"

// minPatch is the number of unchanged bytes from which on adjusting a checksum is cheaper than
// computing it anew: about where 10 GB/s meet a microsecond.
const minPatch = 16 << 10

// castagnoliShifts[k] is x^(8*2^k) modulo the Castagnoli polynomial: what 2^k zero bytes make of a
// checksum that starts at 1. Polynomials are in reflected form, the top bit is x^0.
var castagnoliShifts = func() (shifts [31]uint32) {
	shifts[0] = 1 << (31 - 8)
	for k := 1; k < len(shifts); k++ {
		shifts[k] = multiplyCRC(shifts[k-1], shifts[k-1])
	}
	return shifts
}()

// multiplyCRC returns a*b modulo the Castagnoli polynomial.
func multiplyCRC(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		product ^= b & -(a / bit & 1)
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// shiftCRC returns the difference between the CRC-32Cs of two runs of bytes, given the difference
// between those of the same runs without their last n bytes, in which they agree. CRCs are linear: the
// difference goes on as if it were followed by zeros, whatever the bytes are.
func shiftCRC(difference uint32, n int) uint32 {
	for k := 0; n != 0 && k < len(castagnoliShifts); k++ {
		if n&1 != 0 {
			difference = multiplyCRC(difference, castagnoliShifts[k])
		}
		n >>= 1
	}
	return difference
}
