package report

import (
	"math"
	"slices"
	"time"
)

// Samples are latencies, each kept, so that percentiles are exact. The zero value is empty.
type Samples struct {
	values []time.Duration
	sorted bool
}

// Reserve makes room for n samples, so that adding them does not allocate.
func (s *Samples) Reserve(n int) { s.values = slices.Grow(s.values, n) }

// Add adds a sample.
func (s *Samples) Add(d time.Duration) {
	s.values = append(s.values, d)
	s.sorted = false
}

// Merge adds the samples of other.
func (s *Samples) Merge(other *Samples) {
	s.values = append(s.values, other.values...)
	s.sorted = false
}

// Len returns the number of samples.
func (s *Samples) Len() int { return len(s.values) }

// Percentile returns the smallest sample that p percent of the samples do not exceed (nearest rank),
// 0 if there are none. p is between 0 and 100.
func (s *Samples) Percentile(p float64) time.Duration {
	if len(s.values) == 0 {
		return 0
	}
	if !s.sorted {
		slices.Sort(s.values)
		s.sorted = true
	}
	// Without the allowance, 99.9 percent of 10,000 would be 9,990.000000000001 samples.
	rank := int(math.Ceil(p/100*float64(len(s.values)) - 1e-6))
	return s.values[min(max(rank, 1), len(s.values))-1]
}

// Median returns the middle of values, the mean of the two in the middle if their number is even, and
// NaN if there are none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
