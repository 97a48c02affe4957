package main

import (
	"hash/fnv"
	"io"
	"strings"
	"testing"
)

// TestPlanIsReplayed: a seed is a sequence of faults, whatever comes of them.
func TestPlanIsReplayed(t *testing.T) {
	a, b, other := newPlan(7, nil, true), newPlan(7, nil, true), newPlan(8, nil, true)
	var seen [kinds]int
	differs := false
	for i := range 2000 {
		s := a.next()
		if again := b.next(); s.String() != again.String() {
			t.Fatalf("step %d: %v and %v", i, s, again)
		}
		differs = differs || s.String() != other.next().String()
		if s.calm != ((i+1)%(calmEvery+1) == 0) || !s.calm && (len(s.faults) == 0 || s.rest <= 0) {
			t.Errorf("step %d: %v", i, s)
		}
		for _, f := range s.faults {
			seen[f.kind]++
			if f.hold <= 0 || f.delay > s.faults[0].hold {
				t.Errorf("step %d: %v", i, f)
			}
		}
	}
	if !differs {
		t.Error("two seeds make one plan")
	}
	for k, n := range seen {
		if n == 0 {
			t.Errorf("no %v in 2000 steps", kind(k))
		}
	}
}

// TestPlansStay: a seed that somebody has noted stands for the same faults tomorrow.
func TestPlansStay(t *testing.T) {
	for _, tt := range []struct {
		mixed bool
		want  uint64
	}{{false, 0x4ac2acb11e19de8a}, {true, 0x4c47e897d75944e4}} {
		p, sum := newPlan(7, nil, tt.mixed), fnv.New64a()
		for range 200 {
			io.WriteString(sum, p.next().String())
		}
		if got := sum.Sum64(); got != tt.want {
			t.Errorf("seed 7, mixed %v: the plan is another one, %#x instead of %#x", tt.mixed, got, tt.want)
		}
	}
}

// TestSwapsAreForMixedClusters: what takes brokers of both implementations comes nowhere else.
func TestSwapsAreForMixedClusters(t *testing.T) {
	for p, n := newPlan(7, nil, false), 0; n < 2000; n++ {
		for _, f := range p.next().faults {
			if f.kind.mixed() {
				t.Errorf("%v", f)
			}
		}
	}
}

// TestPlanOfSomeKinds: only these kinds come.
func TestPlanOfSomeKinds(t *testing.T) {
	p := newPlan(7, []kind{cut, killAll}, false)
	for range 100 {
		for _, f := range p.next().faults {
			if f.kind != cut && f.kind != killAll {
				t.Errorf("%v", f)
			}
		}
	}
}

func (s step) String() string {
	if s.calm {
		return "calm"
	}
	var all []string
	for _, f := range s.faults {
		all = append(all, f.String())
	}
	return strings.Join(all, " + ") + " rest=" + s.rest.String()
}
