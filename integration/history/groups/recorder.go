package groups

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A Recorder collects the events of all groups, from any number of goroutines.
type Recorder struct {
	begun time.Time

	mu struct {
		sync.Mutex
		events []Event
		counts Counts
	}
}

// Counts are for a line of progress.
type Counts struct{ Assignments, Commits int }

// NewRecorder returns a Recorder whose history begins now.
func NewRecorder() *Recorder { return &Recorder{begun: time.Now()} }

// Now returns the time since the history began.
func (r *Recorder) Now() time.Duration { return time.Since(r.begun) }

// Add notes an event, which is known now.
func (r *Recorder) Add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = r.Now()
	r.mu.events = append(r.mu.events, e)
	switch e.Kind {
	case Assigned:
		r.mu.counts.Assignments++
	case Committed:
		r.mu.counts.Commits++
	}
}

// Counts returns how many there were of each kind so far.
func (r *Recorder) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.counts
}

// Events returns all events so far, in the order in which they were added.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.mu.events)
}

// Write writes the events, one a line.
func (r *Recorder) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	for _, e := range r.Events() {
		fmt.Fprintln(b, e)
	}
	return b.Flush()
}
