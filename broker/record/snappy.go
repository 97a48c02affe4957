package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

// xerialHeader begins a stream of the snappy-java library: magic, version 1, compatible with 1.
var xerialHeader = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}

const (
	xerialMagic = 8              // bytes of the header that tell the format
	xerialBlock = 32 << 10       // content of a block that we write, as Kafka does
	snappyMax   = MaxRecordBytes // content of the largest block that we read
)

var (
	errSnappyShort   = errors.New("snappy block is longer than the data")
	errSnappyCorrupt = errors.New("snappy block is corrupt")
	errSnappyVersion = errors.New("snappy stream of an unknown version")
)

// snappySource reads what snappy-java's SnappyInputStream reads: blocks behind the xerial header, each
// preceded by its length, or, if there is no such header, one block in snappy's own format, which is
// what librdkafka writes.
type snappySource struct {
	in     []byte
	framed bool
	block  []byte // for blocks that are too large to be decompressed in place
	rest   []byte // of block
}

func (z *snappySource) reset(data []byte, _ int8) (int, error) {
	z.in, z.rest = data, nil
	z.framed = bytes.HasPrefix(data, xerialHeader[:xerialMagic])
	if !z.framed {
		n, err := s2.DecodedLen(data)
		return min(n, maxPooledWindow), err
	}
	if len(data) < len(xerialHeader) {
		return 0, errSnappyShort
	}
	if version := int32(binary.BigEndian.Uint32(data[xerialMagic:])); version < 1 {
		return 0, errSnappyVersion
	}
	z.in = data[len(xerialHeader):]
	return 0, nil
}

func (z *snappySource) read(dst []byte, large *heavy) (int, error) {
	if len(z.rest) > 0 {
		n := copy(dst, z.rest)
		z.rest = z.rest[n:]
		return n, nil
	}
	if len(z.in) == 0 {
		return 0, io.EOF
	}
	data := z.in
	if z.framed {
		if len(data) < 4 {
			return 0, errSnappyShort
		}
		size := binary.BigEndian.Uint32(data)
		if uint64(size) > uint64(len(data)-4) {
			return 0, errSnappyShort
		}
		data = data[4 : 4+size]
		z.in = z.in[4+size:]
	} else {
		z.in = nil
	}
	return z.decode(dst, data, large)
}

// decode puts the content of a block into dst, or as much of it as fits.
func (z *snappySource) decode(dst, data []byte, large *heavy) (int, error) {
	size, err := s2.DecodedLen(data)
	if err != nil {
		return 0, err
	}
	// No element makes more than 64 bytes of less than 2, so that memory stays in proportion.
	if size > snappyMax || size > 32*len(data) || !plainSnappy(data) {
		return 0, errSnappyCorrupt
	}
	if size <= len(dst) {
		_, err := s2.Decode(dst[:size], data)
		return size, err
	}
	if len(z.block) < size {
		if size > heavyBytes {
			large.acquire()
		}
		z.block = make([]byte, size)
	}
	out, err := s2.Decode(z.block, data)
	if err != nil {
		return 0, err
	}
	n := copy(dst, out)
	z.rest = out[n:]
	return n, nil
}

// snappySteps is the number of bytes from a tag to the next one, 0 for literals whose length follows.
var snappySteps = func() (steps [256]uint8) {
	for tag := range steps {
		switch {
		case tag&3 == 0 && tag>>2 < 60:
			steps[tag] = uint8(tag>>2) + 2
		case tag&3 != 0:
			steps[tag] = [...]uint8{1: 2, 2: 3, 3: 5}[tag&3]
		}
	}
	return steps
}()

// plainSnappy reports whether a block does without copies at offset 0, which are S2's extension of
// the format: our decoder would take what other readers do not. What else is wrong with the block the
// decoder notices.
func plainSnappy(data []byte) bool {
	_, n := binary.Uvarint(data)
	for i := max(n, 0); i < len(data); {
		tag := data[i]
		if tag&0xe3 == 1 && i+1 < len(data) && data[i+1] == 0 {
			return false
		}
		if step := snappySteps[tag]; step > 0 {
			i += int(step)
			continue
		}
		size := int(tag>>2) - 59 // bytes of the literal's length
		if i+1+size > len(data) {
			return true
		}
		length := 0
		for k := range size {
			length |= int(data[i+1+k]) << (8 * k)
		}
		if length > len(data) || length < 0 {
			return true
		}
		i += 1 + size + length + 1
	}
	return true
}

func (z *snappySource) release() {
	z.in, z.rest = nil, nil
	if len(z.block) > maxPooledWindow {
		z.block = nil
	}
}
