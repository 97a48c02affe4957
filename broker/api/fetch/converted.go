package fetch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
)

// converted is a section of a log whose records are converted for an old client while they are sent
// (LazyDownConversionRecordsSend, KIP-283).
//
// The client is told the size beforehand: that of the section, or of the first batch converted if that is more, so
// that it always gets on. Converted records behind that are cut off; if there are fewer, or zstd is met, the rest is
// filled with a message that is larger than what is left. Clients leave out what is not whole and ask for it again.
//
// It is read once, from its first byte to the last, by one goroutine at a time.
type converted struct {
	memory  *conversions
	section request.Section
	pos     int64             // in section, of the batch that is next
	records record.Conversion // From: behind what has been converted

	size, given int64
	chunk       []byte // converted and not yet given
	buf         []byte // that chunk is in, unless it is held
	held        reservation
	filling     bool // nothing is left to convert
}

var _ request.Section = (*converted)(nil)

// Size implements request.Section.
func (c *converted) Size() int64 { return c.size }

// Open implements request.Section: the bytes are in no file.
func (c *converted) Open() (*os.File, int64, error) { return nil, 0, nil }

// Close implements request.Section.
func (c *converted) Close() {}

// Release implements request.Section.
func (c *converted) Release() {
	c.drop()
	c.section.Release()
}

// ReadAt implements request.Section. It must be called for one piece after the other.
func (c *converted) ReadAt(p []byte, off int64) (int, error) {
	if off != c.given {
		return 0, fmt.Errorf("converted records are at %d, not at %d", c.given, off)
	}
	n := 0
	for n < len(p) && c.given < c.size {
		if len(c.chunk) == 0 && !c.filling {
			if err := c.next(); err != nil {
				return n, err
			}
		}
		want := int(min(int64(len(p)-n), c.size-c.given))
		m := copy(p[n:n+want], c.chunk)
		c.chunk = c.chunk[m:]
		if m == 0 {
			clear(p[n : n+want])
			m = want
		}
		n += m
		c.given += int64(m)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// next makes the next chunk.
func (c *converted) next() error {
	c.drop()
	for room := chunkBytes; len(c.chunk) == 0; {
		err := c.step(room)
		var large *record.RoomError
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, record.ErrUnsupportedCompression):
			c.fill()
		case errors.As(err, &large) && int64(large.Size) > c.size-c.given:
			c.fill()
		case errors.As(err, &large) && large.Size > room:
			// Nothing is held while others are waited for.
			c.drop()
			c.held = c.memory.reserve(large.Size)
			room = large.Size
		default:
			return err
		}
	}
	return nil
}

// step converts the next batch, or as much of it as there is room for, to be the next chunk.
func (c *converted) step(room int) error {
	return c.memory.withBatch(c.section, c.pos, func(b record.Batch) (err error) {
		next := record.AllConverted
		if c.chunk, next, err = c.records.Append(c.buf[:0], b, room); err != nil {
			c.chunk = nil
			return err
		}
		c.buf = c.chunk
		if next == record.AllConverted {
			c.pos += int64(len(b))
		} else {
			c.records.From = next
		}
		return nil
	})
}

// fill makes the beginning of a message that is larger than what is left the next chunk. The bytes behind are zeros.
func (c *converted) fill() {
	c.drop()
	none, size := int64(-1), max(c.size-c.given+1, record.HeaderSize)
	c.chunk = binary.BigEndian.AppendUint64(c.buf[:0], uint64(none))
	c.chunk = binary.BigEndian.AppendUint32(c.chunk, uint32(size))
	c.filling = true
}

// drop lets go of what has been converted.
func (c *converted) drop() {
	c.chunk = nil
	if c.held.bytes > 0 {
		c.buf = nil
		c.held.release()
	}
}
