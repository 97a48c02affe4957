package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// What the second part of a reassignment may be.
const (
	nothing = iota
	cancel
	replace
	throttle // the first part is the tool's, with a throttle, and so is what ends it
	follows
)

// moving is a reassignment, in one or two parts.
type moving struct {
	arena   *arena
	race    race
	name    string
	allowed [][][]int32 // the replicas of each partition that may come of it, as far as the answers go
	stop    func() cluster.Acked
	plan    string // the tool's file
}

// prepareMove makes a topic that holds something, and has a producer at work.
func prepareMove(a *arena, r race) action {
	m := &moving{arena: a, race: r, name: a.newTopic(r)}
	m.stop = a.load(m.name, int32(len(r.from)))
	for _, replicas := range r.from {
		m.allowed = append(m.allowed, [][]int32{replicas})
	}
	if r.follow == throttle {
		m.plan = filepath.Join(a.t.TempDir(), "plan.json")
		if err := os.WriteFile(m.plan, []byte(planJSON(m.name, r.to)), 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	a.untold = r.moment >= 0
	return action{m.act, m.settle}
}

func planJSON(name string, to [][]int32) string {
	var parts []string
	for p, replicas := range to {
		list, _ := json.Marshal(replicas)
		parts = append(parts, fmt.Sprintf(`{"topic":%q,"partition":%d,"replicas":%s}`, name, p, list))
	}
	return `{"version":1,"partitions":[` + strings.Join(parts, ",") + `]}`
}

func (m *moving) act() {
	begun := time.Now()
	switch {
	case m.race.follow == throttle:
		rate := max(m.race.megabytes, 1) * 400_000
		m.note(-1, m.race.to, m.tool("--execute", "--throttle", fmt.Sprint(rate)))
	case m.race.byZnode:
		m.wish()
	default:
		m.ask(m.race.to)
	}
	time.Sleep(time.Until(begun.Add(m.race.second)))
	switch m.race.follow {
	case cancel:
		m.ask(nil)
	case replace:
		m.ask(m.race.again)
	}
}

// note takes down what may become of a partition, or of all if it is -1, that was asked for, if err says what came of it.
func (m *moving) note(partition int, to [][]int32, err error) {
	for p := range m.allowed {
		if partition >= 0 && p != partition {
			continue
		}
		goal := restored(m.race.from[p], m.race.to[p])
		if to != nil {
			goal = to[p]
		}
		switch {
		case err == nil:
			m.allowed[p] = [][]int32{goal}
		case !refused(err):
			m.allowed[p] = append(m.allowed[p], goal)
		}
	}
}

// restored returns the replicas after a reassignment was cancelled: those from which it began, but in the order in which they were
// listed with the new ones, which come first (ReplicaAssignment.reassignTo).
func restored(from, to []int32) (ids []int32) {
	for _, id := range slices.Concat(to, from) {
		if slices.Contains(from, id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// refused reports whether an error says that nothing has been done.
func refused(err error) bool {
	return err == kerr.InvalidReplicaAssignment || err == kerr.NoReassignmentInProgress
}

// ask asks the controller once; nil cancels.
func (m *moving) ask(to [][]int32) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	t.Topic = m.name
	for p := range m.race.from {
		part := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		part.Partition = int32(p)
		if to != nil {
			part.Replicas = to[p]
		}
		t.Partitions = append(t.Partitions, part)
	}
	req.Topics = append(req.Topics, t)
	answer, err := m.arena.ask(req)
	resp, ok := answer.(*kmsg.AlterPartitionAssignmentsResponse)
	if err == nil && ok {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		m.arena.t.Logf("moving %s to %v: %v", m.name, to, err)
		m.note(-1, to, err)
		return
	}
	for _, p := range resp.Topics[0].Partitions {
		err := kerr.ErrorForCode(p.ErrorCode)
		m.arena.t.Logf("moving %s-%d to %v: %v", m.name, p.Partition, to, err)
		m.note(int(p.Partition), to, err)
	}
}

// wish asks through ZooKeeper, where whoever controls finds it.
func (m *moving) wish() {
	var wishes []zkutil.Reassignment
	for p, replicas := range m.race.to {
		wishes = append(wishes, zkutil.Reassignment{Partition: topic.Partition{Topic: m.name, Index: int32(p)}, Replicas: replicas})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := m.arena.zk.Create(ctx, zkutil.ReassignmentPath, zkutil.EncodeReassignments(wishes), zkutil.Persistent)
	if err != nil {
		m.arena.t.Error(err)
	}
	m.note(-1, m.race.to, err)
}

// tool runs kafka-reassign-partitions, as gregorctl has it, on the plan.
func (m *moving) tool(args ...string) error {
	r := cluster.Gregorctl(m.arena.t, nil, append([]string{"reassign", "--bootstrap-server", m.arena.Bootstrap(), "--reassignment-json-file", m.plan}, args...)...)
	m.arena.t.Logf("%s: %d\n%s%s", args[0], r.Exit, r.Stdout, r.Stderr)
	if r.Exit != 0 {
		return fmt.Errorf("exit status %d", r.Exit)
	}
	return nil
}

// settle waits for the end, and requires that it is one of those that are allowed.
func (m *moving) settle() {
	a := m.arena
	a.t.Helper()
	a.Await("end of the reassignment of "+m.name, func() bool { return a.reassigning() == 0 })
	if m.race.follow == throttle {
		if err := m.tool("--verify"); err != nil {
			a.t.Errorf("--verify: %v", err)
		}
		a.requireUnthrottled(m.name)
	}
	assignment, err := a.registry.Assignment(m.name)
	if err != nil {
		a.t.Fatal(err)
	}
	replicas := make([][]int32, len(m.allowed))
	for p, allowed := range m.allowed {
		replicas[p] = assignment.Partitions[fmt.Sprint(p)]
		if !slices.ContainsFunc(allowed, func(goal []int32) bool { return slices.Equal(goal, replicas[p]) }) {
			a.t.Errorf("%s-%d has the replicas %v; by what was answered they are among %v", m.name, p, replicas[p], allowed)
		}
	}
	a.requireSettled(m.name, replicas)
	a.requireKept(m.name, m.stop(), replicas)
	a.deleteTopic(m.name)
}
