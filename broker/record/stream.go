package record

import (
	"io"
	"sync"
)

// Bounds of decompression, in bytes.
const (
	// MaxRecordBytes is the largest decompressed size of one record of a compressed batch. Anything
	// larger is refused: a client that sends a record raw cannot send more either, since requests are
	// limited to 100 MiB by default (socket.request.max.bytes).
	MaxRecordBytes = 128 << 20

	// windowBytes is the size of the window that records are read from, and minRead the least room
	// that a source is given: the largest lz4 block that Kafka's producers write.
	windowBytes = 128 << 10
	minRead     = 64 << 10
	// maxPooledWindow is the largest window that goes back to the pool.
	maxPooledWindow = 2 << 20
)

// stream is the decompressed records of a batch, seen through a window.
//
//	buf  [ consumed | unread | free ]
//	               r        w
//
// The window only grows if a whole record is asked for that is larger (whole), and then no faster
// than decompressed bytes arrive. Streams are pooled, one pool per codec, with windows and decoders.
//
// While a stream that needs large buffers is open it holds a permit (heavy), so that nobody may open
// a second stream before closing the first.
type stream struct {
	buf   []byte
	r, w  int
	src   source // nil for None, where all there is, is in buf
	err   error  // why src ended: io.EOF if all is well
	heavy heavy
}

// source is one codec's decompressor.
type source interface {
	// reset makes it read data, compressed in a batch of format magic. It returns the size of the
	// window in bytes that would suit it best, and may be less than windowBytes.
	reset(data []byte, magic int8) (window int, err error)
	// read decompresses at least a byte into dst, which has room for minRead bytes or more. After the
	// last byte it returns io.EOF, with or without bytes. It calls large before it makes a buffer
	// beyond heavyBytes.
	read(dst []byte, large *heavy) (int, error)
	// release lets go of the data, and of buffers that are too large to keep.
	release()
}

var streams [Zstd + 1]sync.Pool

// openStream returns a stream over data, compressed with codec in a batch of format magic. Unless
// there is an error, the caller closes it.
func openStream(data []byte, codec Codec, magic int8) (*stream, error) {
	if !codec.Valid() {
		return nil, errorf(ErrDecompress, "Unknown compression type id: %d", int8(codec))
	}
	s, _ := streams[codec].Get().(*stream)
	if s == nil {
		s = &stream{src: newSource(codec)}
	}
	s.r, s.w, s.err = 0, 0, nil
	if codec == None {
		s.buf, s.w, s.err = data, len(data), io.EOF
		return s, nil
	}
	window, err := s.src.reset(data, magic)
	if err != nil {
		s.close(codec)
		return nil, decompressError(err)
	}
	if window = max(window, windowBytes); len(s.buf) < window {
		s.buf = make([]byte, window)
	}
	return s, nil
}

// close gives the stream back to the pool of codec.
func (s *stream) close(codec Codec) {
	if s.src != nil {
		s.src.release()
	}
	if codec == None || len(s.buf) > maxPooledWindow {
		s.buf = nil
	}
	s.heavy.release()
	streams[codec].Put(s)
}

func newSource(codec Codec) source {
	switch codec {
	case Gzip:
		return new(gzipSource)
	case Snappy:
		return new(snappySource)
	case LZ4:
		return new(lz4Source)
	case Zstd:
		return new(zstdSource)
	}
	return nil
}

func decompressError(err error) error {
	return errorf(ErrDecompress, "Failed to decompress record stream: %v", err)
}

// unread returns the bytes of the window that are still to be consumed.
func (s *stream) unread() []byte { return s.buf[s.r:s.w] }

// fill decompresses more into the window, moving the unread bytes to its start if room is short. It
// returns false at the end, if the data is broken (failed tells) or if the window is full of unread
// bytes.
func (s *stream) fill() bool {
	if s.err != nil {
		return false
	}
	if s.r > 0 && len(s.buf)-s.w < minRead || s.r == s.w {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if len(s.buf)-s.w < minRead {
		return false
	}
	for s.err == nil {
		n, err := s.src.read(s.buf[s.w:], &s.heavy)
		s.w += n
		s.err = err
		if n > 0 {
			return true
		}
	}
	return false
}

// failed returns an *Error if the stream ended because its data is broken.
func (s *stream) failed() error {
	if s.err == nil || s.err == io.EOF {
		return nil
	}
	return decompressError(s.err)
}

// peek makes n bytes, at most minRead, unread in the window if the stream still has them, and returns
// what is unread.
func (s *stream) peek(n int) []byte {
	for s.w-s.r < n && s.fill() {
	}
	return s.unread()
}

// skip consumes n bytes, and returns false if the stream does not have them.
func (s *stream) skip(n int) bool {
	for s.w-s.r < n {
		n -= s.w - s.r
		s.r = s.w
		if !s.fill() {
			return false
		}
	}
	s.r += n
	return true
}

// whole makes n bytes unread in the window, which grows if they do not fit, and returns them. It
// returns nil if the stream does not have them.
func (s *stream) whole(n int) []byte {
	for s.w-s.r < n {
		if s.fill() {
			continue
		}
		if s.err != nil {
			return nil
		}
		s.grow(n)
	}
	return s.buf[s.r : s.r+n]
}

// grow doubles the window, or makes it what n unread bytes need if that is less, so that memory
// follows the bytes that are really there.
func (s *stream) grow(n int) {
	size := max(min(2*len(s.buf), n+minRead), len(s.buf)+minRead)
	if size > heavyBytes {
		s.heavy.acquire()
	}
	buf := make([]byte, size)
	s.w = copy(buf, s.unread())
	s.r = 0
	s.buf = buf
}
