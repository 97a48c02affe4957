// Package report gathers what was measured of several systems, compares the medians and prints them.
package report

import (
	"fmt"
	"math"
	"slices"
)

// System is what is measured.
type System string

// The systems, in the order of the columns.
const (
	Kafka  System = "kafka"  // Apache Kafka
	Gregor System = "gregor" // what is judged
	Bare   System = "bare"   // a program that only copies
)

// Systems lists them all.
var Systems = []System{Kafka, Gregor, Bare}

// Report is a list of rows in the order in which they were first asked for.
type Report struct {
	rows []*Row
}

// Row is one quantity of one workload, of all systems.
type Row struct {
	Workload string
	Metric   string // with its unit
	Target   Target
	// Missing says why there is no value of Gregor, if there is none.
	Missing string
	runs    map[System][]float64
}

// Row returns the row of a workload's metric, which is new and empty if it was not there.
func (r *Report) Row(workload, metric string) *Row {
	at := slices.IndexFunc(r.rows, func(row *Row) bool { return row.Workload == workload && row.Metric == metric })
	if at >= 0 {
		return r.rows[at]
	}
	row := &Row{Workload: workload, Metric: metric, runs: make(map[System][]float64)}
	r.rows = append(r.rows, row)
	return row
}

// Add adds the value of one run.
func (r *Row) Add(s System, value float64) { r.runs[s] = append(r.runs[s], value) }

// Median returns the median of the runs of a system, NaN if there was none.
func (r *Row) Median(s System) float64 { return Median(r.runs[s]) }

// Ratio returns Gregor's median as a multiple of that of another system, NaN if one of them is not
// known.
func (r *Row) Ratio(to System) float64 {
	of := r.Median(to)
	if of == 0 {
		return math.NaN()
	}
	return r.Median(Gregor) / of
}

// Target is what Gregor's median must not exceed, or must reach. The zero value asks for nothing.
type Target struct {
	Text    string  // as it is printed
	Of      System  // whose median Factor multiplies; none if empty
	Factor  float64 // or the limit itself
	AtLeast bool    // more is better
}

// met reports whether a value is within the limit.
func (t Target) met(value, limit float64) bool {
	if t.AtLeast {
		return value >= limit
	}
	return value <= limit
}

// Verdict is how a target was met.
type Verdict string

// The verdicts. Open is that of a row without a target, or without the values to judge it by. Floor is that of
// a target which the bare program has missed in the same run too: it is missed all the same, but what the
// machine and its kernel ask for is more than the target grants.
const (
	Pass  Verdict = "pass"
	Fail  Verdict = "FAIL"
	Floor Verdict = "FAIL, bare too"
	Open  Verdict = ""
)

// Verdict judges Gregor's median.
func (r *Row) Verdict() Verdict {
	limit := r.Target.Factor
	if r.Target.Of != "" {
		limit *= r.Median(r.Target.Of)
	}
	value, bare := r.Median(Gregor), r.Median(Bare)
	switch {
	case r.Target.Text == "" || math.IsNaN(limit) || math.IsNaN(value):
		return Open
	case r.Target.met(value, limit):
		return Pass
	case !math.IsNaN(bare) && !r.Target.met(bare, limit):
		return Floor
	}
	return Fail
}

// Missed counts the targets that were not met, and those of them that the bare program has missed too.
func (r *Report) Missed() (all, floor int) {
	for _, row := range r.rows {
		switch row.Verdict() {
		case Floor:
			floor++
			all++
		case Fail:
			all++
		}
	}
	return all, floor
}

// Summary says how many targets were missed.
func (r *Report) Summary() string {
	all, floor := r.Missed()
	text := fmt.Sprintf("%d targets missed", all)
	if floor > 0 {
		text += fmt.Sprintf(", %d of them by the bare program too", floor)
	}
	return text
}
