package conformance

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"time"

	"github.com/gregor-mq/gregor/integration/seed"

	"github.com/gregor-mq/gregor/integration/cluster"
)

var walkSteps = flag.Int("steps", 150, "how many requests TestGroupWalk and TestRequestWalk send to each broker")

// episodeSteps is how many requests a group of the walk gets.
const episodeSteps = 40

// TestGroupWalk sends the same random requests about groups to a broker of ours and to one of Apache Kafka, one after
// the other, and compares the answers, which requests wait, and what the group has become:
//
//	go test -run TestGroupWalk ./integration/conformance -steps 2000 -seed 7
//
// Member ids differ, so that both brokers' are known by the step that brought them. Some things are not compared: the
// order of lists that are hash maps in Kafka; the SyncGroup of a member that is removed while it waits, which Kafka
// never answers; who leads once the leader is gone, and which of two protocols with as
// many votes is taken, which Kafka decides by such a map, too: the walk goes on with another group then.
func TestGroupWalk(t *testing.T) {
	t.Parallel()
	walk := seed.Of(t)
	// With one thread of each kind, Kafka handles requests in the order in which they come.
	kafka := cluster.Start(t, 0, walkProps())
	kafka.AddKafka(cluster.Props{"num.network.threads": "1", "num.io.threads": "1"})
	ours := cluster.Start(t, 1, walkProps())
	w := &groupWalk{
		t: t, seed: walk, rng: rand.New(rand.NewPCG(walk, 1)), answered: map[string]int{}, byStep: map[int]*actor{},
		sides: [2]*walkSide{newWalkSide(t, "Gregor", ours.Broker(1).Addr()), newWalkSide(t, "Kafka", kafka.Broker(1).Addr())},
	}
	for _, s := range w.sides {
		s.prepare()
	}
	for w.step < *walkSteps && w.differences < maxDifferences {
		w.episode()
	}
	t.Logf("%d requests about %d groups; who leads was not decided %d times; answers: %v", w.step, w.episodes, w.undecided, w.answered)
}

func walkProps() cluster.Props {
	return with(longSession, cluster.Props{
		"group.initial.rebalance.delay.ms": "0", "auto.create.topics.enable": "false",
		"offsets.topic.num.partitions": "5", "offsets.topic.replication.factor": "1", "group.max.size": "3",
	})
}

// groupWalk is a walk on both brokers.
type groupWalk struct {
	t        testing.TB
	seed     uint64
	rng      *rand.Rand
	sides    [2]*walkSide
	step     int
	episodes int

	group       string
	actors      []*actor
	state       string // of the group, after the last step
	leader      string // of the last generation, by its logical id
	hasty       bool   // a rebalance timeout is so short that the group changes by itself
	undecided   int
	differences int
	over        bool // nothing more is to be done with this group
	log         []string
	answered    map[string]int // how often each API has answered with each error, or has closed the connection
	byStep      map[int]*actor // who joins and syncs
}

// actor is a client that mostly behaves as a member does.
type actor struct {
	name       string
	instance   *string // of a static one
	id         string  // the member id, by its logical name; "": has none
	generation int32
	leads      bool
	members    []string // whom it is to assign to
	protocols  []string
	topics     []byte // its metadata
	conns      int    // numbers its connections
	conn       string // the one in use
}

// episode walks with one group.
func (w *groupWalk) episode() {
	w.episodes++
	w.group = fmt.Sprintf("walk-%d-%d", w.seed, w.episodes)
	w.state, w.leader, w.hasty, w.over, w.log = "Dead", "", false, false, nil
	w.actors = nil
	for i, name := range []string{"ann", "bob", "cyd"} {
		a := &actor{name: name, generation: -1, protocols: []string{"range", "sticky"}, topics: subscription("orders")}
		if i == 2 || w.rng.IntN(4) == 0 {
			a.instance = ptr("inst-" + name)
		}
		w.actors = append(w.actors, a)
	}
	for _, s := range w.sides {
		s.group = w.group
	}
	for range episodeSteps {
		if w.over || w.step >= *walkSteps {
			break
		}
		w.step++
		w.take(w.next())
	}
	for _, s := range w.sides {
		s.hangUp()
	}
}

// take makes one step: sends a request to both brokers and compares what comes of it.
func (w *groupWalk) take(q *walkRequest) {
	w.log = append(w.log, fmt.Sprintf("%d on %s: %s", w.step, q.conn, q.text()))
	for _, s := range w.sides {
		s.send(w.step, q)
	}
	w.settle(q)
}

// settle waits until both brokers have done the same, and fails the test if they do not.
func (w *groupWalk) settle(q *walkRequest) {
	deadline := time.Now().Add(patience)
	for {
		difference := w.compare(q)
		switch {
		case difference == "" && w.calm():
			if w.over {
				w.discard()
				return
			}
			w.learn()
			return
		case difference == "" || time.Now().Before(deadline):
			time.Sleep(3 * time.Millisecond)
		default:
			w.differences++
			w.over = true
			w.t.Errorf("%s\n\t%s", difference, strings.Join(w.log, "\n\t"))
			w.discard()
			return
		}
	}
}

// maxDifferences is after how many a walk ends.
const maxDifferences = 5

// calm reports whether nothing is about to happen by itself.
func (w *groupWalk) calm() bool {
	if w.state != "PreparingRebalance" && !w.hasty {
		return true
	}
	before := w.sides[0].described + w.sides[1].described
	time.Sleep(40 * time.Millisecond)
	for _, s := range w.sides {
		s.describe(w.group)
	}
	return before == w.sides[0].described+w.sides[1].described
}

// compare returns how the brokers differ, "" if they do not.
func (w *groupWalk) compare(q *walkRequest) string {
	ours, kafka := w.sides[0], w.sides[1]
	for range 2 { // what was sent before the first is handled before the second
		for _, s := range w.sides {
			s.describe(w.group)
		}
	}
	for _, s := range w.sides {
		s.collect()
	}
	if q.what == "LeaveGroup" && w.toldOfRemoval() {
		w.over = true
		return ""
	}
	if a, b := ours.answeredSteps(), kafka.answeredSteps(); a != b {
		return fmt.Sprintf("%s has answered %s, %s %s", ours.name, a, kafka.name, b)
	}
	if !q.mayWait && !ours.jammed(q.conn, w.step) && !ours.hasAnswered(w.step) {
		return fmt.Sprintf("step %d is not answered", w.step)
	}
	if w.differentLeaders() {
		w.undecided++
		w.over = true
		return ""
	}
	for _, step := range ours.fresh {
		a, b := ours.normal(ours.answers[step]), kafka.normal(kafka.answers[step])
		if a != b {
			return fmt.Sprintf("step %d:\n\t%s: %s\n\t%s: %s", step, ours.name, a, kafka.name, b)
		}
	}
	if ours.described != kafka.described {
		return fmt.Sprintf("the group:\n\t%s: %s\n\t%s: %s", ours.name, ours.described, kafka.name, kafka.described)
	}
	w.state = ours.state
	return ""
}
