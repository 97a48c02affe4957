package main

import (
	"strings"
	"testing"
)

// TestPlanIsReplayed: a seed is a sequence of faults, whatever comes of them.
func TestPlanIsReplayed(t *testing.T) {
	a, b, other := newPlan(7, nil), newPlan(7, nil), newPlan(8, nil)
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

// TestPlanOfSomeKinds: only these kinds come.
func TestPlanOfSomeKinds(t *testing.T) {
	p := newPlan(7, []kind{cut, killAll})
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
