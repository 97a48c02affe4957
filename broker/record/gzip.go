package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Flags in the header of a gzip member.
const (
	gzipHeaderSum = 1 << 1
	gzipExtra     = 1 << 2
	gzipName      = 1 << 3
	gzipComment   = 1 << 4
	gzipReserved  = 0xe0
)

var (
	errGzipHeader = errors.New("gzip: invalid header")
	errGzipSum    = errors.New("gzip: invalid checksum")
)

// gzipSource reads gzip members (RFC 1952); several in a row count as one stream.
type gzipSource struct {
	f     inflater
	sum   uint32 // of the member's content so far
	total uint32 // its length
}

func (g *gzipSource) reset(data []byte, _ int8) (int, error) { return 0, g.member(data) }

// member begins with the member at the start of data.
func (g *gzipSource) member(data []byte) error {
	n, err := gzipHeaderSize(data)
	if err != nil {
		return err
	}
	g.f.reset(data[n:])
	g.sum, g.total = 0, 0
	return nil
}

// gzipHeaderSize checks the header of a member and returns its size.
func gzipHeaderSize(data []byte) (int, error) {
	n := 10
	if len(data) < n {
		return 0, io.ErrUnexpectedEOF
	}
	flags := data[3]
	if data[0] != 0x1f || data[1] != 0x8b || data[2] != 8 || flags&gzipReserved != 0 {
		return 0, errGzipHeader
	}
	if flags&gzipExtra != 0 {
		if len(data) < n+2 {
			return 0, io.ErrUnexpectedEOF
		}
		n += 2 + int(binary.LittleEndian.Uint16(data[n:]))
	}
	for _, text := range [...]byte{gzipName, gzipComment} {
		if flags&text == 0 {
			continue
		}
		if n > len(data) {
			return 0, io.ErrUnexpectedEOF
		}
		end := bytes.IndexByte(data[n:], 0)
		if end < 0 {
			return 0, io.ErrUnexpectedEOF
		}
		n += end + 1
	}
	if n > len(data) {
		return 0, io.ErrUnexpectedEOF
	}
	if flags&gzipHeaderSum != 0 {
		if len(data) < n+2 {
			return 0, io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint16(data[n:]) != uint16(crc32.ChecksumIEEE(data[:n])) {
			return 0, errGzipHeader
		}
		n += 2
	}
	return n, nil
}

func (g *gzipSource) read(dst []byte, _ *heavy) (int, error) {
	for {
		n, err := g.f.read(dst)
		if n > 0 {
			g.sum = crc32.Update(g.sum, crc32.IEEETable, dst[:n])
			g.total += uint32(n)
		}
		if err != io.EOF {
			return n, err
		}
		rest := g.f.rest()
		if len(rest) < 8 {
			return n, io.ErrUnexpectedEOF
		}
		if binary.LittleEndian.Uint32(rest) != g.sum || binary.LittleEndian.Uint32(rest[4:]) != g.total {
			return n, errGzipSum
		}
		if rest = rest[8:]; len(rest) == 0 {
			return n, io.EOF
		}
		if err := g.member(rest); n > 0 || err != nil {
			return n, err
		}
	}
}

func (g *gzipSource) release() { g.f.reset(nil) }

// unexpected makes the end of data, where there should be more, an error of its own.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
