package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// kind is a kind of fault, or something that an operator does just then.
type kind int

const (
	kill        kind = iota // SIGKILL of a broker, which is started again
	stop                    // SIGTERM of a broker, which is started again
	pause                   // SIGSTOP of a broker, SIGCONT
	cut                     // the link between two brokers
	cutOneWay               // what one broker sends to another is lost
	isolate                 // a broker's links to everything
	loseZK                  // a broker's links to all ZooKeeper servers
	loseOneZK               // a broker's link to one ZooKeeper server
	loseClient              // the link between a broker and a client
	expire                  // a broker's ZooKeeper session
	fillDisk                // of the broker that has a small one; it is restarted once there is space
	resign                  // /controller is deleted, as operators do
	killZK                  // SIGKILL of a ZooKeeper server
	pauseZK                 // SIGSTOP of a ZooKeeper server
	rollZK                  // the ZooKeeper servers are restarted in turn
	loseQuorum              // SIGKILL of two of three ZooKeeper servers
	killTwo                 // SIGKILL of two brokers, one of them the controller
	killAll                 // SIGKILL of all brokers
	stopAll                 // SIGTERM of all brokers
	reassign                // partitions move to other brokers, or their preferred leader changes
	elect                   // preferred leaders are elected
	topicLife               // a topic is created, and deleted in the end
	moveReplica             // a replica moves into the other log directory of its broker (KIP-113)
	kinds
)

var kindNames = [kinds]string{"kill", "stop", "pause", "cut", "cut-one-way", "isolate", "lose-zookeeper", "lose-one-zookeeper",
	"lose-client", "expire-session", "fill-disk", "delete-controller", "kill-zookeeper", "pause-zookeeper", "roll-zookeeper",
	"lose-quorum", "kill-two", "kill-all", "stop-all", "reassign", "elect-leaders", "create-and-delete-topic",
	"move-replica"}

func (k kind) String() string { return kindNames[k] }

// weights say how often a kind comes.
var weights = [kinds]int{kill: 6, stop: 4, pause: 5, cut: 4, cutOneWay: 4, isolate: 4, loseZK: 4, loseOneZK: 1, loseClient: 2,
	expire: 3, fillDisk: 2, resign: 3, killZK: 3, pauseZK: 2, rollZK: 1, loseQuorum: 2, killTwo: 2, killAll: 2, stopAll: 1,
	reassign: 6, elect: 3, topicLife: 3, moveReplica: 4}

// aim is how the broker that a fault is for is chosen, once its time has come.
type aim int

const (
	anybody aim = iota
	theLeader
	theController
	aims
)

var aimNames = [aims]string{"any", "leader", "controller"}

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

// calmEvery is the number of steps after which everything has to recover.
const calmEvery = 8

// plan makes the sequence of faults that belongs to a seed. It knows nothing of what comes of them.
type plan struct {
	rand    *rand.Rand
	weights [kinds]int
	steps   int
	hasty   bool // until the next calm
}

// newPlan returns the plan of a seed, of the kinds named or, if none is, of all.
func newPlan(seed uint64, only []kind) *plan {
	p := &plan{rand: rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)), weights: weights}
	if len(only) > 0 {
		p.weights = [kinds]int{}
		for _, k := range only {
			p.weights[k] = weights[k]
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
	s.rest = p.between(200*time.Millisecond, 4*time.Second)
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
