package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// columns of the table. Those from the first number on are aligned to the right, but for the target.
var columns = []string{"", "kafka", "gregor", "bare", "x kafka", "x bare", "", "target"}

const leftColumns = 1

// WriteTable writes the report as a table: a heading for each workload, and a line for each of its
// metrics, with the medians, Gregor's as a multiple of the others', and whether the target was met.
func (r *Report) WriteTable(w io.Writer) error {
	lines := [][]string{columns}
	heading := ""
	for _, row := range r.rows {
		if row.Workload != heading {
			heading = row.Workload
			lines = append(lines, nil, []string{heading})
		}
		lines = append(lines, row.cells())
	}
	widths := make([]int, len(columns))
	for _, line := range lines {
		if len(line) < len(columns) { // a heading may be as long as it likes
			continue
		}
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, format(line, widths)); err != nil {
			return err
		}
	}
	return nil
}

func (r *Row) cells() []string {
	target := r.Target.Text
	if r.Missing != "" && math.IsNaN(r.Median(Gregor)) {
		target = r.Missing
	}
	return []string{"  " + r.Metric,
		number(r.Median(Kafka)), number(r.Median(Gregor)), number(r.Median(Bare)),
		number(r.Ratio(Kafka)), number(r.Ratio(Bare)), string(r.Verdict()), target}
}

func format(line []string, widths []int) string {
	var b strings.Builder
	for i, cell := range line {
		pad := ""
		if len(line) == len(widths) {
			pad = strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		if i > 0 {
			b.WriteString("  ")
		}
		if i < leftColumns || i == len(widths)-1 {
			b.WriteString(cell + pad)
		} else {
			b.WriteString(pad + cell)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// number writes a value with three digits, and one that is not known as a dash.
func number(v float64) string {
	switch size := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case size >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case size >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case size >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// WriteJSON writes the report with the values of all runs.
func (r *Report) WriteJSON(w io.Writer) error {
	type row struct {
		Workload string               `json:"workload"`
		Metric   string               `json:"metric"`
		Runs     map[System][]float64 `json:"runs"`
		Medians  map[System]float64   `json:"medians"`
		Target   string               `json:"target,omitempty"`
		Verdict  Verdict              `json:"verdict,omitempty"`
		Missing  string               `json:"missing,omitempty"`
	}
	rows := make([]row, 0, len(r.rows))
	for _, from := range r.rows {
		medians := make(map[System]float64)
		for s := range from.runs {
			medians[s] = from.Median(s)
		}
		rows = append(rows, row{Workload: from.Workload, Metric: from.Metric, Runs: from.runs, Medians: medians,
			Target: from.Target.Text, Verdict: from.Verdict(), Missing: from.Missing})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(rows)
}
