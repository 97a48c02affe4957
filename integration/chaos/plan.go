package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// aim is how the broker that a fault is for is chosen, once its time has come.
type aim int

const (
	anybody aim = iota
	theLeader
	theController
	theCoordinator // of a consumer group
	aims
)

var aimNames = [aims]string{"any", "leader", "controller", "coordinator"}

// fault is one fault, as the plan knows it: whom it hits in the end depends on who leads then.
type fault struct {
	kind  kind
	aim   aim
	pick  int           // which broker, or server, or partition whose leader it is
	other int           // the second one, where it takes two
	delay time.Duration // after the first fault of the step
	hold  time.Duration // until it is undone
}

func (f fault) String() string {
	return fmt.Sprintf("%v aim=%s pick=%d other=%d delay=%v hold=%v", f.kind, aimNames[f.aim], f.pick, f.other, f.delay, f.hold)
}

// step is faults that overlap, and the rest after them.
type step struct {
	faults []fault
	rest   time.Duration
	calm   bool // instead of faults: everything must recover now
}

// calmEvery is the number of steps after which everything has to recover.
const calmEvery = 8

// plan makes the sequence of faults that belongs to a seed. It knows nothing of what comes of them.
type plan struct {
	rand    *rand.Rand
	weights [kinds]int
	pace    int // by which rests between steps are multiplied
	steps   int
	hasty   bool // until the next calm
}

// newPlan returns the plan of a seed, of the kinds named or, if none is, of all that there are: some take brokers of both
// implementations.
func newPlan(seed uint64, only []kind, mixed bool) *plan {
	p := &plan{rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), pace: patienceWith(mixed).pace}
	for k, f := range faults {
		if (mixed || !kind(k).mixed()) && (len(only) == 0 || slices.Contains(only, kind(k))) {
			p.weights[k] = f.weight
		}
	}
	return p
}

// next returns the next step.
func (p *plan) next() step {
	p.steps++
	if p.steps%(calmEvery+1) == 0 {
		p.hasty = p.rand.IntN(3) == 0
		return step{calm: true}
	}
	s := step{faults: []fault{p.fault()}}
	// One of three steps has a second fault while the first one lasts, one of nine a third.
	for len(s.faults) < 3 && p.rand.IntN(3) == 0 {
		f := p.fault()
		f.delay = p.between(0, s.faults[0].hold)
		s.faults = append(s.faults, f)
	}
	s.rest = time.Duration(p.pace) * p.between(200*time.Millisecond, 4*time.Second)
	if p.hasty {
		s.rest = (s.rest / 20).Round(time.Millisecond)
	}
	return s
}

func (p *plan) fault() fault {
	f := fault{
		kind:  p.kind(),
		aim:   aim(p.rand.IntN(int(aims))),
		pick:  p.rand.IntN(1 << 16),
		other: p.rand.IntN(1 << 16),
		hold:  p.between(300*time.Millisecond, 9*time.Second),
	}
	if p.hasty || p.rand.IntN(3) == 0 {
		f.hold = (f.hold / 8).Round(time.Millisecond) // shorter than the brokers' time-outs
	}
	return f
}

func (p *plan) kind() kind {
	total := 0
	for _, w := range p.weights {
		total += w
	}
	n := p.rand.IntN(total)
	for k, w := range p.weights {
		if n -= w; n < 0 {
			return kind(k)
		}
	}
	return kill
}

func (p *plan) between(low, high time.Duration) time.Duration {
	return (low + time.Duration(p.rand.Int64N(int64(max(high-low, 1))))).Round(time.Millisecond)
}
