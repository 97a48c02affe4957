package wire

import (
	"encoding/binary"
	"math"
)

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

// appendCount appends the length of an array or of bytes: int32, or from flexible versions on n+1.
func appendCount(dst []byte, flexible bool, n int) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n)+1)
	}
	return appendInt32(dst, int32(n))
}

// appendString appends s. Strings end at 32767 bytes, which is what Kafka's protocol allows in every
// version.
func appendString(dst []byte, flexible bool, s string) []byte {
	s = s[:min(len(s), math.MaxInt16)]
	if flexible {
		dst = appendUvarint(dst, uint32(len(s))+1)
	} else {
		dst = appendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

// appendNullable appends s, or null for the empty string.
func appendNullable(dst []byte, flexible bool, s string) []byte {
	switch {
	case s != "":
		return appendString(dst, flexible, s)
	case flexible:
		return append(dst, 0)
	}
	return append(dst, 0xff, 0xff)
}

func uvarintLen(v uint32) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
