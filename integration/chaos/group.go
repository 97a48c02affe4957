package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// A groupMember is one consumer of a group. Both ways to end it return at once; the group waits for the rest.
type groupMember interface {
	kill()  // it is gone without a word: its connections are closed
	leave() // it ends in order, and leaves the group unless it is static
}

// groupKinds are the groups: which topics they consume, how many members there are at most, and who these are.
var groupKinds = []struct {
	name   string
	topics []string
	size   int
	start  func(*group, member) (groupMember, error)
}{
	{"eager", []string{"orders"}, 3, franzMembers(false, kgo.RangeBalancer)},
	{"cooperative", []string{"orders", "events"}, 4, franzMembers(false, kgo.CooperativeStickyBalancer)},
	{"static", []string{"events"}, 3, franzMembers(true, kgo.RangeBalancer)},
	{"kafka-go", []string{"single", "events"}, 2, startKafkaGo},
}

// firstMember is the number of the first member of a group in the history of the logs.
const firstMember int32 = 1000

// A group is a consumer group whose members come, leave, and are killed. It always has one.
type group struct {
	name     string
	topics   []string
	start    func(*group, member) (groupMember, error)
	world    *world
	recorder *groups.Recorder
	contents *history.Recorder
	numbers  func() int32 // of members
	wg       sync.WaitGroup

	mu struct {
		sync.Mutex
		random    *rand.Rand
		members   []groupMember // by place; nil: nobody is there
		quiet     bool          // nobody comes or goes of himself
		ended     bool
		committed map[history.Partition]acknowledged
		moments   [moments]chan struct{} // closed when they come next
	}
}

// newGroups returns the groups. What becomes of their members follows from seed, and from the time that things take.
func newGroups(w *world, contents *history.Recorder, recorder *groups.Recorder, seed uint64) []*group {
	var all []*group
	var mu sync.Mutex
	number := firstMember
	numbers := func() int32 {
		mu.Lock()
		defer mu.Unlock()
		number++
		return number
	}
	for i, k := range groupKinds {
		g := &group{name: k.name, topics: k.topics, start: k.start, world: w, recorder: recorder, contents: contents, numbers: numbers}
		g.mu.random = rand.New(rand.NewPCG(seed, uint64(i)+1))
		g.mu.members = make([]groupMember, k.size)
		g.mu.committed = make(map[history.Partition]acknowledged)
		for m := range g.mu.moments {
			g.mu.moments[m] = make(chan struct{})
		}
		all = append(all, g)
	}
	return all
}

// run lets members come and go until ctx ends, and then lets all of them leave.
func (g *group) run(ctx context.Context) {
	for ctx.Err() == nil {
		g.mu.Lock()
		pause := time.Duration(500+g.mu.random.IntN(6000)) * time.Millisecond
		if !g.mu.quiet {
			g.changeLocked()
		}
		g.mu.Unlock()
		rest(ctx, pause)
	}
	g.mu.Lock()
	g.mu.ended = true
	for i := range g.mu.members {
		g.endLocked(i, groupMember.leave)
	}
	g.mu.Unlock()
	g.wg.Wait()
}

// changeLocked picks a place: who is there leaves or is killed, and another one may take it at once. It requires mu.
func (g *group) changeLocked() string {
	at := g.mu.random.IntN(len(g.mu.members))
	what := fmt.Sprintf("member %d comes", at)
	if g.mu.members[at] != nil {
		switch g.mu.random.IntN(5) {
		case 0:
			what = fmt.Sprintf("member %d leaves", at)
			g.endLocked(at, groupMember.leave)
		case 1:
			what = fmt.Sprintf("member %d is killed", at)
			g.endLocked(at, groupMember.kill)
		case 2:
			what = fmt.Sprintf("another member %d comes while the first one is still there", at)
			old := g.mu.members[at]
			g.beginLocked(at)
			g.wg.Go(func() {
				time.Sleep(memberSession)
				old.kill()
			})
		default:
			what = fmt.Sprintf("member %d is killed, and comes back", at)
			g.endLocked(at, groupMember.kill)
			g.beginLocked(at)
		}
	} else {
		g.beginLocked(at)
	}
	for _, m := range g.mu.members {
		if m != nil {
			return what
		}
	}
	g.beginLocked(at)
	return what
}

// beginLocked starts a member in a place that is free. It requires mu.
func (g *group) beginLocked(at int) {
	if g.mu.ended {
		return
	}
	m, err := g.start(g, member{group: g, number: g.numbers(), place: at})
	if err != nil {
		g.world.say("group %s: %v", g.name, err)
		return
	}
	g.mu.members[at] = m
}

// endLocked ends who is in a place, if anybody is. It requires mu.
func (g *group) endLocked(at int, how func(groupMember)) {
	if m := g.mu.members[at]; m != nil {
		g.mu.members[at] = nil
		how(m)
	}
}

// disturb lets a member come or go, so that a rebalance begins, and says what happened.
func (g *group) disturb() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changeLocked()
}

// killOne kills a member, and says which.
func (g *group) killOne() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	from := g.mu.random.IntN(len(g.mu.members))
	for i := range g.mu.members {
		at := (from + i) % len(g.mu.members)
		if g.mu.members[at] != nil {
			g.endLocked(at, groupMember.kill)
			g.beginLocked(at)
			return fmt.Sprintf("member %d of group %s, which comes back", at, g.name)
		}
	}
	return "nobody of group " + g.name
}

// hush keeps members from coming and going, or lets them again.
func (g *group) hush(quiet bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.quiet = quiet
}

// partitions returns all partitions that the group consumes.
func (g *group) partitions() (all []history.Partition) {
	for _, topic := range g.topics {
		for index := range topics[topic] {
			all = append(all, history.Partition{Topic: topic, Index: index})
		}
	}
	return all
}
