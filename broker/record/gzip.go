package record

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/gzip"
)

// gzipSource reads RFC 1952 streams; several in a row count as one.
type gzipSource struct {
	in bytes.Reader // the decoder has a fast path for it
	gz gzip.Reader
}

func (g *gzipSource) reset(data []byte, _ int8) (int, error) {
	g.in.Reset(data)
	return 0, unexpected(g.gz.Reset(&g.in))
}

func (g *gzipSource) read(dst []byte, _ *heavy) (int, error) { return g.gz.Read(dst) }

func (g *gzipSource) release() { g.in.Reset(nil) }

// unexpected makes the end of data, where there should be more, an error of its own.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
