package network

import "sync"

// budget is the number of bytes that all requests in work may take (queued.max.request.bytes). As in
// Kafka a request may begin while any byte is left, so that the bound is overstepped by one request
// at most and a request larger than the bound still gets through.
type budget struct {
	limit int64 // 0 or less: none

	mu struct {
		sync.Mutex
		used    int64
		changed chan struct{} // closed when bytes are released; nil if nobody waits
	}
}

func (b *budget) limited() bool { return b.limit > 0 }

// tryReserve takes n bytes unless it would have to wait.
func (b *budget) tryReserve(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.used >= b.limit {
		return false
	}
	b.mu.used += n
	return true
}

// reserve takes n bytes, waiting for them; it returns false if done is closed first.
func (b *budget) reserve(n int64, done <-chan struct{}) bool {
	for {
		b.mu.Lock()
		if b.mu.used < b.limit {
			b.mu.used += n
			b.mu.Unlock()
			return true
		}
		if b.mu.changed == nil {
			b.mu.changed = make(chan struct{})
		}
		changed := b.mu.changed
		b.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.used -= n
	if b.mu.changed != nil {
		close(b.mu.changed)
		b.mu.changed = nil
	}
}
