package wire

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// reader takes fields off the front of src and remembers that one was missing: after that every
// field is zero and nothing is left. Check bad, or err, once, at the end.
type reader struct {
	src    []byte
	bad    bool
	weight int // bytes of what elements counts
}

// err returns what was wrong with a request of version, nil if nothing was: it wraps ErrTruncated or errTooLarge.
func (r *reader) err(api string, version int16) error {
	switch {
	case r.weight > decodedBytesMax:
		return fmt.Errorf("parse %s v%d: %w", api, version, errTooLarge)
	case r.bad:
		return fmt.Errorf("parse %s v%d: %w", api, version, ErrTruncated)
	}
	return nil
}

func (r *reader) fail() { r.bad, r.src = true, nil }

// span returns the next n bytes, aliasing the source; its capacity is cut to its length.
func (r *reader) span(n int) []byte {
	if n < 0 || n > len(r.src) {
		r.fail()
		return nil
	}
	b := r.src[:n:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) int8() int8 {
	if len(r.src) < 1 {
		r.fail()
		return 0
	}
	v := int8(r.src[0])
	r.src = r.src[1:]
	return v
}

func (r *reader) int16() int16 {
	if len(r.src) < 2 {
		r.fail()
		return 0
	}
	v := binary.BigEndian.Uint16(r.src)
	r.src = r.src[2:]
	return int16(v)
}

func (r *reader) int32() int32 {
	if len(r.src) < 4 {
		r.fail()
		return 0
	}
	v := binary.BigEndian.Uint32(r.src)
	r.src = r.src[4:]
	return int32(v)
}

func (r *reader) int64() int64 {
	if len(r.src) < 8 {
		r.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(r.src)
	r.src = r.src[8:]
	return int64(v)
}

// uvarint reads an unsigned varint of at most 32 bits in five bytes, Kafka's UNSIGNED_VARINT.
func (r *reader) uvarint() uint32 {
	var v uint32
	for i := range min(len(r.src), 5) {
		b := r.src[i]
		if i == 4 && b > 0x0f {
			break // more than 32 bits, or a sixth byte
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.src = r.src[i+1:]
			return v
		}
	}
	r.fail()
	return 0
}

// length reads the length of a string (wide false) or of bytes and arrays (wide true). Every negative one, which is
// what a varint of more than 31 bits is too, stands for null, as in Kafka.
func (r *reader) length(flexible, wide bool) int {
	switch {
	case flexible:
		return max(int(int32(r.uvarint())-1), -1)
	case wide:
		return max(int(r.int32()), -1)
	}
	return max(int(r.int16()), -1)
}

// textMax is the most bytes that Kafka takes in a string, also where its length is written as a varint.
const textMax = 1<<15 - 1

// text returns a string of n bytes, which aliases the source; it fails for null.
func (r *reader) text(n int) []byte {
	if n > textMax {
		r.fail()
		return nil
	}
	return r.span(n)
}

// string reads a string that may be null (nil). It aliases the source.
func (r *reader) string(flexible bool) []byte {
	n := r.length(flexible, false)
	if n < 0 || r.bad {
		return nil
	}
	return r.text(n)
}

// nonNull reads a string that may not be null.
func (r *reader) nonNull(flexible bool) []byte { return r.text(r.length(flexible, false)) }

// bytes reads bytes that may be null (nil). They alias the source.
func (r *reader) bytes(flexible bool) []byte {
	n := r.length(flexible, true)
	if n < 0 || r.bad {
		return nil
	}
	return r.span(n)
}

// array reads the number of elements of an array whose elements take at least size bytes each; null
// is -1. A count that cannot fit into what is left fails.
func (r *reader) array(flexible bool, size int) int {
	n := r.length(flexible, true)
	if n > len(r.src)/size {
		r.fail()
		return 0
	}
	return n
}

// elements is array for one that may not be null and whose elements take inMemory bytes each once they are decoded. It
// fails if together with those counted before they would take more than decodedBytesMax.
func (r *reader) elements(flexible bool, size, inMemory int) int {
	n := r.array(flexible, size)
	if n < 0 {
		r.fail()
		return 0
	}
	if r.weight += n * inMemory; r.weight > decodedBytesMax {
		r.fail()
		return 0
	}
	return n
}

// skipTags skips a tagged field section. A count of more than 31 bits is negative to Kafka, which is none.
func (r *reader) skipTags() {
	for n := int32(r.uvarint()); n > 0 && !r.bad; n-- {
		r.uvarint()
		r.span(int(r.uvarint()))
	}
}

// alias returns b as a string that shares its memory. It must not outlive b, nor b change meanwhile.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
