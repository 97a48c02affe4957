package propagate

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// queue holds what is proposed, at most one change per partition.
type queue struct {
	wake chan struct{} // holds an element once there are proposals

	mu       sync.Mutex
	proposed map[topic.Partition]replica.Proposal
}

func newQueue() *queue {
	return &queue{wake: make(chan struct{}, 1), proposed: map[topic.Partition]replica.Proposal{}}
}

// Propose implements replica.Propagator. An older proposal for the same partition is of a leader epoch that is
// over; nobody waits for its outcome.
func (q *queue) Propose(p replica.Proposal) {
	q.mu.Lock()
	q.proposed[p.Partition] = p
	q.mu.Unlock()
	q.ring()
}

func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// again puts proposals back that came to nothing, unless there is a newer one.
func (q *queue) again(proposals []replica.Proposal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range proposals {
		if _, newer := q.proposed[p.Partition]; !newer {
			q.proposed[p.Partition] = p
		}
	}
}

// take returns all proposals, which are the caller's then.
func (q *queue) take() []replica.Proposal {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := slices.Collect(maps.Values(q.proposed))
	clear(q.proposed)
	return all
}

// sleep waits for d, or for a proposal; d < 0 waits for a proposal alone. It returns false when ctx ends.
func (q *queue) sleep(ctx context.Context, d time.Duration) bool {
	var after <-chan time.Time
	if d >= 0 {
		after = time.After(d)
	}
	select {
	case <-ctx.Done():
	case <-q.wake:
	case <-after:
	}
	return ctx.Err() == nil
}
