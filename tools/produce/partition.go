package produce

import (
	"context"
	"sync"
	"time"
)

// partition holds the batches of one partition that wait for their sender.
type partition struct {
	producer *producer
	index    int32

	mu struct {
		sync.Mutex
		open    *batch   // being filled; nil: none
		full    []*batch // to be sent, in order
		closing bool
	}
	ready *sync.Cond // mu.open, mu.full or mu.closing has changed

	sender sender // only run's
}

func newPartition(p *producer, index int32) *partition {
	created := &partition{producer: p, index: index}
	created.ready = sync.NewCond(&created.mu)
	created.sender = sender{producer: p, index: index, identity: nobody}
	return created
}

// add appends r to the open batch, after closing one that it does not fit into. It returns the batch.
func (t *partition) add(ctx context.Context, r *record) (*batch, error) {
	need := r.upperBound()
	limit := max(t.producer.settings.batchSize, need)
	if b := t.tryAdd(r, need, limit); b != nil {
		return b, nil
	}
	first := min(limit, max(firstSize, need))
	reserved, err := t.producer.reserve(ctx, int64(first))
	if err != nil {
		return nil, err
	}
	b := &batch{records: t.producer.buffer(first), created: time.Now(), reserved: reserved, delivered: make(chan error, 1)}
	b.append(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.open = b
	if linger := t.producer.settings.linger; linger > 0 {
		time.AfterFunc(linger, func() { t.expire(b) })
	} else {
		b.due = true
	}
	t.ready.Signal()
	return b, nil
}

// tryAdd appends r to the open batch if it has room, else hands the batch over.
func (t *partition) tryAdd(r *record, need, limit int) *batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.mu.open
	if b == nil {
		return nil
	}
	if n := len(b.records) + need; n <= limit && (n <= cap(b.records) || t.producer.grow(b, limit)) { // need has room for the header of the batch
		b.append(r)
		return b
	}
	t.handOverLocked()
	return nil
}

// handOverLocked gives the open batch to the sender, and the sticky partitioner reason to move on. It
// requires mu, and is called by the goroutine that sends records.
func (t *partition) handOverLocked() {
	t.mu.full = append(t.mu.full, t.mu.open)
	t.mu.open = nil
	if t.producer.sticky == t.index {
		t.producer.sticky = -1
	}
	t.ready.Signal()
}

// expire makes b due if it is still open.
func (t *partition) expire(b *batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.open == b {
		b.due = true
		t.ready.Signal()
	}
}

// flush makes the open batch due.
func (t *partition) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.open != nil {
		t.mu.open.due = true
		t.ready.Signal()
	}
}

// close lets the sender end once it has sent everything.
func (t *partition) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.closing = true
	t.ready.Signal()
}

// run sends batches until close.
func (t *partition) run(ctx context.Context) {
	for {
		b := t.next()
		if b == nil {
			return
		}
		err := t.sender.deliver(ctx, b)
		if cap(b.records) > firstSize {
			t.producer.buffers.Put(&b.records)
		}
		t.producer.memory.Release(b.reserved)
		b.delivered <- err
	}
}

// next waits for a batch to send; after close it returns nil when there is none.
func (t *partition) next() *batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		switch {
		case len(t.mu.full) > 0:
			b := t.mu.full[0]
			t.mu.full = t.mu.full[1:]
			return b
		case t.mu.open != nil && (t.mu.open.due || t.mu.closing):
			b := t.mu.open
			t.mu.open = nil
			return b
		case t.mu.closing:
			return nil
		}
		t.ready.Wait()
	}
}
