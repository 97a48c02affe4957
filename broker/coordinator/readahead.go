package coordinator

import (
	"errors"
	"fmt"
	"sync"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
)

// readAhead reads a partition's log from its start to its end, on a goroutine of its own: while one buffer is
// decoded the next ones are filled, so that neither side waits for the other one as soon as that pauses. All together
// have no more than the size that they are given, unless one batch is larger.
//
// The buffers go round: free -> run -> full -> next -> free.
type readAhead struct {
	partition *replica.Partition
	size      int // of a buffer
	free      chan []byte
	full      chan chunk
	stop      chan struct{}
	wg        sync.WaitGroup
	taken     []byte // what next has returned
}

// chunk is a run of whole batches, or why there is none.
type chunk struct {
	batches []byte
	err     error
}

// As many and as large as buffers need to be: what was copied into one is decoded before it leaves the caches.
const (
	readAheadMax     = 128 << 10
	readAheadBuffers = 4
)

// newReadAhead begins to read. Close ends that.
func newReadAhead(p *replica.Partition, bytes int) *readAhead {
	size := min(bytes/2, readAheadMax)
	buffers := min(max(bytes/max(size, 1), 2), readAheadBuffers)
	a := &readAhead{
		partition: p, size: size, free: make(chan []byte, buffers), full: make(chan chunk, buffers), stop: make(chan struct{}),
	}
	for range buffers {
		a.free <- nil
	}
	a.wg.Go(a.run)
	return a
}

// Close returns when nothing is read any more.
func (a *readAhead) Close() {
	close(a.stop)
	a.wg.Wait()
}

// next returns the next batches, which are valid until it is called again; none at the end of the log.
func (a *readAhead) next() ([]byte, error) {
	if a.taken != nil {
		a.free <- a.taken
	}
	c := <-a.full
	a.taken = c.batches
	return c.batches, c.err
}

func (a *readAhead) run() {
	defer close(a.full)
	offset := a.partition.Log().StartOffset()
	for offset < a.partition.Log().EndOffset() { // the log may move to another directory
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.stop:
			return
		}
		batches, next, err := a.read(buf, offset)
		if err != nil {
			err = fmt.Errorf("read from offset %d: %w", offset, err)
		}
		if err == nil && next <= offset {
			return
		}
		offset = next
		select {
		case a.full <- chunk{batches, err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

// read fills buf with the batches from offset on, one at least if there is one, and returns where to go on.
func (a *readAhead) read(buf []byte, offset int64) ([]byte, int64, error) {
	read, err := a.partition.ReadAll(offset, a.size)
	if err != nil || read.Section == nil {
		return nil, offset, err
	}
	defer read.Section.Release()
	n := int(read.Section.Size())
	if cap(buf) < n {
		buf = make([]byte, max(n, a.size))
	}
	buf = buf[:n]
	if got, err := read.Section.ReadAt(buf, 0); got < n {
		return nil, offset, err
	}
	whole := 0
	for {
		b, _, err := record.Next(buf[whole:])
		if errors.Is(err, record.ErrShort) && whole > 0 {
			return buf[:whole], offset, nil
		}
		if err != nil { // ErrShort, too: what is there is no batch, and not the end of the log
			return nil, offset, err
		}
		whole += len(b)
		offset = max(offset, b.NextOffset())
	}
}
