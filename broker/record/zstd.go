package record

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Bounds of zstd decompression, in bytes. A frame may ask for a window of any size, which a decoder
// of streams has to keep. Kafka's producers ask for 2 MiB at the default level, for up to 128 MiB at
// level 22.
const (
	zstdMaxWindow = 128 << 20 // the largest that Kafka's own library takes
	zstdOnceBytes = 1 << 20   // up to this size all is decompressed at once
	zstdOnceInput = 256 << 10 // up to this size it is tried without knowing the decompressed size

	// zstdSlack is what a buffer needs beyond the content so that the decoder, up to the last block,
	// uses copies that may write too much: a block, and 16 bytes.
	zstdSlack = 128<<10 + 16
)

// zstdSource reads zstd frames. What is small it decompresses in one go, straight into the stream's
// window, since then zstd needs no window of its own. The rest is read as a stream.
type zstdSource struct {
	in     bytes.Reader
	data   []byte
	once   bool // try to decompress all at once
	begun  bool // a stream decoder is reading
	all    *zstd.Decoder
	stream *zstd.Decoder // with windows up to heavyBytes
	large  *zstd.Decoder // with windows beyond, only while reading
	window uint64        // of the first frame
}

func newZstdDecoder(window uint64) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxWindow(window))
}

func (z *zstdSource) reset(data []byte, _ int8) (window int, err error) {
	var header zstd.Header
	if err := header.Decode(data); err != nil {
		return 0, unexpected(err)
	}
	z.data, z.begun, z.once = data, false, false
	z.window = header.WindowSize
	switch {
	case header.HasFCS:
		z.window = max(z.window, header.FrameContentSize)
		z.once = header.FrameContentSize <= zstdOnceBytes
		window = int(min(header.FrameContentSize, zstdOnceBytes))
	case len(data) <= zstdOnceInput:
		z.once = true
		window = min(8*len(data), zstdOnceBytes)
	}
	if z.once && z.all == nil {
		z.all, err = newZstdDecoder(zstdMaxWindow)
	}
	return window + zstdSlack, err
}

func (z *zstdSource) read(dst []byte, large *heavy) (int, error) {
	if z.once {
		z.once = false
		out, err := z.all.DecodeAll(z.data, dst[:0:len(dst)])
		if err == nil {
			return len(out), io.EOF
		}
		// It did not fit, or is broken: reading it as a stream will tell.
	}
	if !z.begun {
		if err := z.begin(large); err != nil {
			return 0, err
		}
	}
	if z.large != nil {
		return z.large.Read(dst)
	}
	return z.stream.Read(dst)
}

// begin starts to read as a stream.
func (z *zstdSource) begin(large *heavy) (err error) {
	z.begun = true
	z.in.Reset(z.data)
	if z.window > heavyBytes {
		large.acquire()
		if z.large, err = newZstdDecoder(zstdMaxWindow); err != nil {
			return err
		}
		return z.large.Reset(&z.in)
	}
	if z.stream == nil {
		if z.stream, err = newZstdDecoder(heavyBytes); err != nil {
			return err
		}
	}
	return z.stream.Reset(&z.in)
}

func (z *zstdSource) release() {
	z.data = nil
	z.in.Reset(nil)
	if z.large != nil {
		z.large.Close()
		z.large = nil
	}
	if z.begun && z.stream != nil {
		_ = z.stream.Reset(nil) // lets go of the reader; cannot fail
	}
}
