package fetch

import (
	"context"
	"errors"
	"io"
	"runtime"

	"golang.org/x/sync/semaphore"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/request"
)

// Bounds of what conversions hold, in bytes.
const (
	// chunkBytes is the most that each connection may hold of what is converted and not yet sent.
	chunkBytes = 512 << 10
	// largeBytes is what all connections together may hold beyond: messages that are larger, one of any size.
	largeBytes = 128 << 20
	// firstBytes is what all answers together may hold of first batches converted ahead.
	firstBytes = 32 << 20
	// pooledBatch is the largest buffer that is kept for the next batch to be read.
	pooledBatch = 2 << 20
)

// conversions bounds the memory of down-conversion, however many old clients there are, however slowly they read and
// whatever batches inflate to. Each connection holds a chunk; few batches are in work at a time, because a processor
// works on no more than one.
//
// Nobody waits for a reservation, which may take until a slow client has read, while holding a slot or a batch.
type conversions struct {
	slots    chan struct{}       // one for each batch in work
	large    *semaphore.Weighted // of largeMax
	first    *semaphore.Weighted // of firstBytes
	largeMax int64
	// buffers are for the batches in work: never more than there are slots.
	buffers chan []byte
}

// newConversions returns conversions that hold large bytes of messages larger than a chunk.
func newConversions(large int64) *conversions {
	n := runtime.GOMAXPROCS(0) + 1 // one may be waiting for the disk
	return &conversions{
		slots: make(chan struct{}, n), buffers: make(chan []byte, n),
		large: semaphore.NewWeighted(large), largeMax: large, first: semaphore.NewWeighted(firstBytes),
	}
}

// convert returns the records of section converted, for a client that was to be given found bytes; nil if no batch of
// section is whole. The section is released with what is returned, or at once. A batch compressed with zstd before
// any other is an error.
func (m *conversions) convert(section request.Section, found int64, to record.Conversion) (request.Section, error) {
	c := &converted{memory: m, section: section, records: to}
	first, err := c.first(int(found))
	switch {
	case err != nil || c.pos == 0 && first == 0:
		section.Release()
		return nil, err
	case first == 0:
		c.size = record.OverheadSize // there are batches, but none of which anything is left: a message too large
	default:
		c.size = max(found, int64(first))
	}
	return c, nil
}

// first finds the first batch of which something is left, and returns how much, or any size up to enough: 0 if there
// is none. It keeps what it has converted if there is memory.
func (c *converted) first(enough int) (size int, err error) {
	for size == 0 && err == nil {
		err = c.memory.withBatch(c.section, c.pos, func(b record.Batch) (err error) {
			if size, err = c.ahead(b, enough); size == 0 && err == nil {
				c.pos += int64(len(b))
			}
			return err
		})
	}
	if err == io.EOF {
		err = nil
	}
	return size, err
}

// ahead returns the size of b converted, or any up to enough. A compressed batch has to be converted for that.
func (c *converted) ahead(b record.Batch, enough int) (int, error) {
	if plain := b.Codec() == record.None; plain && !b.IsControl() && c.records.Bound(b) <= enough {
		return enough, nil
	} else if plain || !c.memory.first.TryAcquire(chunkBytes) {
		return c.records.Size(b)
	}
	out, _, err := c.records.Append(nil, b, chunkBytes)
	kept := int64(len(out))
	c.memory.first.Release(chunkBytes - kept)
	if large, ok := errors.AsType[*record.RoomError](err); ok {
		return large.Size, nil
	}
	if kept > 0 {
		c.pos += int64(len(b))
		c.chunk, c.held = out, reservation{c.memory.first, kept}
	}
	return len(out), err
}

// reservation is memory that is accounted for.
type reservation struct {
	of    *semaphore.Weighted
	bytes int64
}

func (r *reservation) release() {
	r.of.Release(r.bytes)
	*r = reservation{}
}

// reserve waits until n bytes may be held, or if that is more than ever may, until nobody else holds anything.
func (m *conversions) reserve(n int) reservation {
	r := reservation{m.large, min(int64(n), m.largeMax)}
	_ = r.of.Acquire(context.Background(), r.bytes) // it does not fail: there is no deadline
	return r
}

// withBatch calls f with the batch at pos of section, which is valid until f returns, when it is its turn. It returns
// io.EOF if there is no whole batch.
func (m *conversions) withBatch(section request.Section, pos int64, f func(record.Batch) error) error {
	m.slots <- struct{}{}
	defer func() { <-m.slots }()
	var buf []byte
	select {
	case buf = <-m.buffers:
	default:
	}
	defer func() {
		if cap(buf) > 0 && cap(buf) <= pooledBatch {
			m.buffers <- buf // there is room: it has a slot
		}
	}()
	left := section.Size() - pos
	if left < record.PeekLen {
		return io.EOF
	}
	var head [record.PeekLen]byte
	if err := readFull(section, head[:], pos); err != nil {
		return err
	}
	size, err := record.PeekSize(head[:])
	if err != nil {
		return err
	}
	if int64(size) > left {
		return io.EOF
	}
	if size > cap(buf) {
		buf = make([]byte, size)
	}
	if err := readFull(section, buf[:size], pos); err != nil {
		return err
	}
	return f(record.Batch(buf[:size:size]))
}

// readFull fills p with what is at pos of section.
func readFull(section request.Section, p []byte, pos int64) error {
	n, err := section.ReadAt(p, pos)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
