// Package purgatory keeps operations that wait for something to happen to a key: a produce for its
// replicas, a fetch for its bytes.
//
// An Operation is watched under the keys that may complete it and has a deadline. Whoever changes
// what a key stands for calls Check with it; the one timer goroutine of a Purgatory expires what
// nobody completed. Each operation ends exactly once, by completion, expiry or Close.
//
// Nothing of a finished operation stays behind: finishing unlinks it from every key and from the
// timer, so memory follows what is waiting now.
//
// Locks: an entry's mu is held while TryComplete runs, so TryComplete may take locks of the state
// it looks at, and Check must not be called with any of those held. Shard and timer locks are leaves.
package purgatory

import (
	"hash/maphash"
	"sync"
	"time"
)

// Operation is something that waits.
type Operation interface {
	// TryComplete reports whether the operation can end now. Calls do not overlap; after it has
	// returned true it is not called again.
	TryComplete() bool
	// Finish ends the operation; expired says that the deadline passed or the purgatory closed
	// first. It is called exactly once, without any lock of the purgatory.
	Finish(expired bool)
}

const shardCount = 64

// Purgatory holds waiting operations by key. Use New.
type Purgatory[K comparable] struct {
	seed   maphash.Seed
	shards [shardCount]shard[K]
	timer  timer[K]
	wg     sync.WaitGroup
}

type shard[K comparable] struct {
	mu       sync.Mutex
	watchers map[K]*node[K] // heads of doubly linked lists
}

// entry is one waiting operation.
//
// Invariant: done is set once, under mu; whoever sets it calls Finish.
type entry[K comparable] struct {
	op       Operation
	deadline time.Time
	heapAt   int // index in the timer's heap, -1 when not in it; guarded by the timer's lock
	nodes    []node[K]

	mu   sync.Mutex
	done bool
}

// node links an entry into the list of one key. Its links are guarded by the key's shard.
type node[K comparable] struct {
	entry      *entry[K]
	key        K
	prev, next *node[K]
	linked     bool
}

// New returns a purgatory whose timer runs until Close.
func New[K comparable]() *Purgatory[K] {
	p := &Purgatory[K]{seed: maphash.MakeSeed()}
	for i := range p.shards {
		p.shards[i].watchers = make(map[K]*node[K])
	}
	p.timer.init()
	p.wg.Go(func() { p.timer.run(func(e *entry[K]) { p.end(e, true) }) })
	return p
}

// Close expires every waiting operation and ends the timer. Operations offered later expire at once.
func (p *Purgatory[K]) Close() {
	p.timer.close()
	p.wg.Wait()
}

// Wait ends op at once if it can be completed, and otherwise keeps it until a Check of one of keys
// completes it or deadline passes. It reports whether op ended at once.
//
// op is tried again after it is linked to all its keys: what happened to a key between the first
// try and the linking woke nobody. A Check of the first key may complete op while it is being linked to
// the others, and unlinks it from all; where it is linked only afterwards, Wait unlinks it again.
func (p *Purgatory[K]) Wait(op Operation, deadline time.Time, keys ...K) bool {
	if op.TryComplete() {
		op.Finish(false)
		return true
	}
	e := &entry[K]{op: op, deadline: deadline, heapAt: -1, nodes: make([]node[K], len(keys))}
	for i, k := range keys {
		e.nodes[i] = node[K]{entry: e, key: k}
	}
	for i := range e.nodes {
		p.link(&e.nodes[i])
	}
	if p.try(e) {
		return true
	}
	if !p.timer.add(e) && p.end(e, true) {
		return true
	}
	// A Check may have ended e before it was linked to a key, or in the timer.
	e.mu.Lock()
	done := e.done
	e.mu.Unlock()
	if done {
		p.unlinkAll(e)
	}
	return false
}

// Check tries the operations that wait for key and returns how many it completed.
func (p *Purgatory[K]) Check(key K) int {
	s := p.shard(key)
	s.mu.Lock()
	head := s.watchers[key]
	if head == nil {
		s.mu.Unlock()
		return 0
	}
	var few [8]*entry[K]
	waiting := few[:0]
	for n := head; n != nil; n = n.next {
		waiting = append(waiting, n.entry)
	}
	s.mu.Unlock()
	completed := 0
	for _, e := range waiting {
		if p.try(e) {
			completed++
		}
	}
	return completed
}

// Len returns the number of operations with a running deadline.
func (p *Purgatory[K]) Len() int { return p.timer.len() }

// try completes e if it can be and nobody else has; it reports whether it did.
func (p *Purgatory[K]) try(e *entry[K]) bool {
	e.mu.Lock()
	if e.done || !e.op.TryComplete() {
		e.mu.Unlock()
		return false
	}
	e.done = true
	e.mu.Unlock()
	p.unlinkAll(e)
	e.op.Finish(false)
	return true
}

// end finishes e without trying it, unless it is done already.
func (p *Purgatory[K]) end(e *entry[K], expired bool) bool {
	e.mu.Lock()
	if e.done {
		e.mu.Unlock()
		return false
	}
	e.done = true
	e.mu.Unlock()
	p.unlinkAll(e)
	e.op.Finish(expired)
	return true
}

func (p *Purgatory[K]) shard(key K) *shard[K] {
	return &p.shards[maphash.Comparable(p.seed, key)%shardCount]
}

func (p *Purgatory[K]) link(n *node[K]) {
	s := p.shard(n.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.next = s.watchers[n.key]; n.next != nil {
		n.next.prev = n
	}
	s.watchers[n.key] = n
	n.linked = true
}

func (p *Purgatory[K]) unlinkAll(e *entry[K]) {
	for i := range e.nodes {
		p.unlink(&e.nodes[i])
	}
	p.timer.remove(e)
}

func (p *Purgatory[K]) unlink(n *node[K]) {
	s := p.shard(n.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !n.linked {
		return
	}
	n.linked = false
	if n.next != nil {
		n.next.prev = n.prev
	}
	switch {
	case n.prev != nil:
		n.prev.next = n.next
	case n.next != nil:
		s.watchers[n.key] = n.next
	default:
		delete(s.watchers, n.key)
	}
	n.prev, n.next = nil, nil
}
