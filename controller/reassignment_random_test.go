package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// reassignSome gives some partitions other replicas, or cancels that, by request or by znode.
func (w *world) reassignSome(byZnode bool) {
	var names []topic.Partition
	var goals [][]int32
	var wishes []zkutil.Reassignment
	for range 1 + w.r.IntN(2) {
		name := w.someTopic()
		if name == "" {
			return
		}
		p := topic.Partition{Topic: name, Index: int32(w.r.IntN(3))}
		goal := w.assignment().Replicas
		wishes = append(wishes, zkutil.Reassignment{Partition: p, Replicas: goal})
		if w.r.IntN(4) == 0 {
			goal = nil
		}
		names, goals = append(names, p), append(goals, goal)
	}
	if byZnode {
		w.do(createNode, zkutil.ReassignmentPath, zkutil.EncodeReassignments(wishes))
		return
	}
	if _, err := w.term.core.reassignByRequest(context.Background(), names, goals); err != nil {
		w.fatalf("reassign %v to %v: %v", names, goals, err)
	}
	w.drain()
}

// checkDeletes checks that no broker is told to delete a replica that the partition cannot do without.
func (w *world) checkDeletes(id int32, req kmsg.Request) {
	stop, ok := req.(*kmsg.StopReplicaRequest)
	if !ok {
		return
	}
	for _, t := range stop.Topics {
		for _, s := range t.PartitionStates {
			n := w.zk.nodes[zkutil.PartitionStatePath(topic.Partition{Topic: t.Topic, Index: s.Partition})]
			if !s.Delete || n == nil || w.deleted[t.Topic] {
				continue
			}
			l := decodeState(&znode{data: n.data, stat: n.stat})
			if slices.Equal(l.ISR, []int32{id}) && l.LeaderEpoch <= s.LeaderEpoch {
				w.fatalf("broker %d is told to delete %s-%d, of which it alone has all records", id, t.Topic, s.Partition)
			}
		}
	}
}

// finishReassignments has all replicas catch up, after which no reassignment must be left.
func (w *world) finishReassignments() {
	w.zk.before = func(*write) {} // a leader that shrinks its ISR starts the catching up anew
	for range 3 {
		for _, name := range w.zk.childrenOf(zkutil.TopicsPath) {
			node := w.topicNode(name)
			for _, index := range slices.Sorted(maps.Keys(node.Partitions)) {
				w.catchUp(topic.Partition{Topic: name, Index: index})
			}
		}
	}
	for _, name := range w.zk.childrenOf(zkutil.TopicsPath) {
		for index, a := range w.topicNode(name).Partitions {
			if a.Reassigning() {
				w.fatalf("the reassignment of %s-%d is not completed: %+v", name, index, a)
			}
		}
	}
	if n := len(w.term.core.reassigning); n > 0 {
		w.fatalf("%d reassignments are left in memory", n)
	}
}

func (w *world) catchUp(p topic.Partition) {
	path := zkutil.PartitionStatePath(p)
	n := w.zk.nodes[path]
	l := decodeState(&znode{data: n.data, stat: n.stat})
	if l.Leader < 0 {
		return
	}
	l.ISR = w.topicNode(p.Topic).Partitions[p.Index].Replicas
	w.zk.write(&write{kind: setNode, path: path, data: l.encode(), version: -1})
	w.names++
	w.zk.write(&write{kind: createNode, path: fmt.Sprintf("%s/isr_change_%010d", zkutil.ISRChangesPath, w.names), data: zkutil.EncodeISRChange([]topic.Partition{p})})
	w.drain()
}
