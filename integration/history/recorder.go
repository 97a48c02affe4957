package history

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A Recorder collects events, from any number of goroutines.
type Recorder struct {
	begun time.Time

	mu struct {
		sync.Mutex
		events []Event
		counts Counts
	}
}

// Counts are records, for a line of progress.
type Counts struct{ Acked, Unknown, Polled, Processed int64 }

// NewRecorder returns a Recorder whose history begins now.
func NewRecorder() *Recorder { return &Recorder{begun: time.Now()} }

// Add notes an event. Its time is that of the call; its runs are kept.
func (r *Recorder) Add(e Event) {
	var records int64
	for _, run := range e.Runs {
		records += int64(run.Count)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Since(r.begun)
	r.mu.events = append(r.mu.events, e)
	switch e.Kind {
	case Acked:
		r.mu.counts.Acked += records
	case Unknown:
		r.mu.counts.Unknown += records
	case Polled:
		r.mu.counts.Polled += records
	case Processed:
		r.mu.counts.Processed += records
	}
}

// Counts returns how many records there were of each kind so far.
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

// AppendRun adds a record to runs, to the last of them if it follows it.
func AppendRun(runs []Run, id ID, offset int64) []Run {
	if n := len(runs); n > 0 {
		last := &runs[n-1]
		next := last.Offset + int64(last.Count)
		if last.Offset < 0 {
			next = last.Offset
		}
		if last.Producer == id.Producer && last.Sequence+last.Count == id.Sequence && next == offset {
			last.Count++
			return runs
		}
	}
	return append(runs, Run{ID: id, Offset: offset, Count: 1})
}
