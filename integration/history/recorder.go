package history

import "time"

// A Recorder collects events, from any number of goroutines.
type Recorder struct{ *Timeline[Event, Counts] }

// Counts are records, for a line of progress.
type Counts struct{ Acked, Unknown, Polled, Processed int64 }

// NewRecorder returns a Recorder whose history begins now.
func NewRecorder() *Recorder { return &Recorder{NewTimeline[Event, Counts]()} }

// Add notes an event. Its time is that of the call; its runs are kept.
func (r *Recorder) Add(e Event) {
	var records int64
	for _, run := range e.Runs {
		records += int64(run.Count)
	}
	r.Note(func(at time.Duration, counts *Counts) Event {
		e.At = at
		switch e.Kind {
		case Acked:
			counts.Acked += records
		case Unknown:
			counts.Unknown += records
		case Polled:
			counts.Polled += records
		case Processed:
			counts.Processed += records
		}
		return e
	})
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
