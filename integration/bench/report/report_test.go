package report

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestPercentileIsTheNearestRank(t *testing.T) {
	tests := []struct {
		name string
		n    int // samples of 1 to n ms, the largest first
		p    float64
		want time.Duration
	}{
		{"none", 0, 50, 0},
		{"one is all", 1, 99.9, time.Millisecond},
		{"median of an odd number", 5, 50, 3 * time.Millisecond},
		{"median of an even number", 10, 50, 5 * time.Millisecond},
		{"p99", 1000, 99, 990 * time.Millisecond},
		{"p99.9", 10000, 99.9, 9990 * time.Millisecond},
		{"all", 10, 100, 10 * time.Millisecond},
		{"the least", 10, 0, time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s Samples
			for i := tt.n; i > 0; i-- {
				s.Add(time.Duration(i) * time.Millisecond)
			}
			if got := s.Percentile(tt.p); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSamplesCanBeAddedAfterAPercentile(t *testing.T) {
	var s Samples
	s.Add(3)
	s.Percentile(50)
	s.Add(1)
	if got := s.Percentile(50); got != 1 || s.Len() != 2 {
		t.Errorf("got %d of %d samples", got, s.Len())
	}
}

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{nil, math.NaN()},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{9, 1, 5, 2}, 3.5},
	}
	for _, tt := range tests {
		if got := Median(tt.values); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("Median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	third := Target{Text: "<= 1/3 kafka", Of: Kafka, Factor: 1.0 / 3}
	thrice := Target{Text: ">= 3 x kafka", Of: Kafka, Factor: 3, AtLeast: true}
	tests := []struct {
		name                string
		target              Target
		kafka, gregor, bare []float64
		want                Verdict
	}{
		{"no target", Target{}, []float64{3}, []float64{9}, []float64{9}, Open},
		{"better", third, []float64{3}, []float64{0.9}, nil, Pass},
		{"worse", third, []float64{3}, []float64{1.1}, nil, Fail},
		{"enough of what is good", thrice, []float64{3}, []float64{9.1}, nil, Pass},
		{"too little of what is good", thrice, []float64{3}, []float64{8.9}, nil, Fail},
		{"medians count", third, []float64{3, 3, 99}, []float64{0.9, 50, 0.8}, nil, Pass},
		{"nothing to compare with", third, nil, []float64{1}, []float64{1}, Open},
		{"nothing measured", third, []float64{1}, nil, []float64{1}, Open},
		{"absolute", Target{Text: "<= 100", Factor: 100}, nil, []float64{101}, nil, Fail},
		{"it could have been met", third, []float64{3}, []float64{1.1}, []float64{0.9}, Fail},
		{"it could just have been met", third, []float64{3}, []float64{1.1}, []float64{1}, Fail},
		{"not even the bare program meets it", third, []float64{3}, []float64{1.3}, []float64{1.1}, Floor},
		{"better than the bare program, which misses it", third, []float64{3}, []float64{1.1}, []float64{1.3}, Floor},
		{"met, though not by the bare program", third, []float64{3}, []float64{0.9}, []float64{1.1}, Pass},
		{"the bare program's median counts", third, []float64{3}, []float64{1.1}, []float64{0.9, 0.8, 50}, Fail},
		{"the bare program has too little of what is good", thrice, []float64{3}, []float64{8}, []float64{8.9}, Floor},
		{"a multiple of the bare program", Target{Text: "<= 1.3 bare", Of: Bare, Factor: 1.3}, nil, []float64{1.4}, []float64{1}, Fail},
		{"absolute, below what is possible", Target{Text: "<= 100", Factor: 100}, nil, []float64{103}, []float64{101}, Floor},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			row := r.Row("w", "m")
			row.Target = tt.target
			for s, values := range map[System][]float64{Kafka: tt.kafka, Gregor: tt.gregor, Bare: tt.bare} {
				for _, v := range values {
					row.Add(s, v)
				}
			}
			if got := row.Verdict(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSummaryCountsEveryTargetThatIsMissed(t *testing.T) {
	tests := []struct {
		name        string
		pass        int // rows with this verdict
		fail, floor int
		want        string
	}{
		{"nothing", 0, 0, 0, "0 targets missed"},
		{"all met", 2, 0, 0, "0 targets missed"},
		{"some missed", 1, 2, 0, "2 targets missed"},
		{"out of reach", 1, 2, 3, "5 targets missed, 3 of them by the bare program too"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r Report
			add := func(n int, gregor, bare float64) {
				for range n {
					row := r.Row("w", strconv.Itoa(len(r.rows)))
					row.Target = Target{Text: "<= 1", Factor: 1}
					row.Add(Gregor, gregor)
					row.Add(Bare, bare)
				}
			}
			add(tt.pass, 0.5, 0.4)
			add(tt.fail, 2, 0.4)
			add(tt.floor, 2, 1.5)
			if got := r.Summary(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var r Report
	row := r.Row("produce, 16 KiB batches", "CPU s/GB")
	row.Target = Target{Text: "≤ 1/3 of Kafka", Of: Kafka, Factor: 1.0 / 3}
	row.Add(Kafka, 2.3)
	row.Add(Gregor, 0.69)
	row.Add(Bare, 0.5)
	r.Row("produce, 16 KiB batches", "MB/s").Add(Kafka, 1234)
	late := r.Row("produce, 16 KiB batches", "p99.9 ms")
	late.Target = Target{Text: "≤ 1/5 of Kafka", Of: Kafka, Factor: 0.2}
	late.Add(Kafka, 12)
	late.Add(Gregor, 3)
	late.Add(Bare, 2.5)
	r.Row("consumer", "MB/s").Missing = "no groups"
	want := `
            kafka  gregor   bare  x kafka  x bare                  target

produce, 16 KiB batches
  CPU s/GB   2.30   0.690  0.500    0.300    1.38            pass  ≤ 1/3 of Kafka
  MB/s       1234       -      -        -       -
  p99.9 ms   12.0    3.00   2.50    0.250    1.20  FAIL, bare too  ≤ 1/5 of Kafka

consumer
  MB/s          -       -      -        -       -                  no groups
`
	var got strings.Builder
	if err := r.WriteTable(&got); err != nil {
		t.Fatal(err)
	}
	if got.String() != strings.TrimPrefix(want, "\n") {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

func TestJSONHoldsEveryRun(t *testing.T) {
	var r Report
	row := r.Row("w", "m")
	row.Add(Gregor, 1)
	row.Add(Gregor, 3)
	var text strings.Builder
	if err := r.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Runs    map[string][]float64
		Medians map[string]float64
	}
	if err := json.Unmarshal([]byte(text.String()), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || len(rows[0].Runs["gregor"]) != 2 || rows[0].Medians["gregor"] != 2 {
		t.Errorf("got %s", text.String())
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0.000", 0.0314: "0.031", 0.9999: "1.00", 9.999: "10.0", 99.99: "100", 12345.6: "12346", math.Inf(1): "-"} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
