package metadata

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Cache holds the newest Snapshot. The zero Cache is ready: no controller, no brokers, no topics.
type Cache struct {
	snapshot atomic.Pointer[Snapshot] // stored under mu; nil: empty

	mu struct {
		sync.Mutex
		waiters []*waiter // bounded by the requests that wait
	}
}

// waiter is one call of WaitFor.
type waiter struct {
	until func(*Snapshot) bool
	met   chan struct{} // closed under Cache.mu once until held
}

var empty = &Snapshot{ControllerID: -1}

// Load returns the newest snapshot, never nil.
func (c *Cache) Load() *Snapshot {
	if s := c.snapshot.Load(); s != nil {
		return s
	}
	return empty
}

// Apply replaces the snapshot by one with req's news, as ZkMetadataCache.updateMetadata does: the
// live brokers and the controller are replaced, partitions are added or overwritten, those with
// leader -2 are removed, and with its last partition a topic. It returns the removed partitions, also those
// that were not known. It takes all versions of the request, keeps no part of it, and checks no
// epoch: that is the caller's part.
func (c *Cache) Apply(req *kmsg.UpdateMetadataRequest) (deleted []topic.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, deleted := c.Load().apply(req)
	c.snapshot.Store(next)
	c.mu.waiters = slices.DeleteFunc(c.mu.waiters, func(w *waiter) bool {
		if !w.until(next) {
			return false
		}
		close(w.met)
		return true
	})
	return deleted
}

// WaitFor returns nil once until holds for the newest snapshot, at once if it does now, and ctx's
// error if ctx ends before. until is called once for each change, by whoever makes it: it must be
// quick and must not call the Cache.
func (c *Cache) WaitFor(ctx context.Context, until func(*Snapshot) bool) error {
	w := &waiter{until: until, met: make(chan struct{})}
	if c.await(w) {
		return nil
	}
	select {
	case <-w.met:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.mu.waiters, w)
	if i < 0 {
		return nil // met while ctx ended
	}
	c.mu.waiters = slices.Delete(c.mu.waiters, i, i+1)
	return ctx.Err()
}

// await enlists w, or reports that it needs no waiting.
func (c *Cache) await(w *waiter) (met bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.until(c.Load()) {
		return true
	}
	c.mu.waiters = append(c.mu.waiters, w)
	return false
}
