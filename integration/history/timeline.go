package history

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A Timeline holds the events of a history, which come from any number of goroutines, and counts for a line of
// progress.
type Timeline[E fmt.Stringer, C any] struct {
	begun time.Time

	mu struct {
		sync.Mutex
		events []E
		counts C
	}
}

// NewTimeline returns a Timeline of a history that begins now.
func NewTimeline[E fmt.Stringer, C any]() *Timeline[E, C] { return &Timeline[E, C]{begun: time.Now()} }

// Now returns the time since the history began.
func (l *Timeline[E, C]) Now() time.Duration { return time.Since(l.begun) }

// Note adds the event that of returns. It is given the time, and the counts to add to; no other event comes between.
func (l *Timeline[E, C]) Note(of func(at time.Duration, counts *C) E) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.events = append(l.mu.events, of(l.Now(), &l.mu.counts))
}

// Counts returns the counts so far.
func (l *Timeline[E, C]) Counts() C {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.counts
}

// Events returns all events so far, in the order in which they were added.
func (l *Timeline[E, C]) Events() []E {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.mu.events)
}

// Write writes the events, one a line.
func (l *Timeline[E, C]) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, e := range l.Events() {
		fmt.Fprintln(b, e)
	}
	return b.Flush()
}
