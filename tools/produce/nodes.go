package produce

import (
	"sync"
	"time"
)

// anyNode stands for whichever broker is asked for metadata.
const anyNode = -1

// nodes remembers which brokers could not be reached, so that one of the senders tries again, and not all of them: after
// first, and twice as long each time, up to last (reconnect.backoff.ms, reconnect.backoff.max.ms).
type nodes struct {
	first, last time.Duration

	mu   sync.Mutex
	lost map[int32]*lostNode
}

type lostNode struct {
	wait  time.Duration
	until time.Time // nobody tries before
}

// mayTry reports whether a broker may be tried now, by the caller.
func (n *nodes) mayTry(id int32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, now := n.lost[id], time.Now()
	switch {
	case l == nil:
		return true
	case now.Before(l.until):
		return false
	}
	l.until, l.wait = now.Add(l.wait), min(2*l.wait, max(n.first, n.last))
	return true
}

// tried notes whether a broker was reached.
func (n *nodes) tried(id int32, reached bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if reached {
		delete(n.lost, id)
	} else if n.lost[id] == nil {
		if n.lost == nil {
			n.lost = map[int32]*lostNode{}
		}
		n.lost[id] = &lostNode{wait: n.first, until: time.Now().Add(n.first)}
	}
}
