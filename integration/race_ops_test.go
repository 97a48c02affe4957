package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// An action is what is asked for in a round, and how it must end once the brokers are all well again.
type action struct {
	act    func() // while the controller changes; it may not end the test
	settle func()
}

// operation is a kind of action.
type operation struct {
	name    string
	weight  int
	mixed   bool // only where there are brokers of both kinds
	prepare func(*arena, race) action
}

var raceOperations []operation

func init() { // since their planning refers to them
	raceOperations = []operation{
		{"move", 6, false, prepareMove},
		{"elect", 2, false, prepareElection},
		{"delete", 2, false, prepareDeletion},
		{"grow", 2, false, prepareGrowth},
		{"directory", 3, true, prepareDirectory},
	}
}

// newTopic makes a topic of the round, with what there is to be copied, and returns its name.
func (a *arena) newTopic(r race) string {
	a.t.Helper()
	name := fmt.Sprintf("race-%d", r.number)
	createAssigned(a.t, a.Cluster, name, r.from...)
	if r.megabytes > 0 {
		fillTopic(a.t, a.Cluster, name, 20*r.megabytes, 50_000)
	}
	return name
}

// load has a producer at work until it is stopped.
func (a *arena) load(name string, partitions int32) (stop func() cluster.Acked) {
	return (&mover{Cluster: a.Cluster, t: a.t, name: name, partitions: partitions, client: a.client}).produce()
}

// errNobody is what there is to say if there is no controller.
var errNobody = errors.New("there is no controller")

// ask asks the controller, once.
func (a *arena) ask(req kmsg.Request) (kmsg.Response, error) {
	id := a.registry.Controller()
	if id < 0 {
		return nil, errNobody
	}
	return a.askBroker(id, req)
}

// askBroker asks a broker, once.
func (a *arena) askBroker(id int32, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return a.client.Broker(int(id)).Request(ctx, req)
}

// deleteTopic ends a topic of the round, and waits until nothing is left of it.
func (a *arena) deleteTopic(name string) {
	a.t.Helper()
	a.Await("deletion of "+name, func() bool {
		err := a.askDeletion(name)
		return err == nil || errors.Is(err, kerr.UnknownTopicOrPartition)
	})
	a.awaitDeleted(name)
}

func (a *arena) askDeletion(name string) error {
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = 4000
	req.TopicNames = []string{name}
	req.Topics = []kmsg.DeleteTopicsRequestTopic{{Topic: &name}}
	answer, err := a.ask(req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode)
}

// awaitDeleted waits until neither ZooKeeper nor any disk has something of a topic.
func (a *arena) awaitDeleted(name string) {
	a.t.Helper()
	for _, path := range []string{zkutil.TopicPath(name), "/config/topics/" + name, zkutil.DeleteTopicPath(name)} {
		a.Await("end of "+path, func() bool { _, found := a.node(path); return !found })
	}
	for _, b := range a.Brokers() {
		a.Await(fmt.Sprintf("end of %s on broker %d", name, b.ID()), func() bool {
			return !slices.ContainsFunc(a.replicaDirs(b, name+"-*"), func(dir string) bool { return !a.left[dir] })
		})
	}
}

// prepareDeletion has a topic deleted. Whatever becomes of that, another one may have its name afterwards.
func prepareDeletion(a *arena, r race) action {
	name := a.newTopic(r)
	var err error
	return action{func() {
		err = a.askDeletion(name)
		a.t.Logf("deletion of %s: %v", name, err)
	}, func() {
		a.t.Helper()
		if err == nil {
			a.awaitDeleted(name)
		} else if _, found := a.node(zkutil.DeleteTopicPath(name)); !found {
			a.deleteTopic(name)
		}
		a.awaitDeleted(name)
		createAssigned(a.t, a.Cluster, name, r.to...)
		acked := a.Produce(name, 100, everywhere)
		a.requireSettled(name, r.to)
		a.requireKept(name, acked, r.to)
		a.deleteTopic(name)
	}}
}

// prepareGrowth adds partitions to a topic.
func prepareGrowth(a *arena, r race) action {
	name := a.newTopic(r)
	stop := a.load(name, int32(len(r.from)))
	more := slices.Concat(r.from, r.to)
	var err error
	return action{func() {
		err = a.askGrowth(name, more, len(r.from))
		a.t.Logf("%d partitions for %s: %v", len(more), name, err)
	}, func() {
		a.t.Helper()
		assignment, problem := a.registry.Assignment(name)
		if problem != nil {
			a.t.Fatal(problem)
		}
		n := len(assignment.Partitions)
		if n != len(more) && (err == nil || n != len(r.from)) {
			a.t.Errorf("%s has %d partitions; it had %d and was to have %d: %v", name, n, len(r.from), len(more), err)
		}
		a.requireSettled(name, more[:n])
		acked := stop()
		for at, value := range a.Produce(name, 20*n, everywhere) {
			acked[at] = value
		}
		a.requireKept(name, acked, more[:n])
		a.deleteTopic(name)
	}}
}

func (a *arena) askGrowth(name string, all [][]int32, old int) error {
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = name, int32(len(all))
	for _, replicas := range all[old:] {
		t.Assignment = append(t.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: replicas})
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, t), 4000
	answer, err := a.ask(req)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.CreatePartitionsResponse).Topics[0].ErrorCode)
}

// encodeElection asks for the preferred leaders of a topic.
func encodeElection(name string, partitions int) []byte {
	var all []topic.Partition
	for p := range partitions {
		all = append(all, topic.Partition{Topic: name, Index: int32(p)})
	}
	return zkutil.EncodePreferredElection(all)
}
