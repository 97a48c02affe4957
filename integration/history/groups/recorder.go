package groups

import (
	"time"

	"github.com/gregor-mq/gregor/integration/history"
)

// A Recorder collects the events of all groups, from any number of goroutines.
type Recorder struct {
	*history.Timeline[Event, Counts]
}

// Counts are for a line of progress.
type Counts struct{ Assignments, Commits int }

// NewRecorder returns a Recorder whose history begins now.
func NewRecorder() *Recorder { return &Recorder{history.NewTimeline[Event, Counts]()} }

// Add notes an event, which is known now.
func (r *Recorder) Add(e Event) {
	r.Note(func(at time.Duration, counts *Counts) Event {
		e.At = at
		switch e.Kind {
		case Assigned:
			counts.Assignments++
		case Committed:
			counts.Commits++
		}
		return e
	})
}
