package purgatory

import (
	"sync"
	"time"
)

// timer expires entries at their deadlines: a binary heap, of which one goroutine watches the top.
type timer[K comparable] struct {
	wake chan struct{} // the top changed, or the timer closes

	mu     sync.Mutex
	heap   []*entry[K] // heap[i].heapAt == i
	closed bool
}

func (t *timer[K]) init() { t.wake = make(chan struct{}, 1) }

func (t *timer[K]) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.heap)
}

// add starts e's deadline; it reports false if the timer is closed.
func (t *timer[K]) add(e *entry[K]) bool {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return false
	}
	e.heapAt = len(t.heap)
	t.heap = append(t.heap, e)
	t.up(e.heapAt)
	first := e.heapAt == 0
	t.mu.Unlock()
	if first {
		t.notify()
	}
	return true
}

// remove takes e out if it is in.
func (t *timer[K]) remove(e *entry[K]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.heapAt >= 0 {
		t.removeLocked(e.heapAt)
	}
}

func (t *timer[K]) removeLocked(i int) {
	last := len(t.heap) - 1
	gone := t.heap[i]
	t.swap(i, last)
	t.heap[last] = nil
	t.heap = t.heap[:last]
	gone.heapAt = -1
	if i < last {
		t.down(i)
		t.up(i)
	}
}

func (t *timer[K]) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.notify()
}

func (t *timer[K]) notify() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// run calls expire for each entry whose deadline has passed, until the timer is closed; then it
// expires all that is left.
func (t *timer[K]) run(expire func(*entry[K])) {
	clock := time.NewTimer(time.Hour)
	defer clock.Stop()
	for {
		due, wait, closed := t.due()
		for _, e := range due {
			expire(e)
		}
		switch {
		case closed && len(due) == 0:
			return
		case len(due) > 0:
			continue
		}
		clock.Reset(wait)
		select {
		case <-clock.C:
		case <-t.wake:
		}
	}
}

// due takes out what is to be expired now and says how long the next one has.
func (t *timer[K]) due() (due []*entry[K], wait time.Duration, closed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for len(t.heap) > 0 && (t.closed || !t.heap[0].deadline.After(now)) {
		due = append(due, t.heap[0])
		t.removeLocked(0)
	}
	if len(t.heap) == 0 {
		return due, time.Hour, t.closed
	}
	return due, t.heap[0].deadline.Sub(now), t.closed
}

func (t *timer[K]) swap(i, j int) {
	t.heap[i], t.heap[j] = t.heap[j], t.heap[i]
	t.heap[i].heapAt, t.heap[j].heapAt = i, j
}

func (t *timer[K]) before(i, j int) bool { return t.heap[i].deadline.Before(t.heap[j].deadline) }

func (t *timer[K]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(i, parent) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t *timer[K]) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.heap); child++ {
			if t.before(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
