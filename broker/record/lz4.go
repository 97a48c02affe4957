package record

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/pierrec/lz4/v4"
)

// The LZ4 frame format, as far as Kafka takes part in it: magic number, FLG, BD, optionally the
// content size, header checksum; then blocks (little-endian size whose top bit says "not compressed",
// data, optionally a checksum); then a size of 0, optionally the content's checksum.
const (
	lz4Magic        = 0x184D2204
	lz4FlagVersion  = 0xc0
	lz4Version1     = 0x40
	lz4Independent  = 0x20
	lz4BlockSum     = 0x10
	lz4ContentSize  = 0x08
	lz4ContentSum   = 0x04
	lz4FlagReserved = 0x03
	lz4BDReserved   = 0x8f
	lz4Raw          = 1 << 31
)

var (
	errLZ4Magic       = errors.New("Stream unsupported (invalid magic bytes)")     //lint:ignore ST1005 Kafka's text
	errLZ4Short       = errors.New("Stream ended prematurely")                     //lint:ignore ST1005 Kafka's text
	errLZ4HeaderSum   = errors.New("Stream frame descriptor corrupted")            //lint:ignore ST1005 Kafka's text
	errLZ4BlockSum    = errors.New("Block checksum mismatch")                      //lint:ignore ST1005 Kafka's text
	errLZ4Descriptor  = errors.New("lz4 frame descriptor is not supported")        // version, linked blocks, reserved bits
	errLZ4BlockSize   = errors.New("lz4 block is larger than the frame allows")    //
	errLZ4ContentSum  = errors.New("lz4 content checksum mismatch")                //
	errLZ4Trailing    = errors.New("lz4 frame is followed by something")           //
	errLZ4ContentSize = errors.New("lz4 content is not as long as the frame says") //
)

// lz4Source reads one LZ4 frame with independent blocks (Lz4BlockInputStream). In format v0 the
// header's checksum is not looked at, because clients of that time, Kafka's included, computed it
// over the wrong bytes. It is stricter than Kafka where other readers are: checksum and size of the
// content are verified if they are there, and nothing may follow the frame.
type lz4Source struct {
	in       []byte // what is left of the frame
	flags    byte
	maxBlock int
	size     uint64   // of the content, if the flag is set
	total    uint64   // decompressed so far
	sum      xxHash32 // of the content, if the flag is set
	block    []byte   // for blocks that are too large to be decompressed in place
	rest     []byte   // of block
}

func (l *lz4Source) reset(data []byte, magic int8) (int, error) {
	if len(data) < 7 {
		return 0, errLZ4Short
	}
	if binary.LittleEndian.Uint32(data) != lz4Magic {
		return 0, errLZ4Magic
	}
	l.flags = data[4]
	bd := data[5]
	blockSize := bd >> 4 & 7
	if l.flags&(lz4FlagVersion|lz4Independent|lz4FlagReserved) != lz4Version1|lz4Independent ||
		bd&lz4BDReserved != 0 || blockSize < 4 {
		return 0, errLZ4Descriptor
	}
	l.maxBlock = 1 << (2*blockSize + 8)
	pos := 6
	if l.flags&lz4ContentSize != 0 {
		if len(data) < pos+9 {
			return 0, errLZ4Short
		}
		l.size = binary.LittleEndian.Uint64(data[pos:])
		pos += 8
	}
	if magic != MagicV0 && data[pos] != byte(xxHash32Of(data[4:pos])>>8) {
		return 0, errLZ4HeaderSum
	}
	l.in, l.rest, l.total = data[pos+1:], nil, 0
	l.sum.reset()
	return 0, nil
}

func (l *lz4Source) read(dst []byte, _ *heavy) (int, error) {
	if len(l.rest) > 0 {
		n := copy(dst, l.rest)
		l.rest = l.rest[n:]
		return n, nil
	}
	if len(l.in) < 4 {
		return 0, errLZ4Short
	}
	head := binary.LittleEndian.Uint32(l.in)
	l.in = l.in[4:]
	size := int(head &^ lz4Raw)
	if size == 0 {
		return 0, l.end()
	}
	if size > l.maxBlock {
		return 0, errLZ4BlockSize
	}
	if size > len(l.in) {
		return 0, errLZ4Short
	}
	data := l.in[:size]
	l.in = l.in[size:]
	if l.flags&lz4BlockSum != 0 {
		if len(l.in) < 4 {
			return 0, errLZ4Short
		}
		if binary.LittleEndian.Uint32(l.in) != xxHash32Of(data) {
			return 0, errLZ4BlockSum
		}
		l.in = l.in[4:]
	}
	out, err := l.decode(dst, data, head&lz4Raw != 0)
	if err != nil {
		return 0, err
	}
	l.total += uint64(len(out))
	if l.flags&lz4ContentSum != 0 {
		l.sum.write(out)
	}
	if len(out) > 0 && &out[0] == &dst[0] {
		return len(out), nil
	}
	n := copy(dst, out)
	l.rest = out[n:]
	return n, nil
}

// decode returns the content of a block: in dst if it is sure to fit, and otherwise in l.block, or in
// the frame itself.
func (l *lz4Source) decode(dst, data []byte, raw bool) ([]byte, error) {
	if raw {
		return data, nil
	}
	if len(dst) < l.maxBlock {
		if len(l.block) < l.maxBlock {
			l.block = make([]byte, l.maxBlock)
		}
		dst = l.block
	}
	n, err := lz4.UncompressBlock(data, dst[:l.maxBlock])
	return dst[:n], err
}

// end checks what stands after the last block.
func (l *lz4Source) end() error {
	if l.flags&lz4ContentSize != 0 && l.total != l.size {
		return errLZ4ContentSize
	}
	if l.flags&lz4ContentSum != 0 {
		if len(l.in) < 4 {
			return errLZ4Short
		}
		if binary.LittleEndian.Uint32(l.in) != l.sum.sum() {
			return errLZ4ContentSum
		}
		l.in = l.in[4:]
	}
	if len(l.in) > 0 {
		return errLZ4Trailing
	}
	return io.EOF
}

func (l *lz4Source) release() {
	l.in, l.rest = nil, nil
	if len(l.block) > maxPooledWindow {
		l.block = nil
	}
}
