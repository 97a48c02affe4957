package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// electing is an election of preferred leaders, of a topic whose replicas have just been told to stand in another order.
type electing struct {
	arena    *arena
	race     race
	name     string
	replicas [][]int32 // in the new order
	answers  map[int32]error
}

func prepareElection(a *arena, r race) action {
	e := &electing{arena: a, race: r, name: a.newTopic(r), answers: map[int32]error{}}
	for _, ids := range r.from {
		e.replicas = append(e.replicas, append(slices.Clone(ids[1:]), ids[0]))
	}
	stop := a.load(e.name, int32(len(r.from)))
	order := &moving{arena: a, race: r, name: e.name, allowed: make([][][]int32, len(r.from))}
	order.ask(e.replicas)
	a.requireSettled(e.name, e.replicas)
	return action{e.act, func() {
		a.t.Helper()
		e.settle()
		a.requireKept(e.name, stop(), e.replicas)
		a.deleteTopic(e.name)
	}}
}

func (e *electing) act() {
	a := e.arena
	if e.race.byZnode {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := a.zk.Create(ctx, zkutil.PreferredElectionPath, encodeElection(e.name, len(e.replicas)), zkutil.Persistent); err != nil {
			a.t.Error(err)
		}
		return
	}
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 4000
	t := kmsg.NewElectLeadersRequestTopic()
	t.Topic = e.name
	for p := range e.replicas {
		t.Partitions = append(t.Partitions, int32(p))
	}
	req.Topics = append(req.Topics, t)
	answer, err := a.ask(req)
	a.t.Logf("election for %s: %+v, %v", e.name, answer, err)
	if err != nil {
		return
	}
	for _, t := range answer.(*kmsg.ElectLeadersResponse).Topics {
		for _, p := range t.Partitions {
			e.answers[p.Partition] = kerr.ErrorForCode(p.ErrorCode)
		}
	}
}

// settle requires that those lead who were elected, unless they were harmed afterwards, and that all lead who are preferred once that is
// asked for again.
func (e *electing) settle() {
	a := e.arena
	a.t.Helper()
	a.Await("end of the wish for an election", func() bool { _, found := a.node(zkutil.PreferredElectionPath); return !found })
	a.requireSettled(e.name, e.replicas)
	for p, ids := range e.replicas {
		err, answered := e.answers[int32(p)]
		done := answered && (err == nil || err == kerr.ElectionNotNeeded) || e.race.byZnode
		if leader := a.Leader(e.name, int32(p)); done && leader != ids[0] && len(a.harmed) == 0 {
			a.t.Errorf("%s-%d is led by %d of %v, though the first was elected", e.name, p, leader, ids)
		}
		a.Elect(e.name, int32(p), ids[0])
	}
	a.requireSettled(e.name, e.replicas)
}

// prepareDirectory has one of two directories of a broker vanish. The others lead what it had there, and it has that again after
// a restart.
func prepareDirectory(a *arena, r race) action {
	name := a.newTopic(r)
	stop := a.load(name, int32(len(r.from)))
	b := a.Broker(r.from[0][0])
	if r.throne == b.ID() {
		b = a.Broker(r.from[0][1])
	}
	failing := a.dirs(b)[0]
	if !isDir(filepath.Join(failing, name+"-0")) {
		failing = a.dirs(b)[1]
	}
	return action{func() {
		if err := os.Rename(failing, failing+".gone"); err != nil {
			a.t.Error(err)
		}
	}, func() {
		a.t.Helper()
		a.t.Logf("broker %d has lost %s", b.ID(), failing)
		for p, ids := range r.from {
			if !slices.ContainsFunc(ids, func(id int32) bool { return id != b.ID() && !a.harmed[id] }) {
				continue // the others were away when the directory failed: whoever came last into the ISR is alone in it
			}
			has := slices.Contains(ids, b.ID()) && !isDir(filepath.Join(failing+".gone", fmt.Sprintf("%s-%d", name, p)))
			a.Await(fmt.Sprintf("%s-%d led by and in sync on those that have it", name, p), func() bool {
				state, err := a.registry.Partition(name, int32(p))
				return err == nil && slices.Contains(ids, state.Leader) && slices.Contains(state.ISR, b.ID()) == has
			})
		}
		if err := b.Stop(); err != nil {
			a.t.Error(err)
		}
		if err := os.Rename(failing+".gone", failing); err != nil {
			a.t.Fatal(err)
		}
		a.Restart(b.ID())
		a.requireSettled(name, r.from)
		a.requireKept(name, stop(), r.from)
		a.deleteTopic(name)
	}}
}
