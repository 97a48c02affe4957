package record

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressor is one codec's way to write a stream.
type compressor interface {
	io.Writer
	// reset makes it write to w, for a batch of format magic.
	reset(w io.Writer, magic int8) error
	// Close writes what is left, and lets go of the writer.
	Close() error
}

// compressorKey tells apart compressors that cannot stand in for each other.
type compressorKey struct {
	codec Codec
	level int
}

// compressors keeps compressors for reuse: compressorKey to *sync.Pool. The keys come from topic
// configurations, of which validLevel bounds the number.
var compressors sync.Map

// newCompressor takes a compressor from its pool or makes one.
func newCompressor(key compressorKey) (compressor, error) {
	pool, ok := compressors.Load(key)
	if !ok {
		pool, _ = compressors.LoadOrStore(key, new(sync.Pool))
	}
	if c, ok := pool.(*sync.Pool).Get().(compressor); ok {
		return c, nil
	}
	switch key.codec {
	case Gzip:
		gz, err := gzip.NewWriterLevel(nil, key.level)
		return &gzipSink{gz}, err
	case Snappy:
		return &snappySink{buf: make([]byte, 0, xerialBlock)}, nil
	case LZ4:
		return newLZ4Sink(key.level), nil
	case Zstd:
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false), // the batch has one
			zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(key.level)))
		return &zstdSink{enc}, err
	}
	return nil, fmt.Errorf("record: no compressor for codec %d", key.codec)
}

// putCompressor gives c, which has been closed, back to its pool.
func putCompressor(key compressorKey, c compressor) {
	if pool, ok := compressors.Load(key); ok {
		pool.(*sync.Pool).Put(c)
	}
}

// normalLevel maps level to the levels that codec's compressors have, 0 to the default.
func normalLevel(codec Codec, level int) int {
	if level == 0 {
		level = codec.DefaultLevel()
	}
	switch codec {
	case Gzip:
		return min(max(level, gzip.DefaultCompression), gzip.BestCompression)
	case LZ4:
		return min(max(level, 1), 17)
	case Zstd:
		return min(max(level, 1), 22)
	}
	return 0
}

type gzipSink struct{ *gzip.Writer }

func (g *gzipSink) reset(w io.Writer, _ int8) error {
	g.Writer.Reset(w)
	return nil
}

type zstdSink struct{ *zstd.Encoder }

func (z *zstdSink) reset(w io.Writer, _ int8) error {
	z.Encoder.Reset(w)
	return nil
}

// snappySink writes the stream of the snappy-java library, in blocks of 32 KiB.
type snappySink struct {
	w   io.Writer
	buf []byte // content of the next block
	out []byte
}

func (z *snappySink) reset(w io.Writer, _ int8) error {
	z.w, z.buf = w, z.buf[:0]
	_, err := w.Write(xerialHeader)
	return err
}

func (z *snappySink) Write(p []byte) (int, error) {
	return writeBlocks(p, &z.buf, z.flush)
}

func (z *snappySink) flush() error {
	if size := 4 + s2.MaxEncodedLen(len(z.buf)); cap(z.out) < size {
		z.out = make([]byte, size)
	}
	block := s2.EncodeSnappy(z.out[4:cap(z.out)], z.buf)
	binary.BigEndian.PutUint32(z.out[:4], uint32(len(block)))
	z.buf = z.buf[:0]
	_, err := z.w.Write(z.out[:4+len(block)])
	return err
}

func (z *snappySink) Close() error {
	if len(z.buf) > 0 {
		if err := z.flush(); err != nil {
			return err
		}
	}
	z.w = nil
	return nil
}

// writeBlocks fills *buf with p, and calls flush, which empties it, each time that it is full.
func writeBlocks(p []byte, buf *[]byte, flush func() error) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), cap(*buf)-len(*buf))
		*buf = append(*buf, rest[:n]...)
		rest = rest[n:]
		if len(*buf) == cap(*buf) {
			if err := flush(); err != nil {
				return len(p) - len(rest), err
			}
		}
	}
	return len(p), nil
}

// lz4Sink writes one LZ4 frame as Kafka does: independent blocks of 64 KiB, no checksums but the
// header's, which in format v0 covers the magic number too, as old clients expect it.
type lz4Sink struct {
	w    io.Writer
	buf  []byte // content of the next block
	out  []byte
	fast lz4.Compressor
	high *lz4.CompressorHC // instead of fast, for levels other than the default
}

const lz4BlockBytes = 64 << 10

func newLZ4Sink(level int) *lz4Sink {
	l := &lz4Sink{buf: make([]byte, 0, lz4BlockBytes), out: make([]byte, 4+lz4.CompressBlockBound(lz4BlockBytes))}
	if level != LZ4.DefaultLevel() {
		l.high = &lz4.CompressorHC{Level: lz4Depth(level)}
	}
	return l
}

// lz4Depth returns how many places the search for a match tries at a level: as many as LZ4_compress_HC, which Kafka
// calls, up to level 9. From 10 on, where that searches in another way, each level tries twice as many as the one before;
// at 17 they are all that a block has. The levels that the library names begin at 512.
func lz4Depth(level int) lz4.CompressionLevel { return 1 << (min(max(level, 2), 17) - 1) }

func (l *lz4Sink) reset(w io.Writer, magic int8) error {
	l.w, l.buf = w, l.buf[:0]
	header := append(l.out[:0], 0x04, 0x22, 0x4d, 0x18, lz4Version1|lz4Independent, 0x40)
	summed := header[4:]
	if magic == MagicV0 {
		summed = header
	}
	_, err := w.Write(append(header, byte(xxHash32Of(summed)>>8)))
	return err
}

func (l *lz4Sink) Write(p []byte) (int, error) {
	return writeBlocks(p, &l.buf, l.flush)
}

func (l *lz4Sink) flush() error {
	var n int
	var err error
	if l.high != nil {
		n, err = l.high.CompressBlock(l.buf, l.out[4:])
	} else {
		n, err = l.fast.CompressBlock(l.buf, l.out[4:])
	}
	if err != nil {
		return err
	}
	head := uint32(n)
	if n == 0 || n >= len(l.buf) { // no gain: stored
		n = copy(l.out[4:], l.buf)
		head = uint32(n) | lz4Raw
	}
	binary.LittleEndian.PutUint32(l.out, head)
	l.buf = l.buf[:0]
	_, err = l.w.Write(l.out[:4+n])
	return err
}

func (l *lz4Sink) Close() error {
	if len(l.buf) > 0 {
		if err := l.flush(); err != nil {
			return err
		}
	}
	clear(l.out[:4])
	_, err := l.w.Write(l.out[:4])
	l.w = nil
	return err
}
