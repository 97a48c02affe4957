package controller

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// state is what the active controller knows of the cluster (ControllerContext.scala).
type state struct {
	fence zkutil.Fence // the epoch of this controller, and what guards its writes

	brokers map[int32]*zkutil.Broker // registered, and not dead
	// dead are registered brokers whose process is gone, as far as this controller can tell: none of brokers; see dead.go.
	dead map[int32]*zkutil.Broker
	// shuttingDown are those of brokers that have asked for their controlled shutdown.
	shuttingDown map[int32]bool
	topics       map[string]*topicState
	names        map[topic.ID]*topicState
	// offlineDirs are, by broker, the replicas in log directories that failed.
	offlineDirs map[int32]map[*partition]bool
	// reassigning are the partitions whose reassignment has begun and was not completed.
	reassigning map[*partition]bool
	wishes      int64 // czxid of the node with wishes for reassignments that was carried out last
}

func newState() state {
	return state{
		brokers:      map[int32]*zkutil.Broker{},
		dead:         map[int32]*zkutil.Broker{},
		shuttingDown: map[int32]bool{},
		topics:       map[string]*topicState{},
		names:        map[topic.ID]*topicState{},
		offlineDirs:  map[int32]map[*partition]bool{},
		reassigning:  map[*partition]bool{},
	}
}

// topicState is one topic of /brokers/topics.
type topicState struct {
	name       string
	id         topic.ID     // zero: none
	partitions []*partition // by index

	// The steps of a deletion; see deletion.go.
	queued     bool // for deletion
	started    bool // its partitions are NonExistentPartition
	ineligible bool // something must happen before deletion can go on
}

// leadership is the content of a partition's state znode, with the node's version. It is never changed,
// only replaced.
type leadership zkutil.PartitionState

// partition is one partition with the states of its replicas.
type partition struct {
	topic.Partition
	topic             *topicState
	zkutil.Assignment             // its lists are never changed, only replaced
	leadership        *leadership // nil: there is no state znode that we know of
	state             partitionState
	states            []replicaAt // of replicas; few, so that a list is the fastest map
}

// replicaAt is the state of the replica on one broker.
type replicaAt struct {
	broker int32
	state  replicaState
}

// replica names one replica.
type replica struct {
	*partition
	broker int32
}

// replicaState returns the state of the replica on broker.
func (p *partition) replicaState(broker int32) replicaState {
	for _, r := range p.states {
		if r.broker == broker {
			return r.state
		}
	}
	return nonExistentReplica
}

// setReplicaState records the state of the replica on broker; nonExistentReplica forgets it.
func (p *partition) setReplicaState(broker int32, s replicaState) {
	i := slices.IndexFunc(p.states, func(r replicaAt) bool { return r.broker == broker })
	switch {
	case s == nonExistentReplica && i >= 0:
		p.states = slices.Delete(p.states, i, i+1)
	case i >= 0:
		p.states[i].state = s
	case s != nonExistentReplica:
		p.states = append(p.states, replicaAt{broker, s})
	}
}

// addTopic enters a topic with its partitions.
func (s *state) addTopic(node *zkutil.Topic) *topicState {
	t := &topicState{name: node.Name, id: node.ID}
	s.topics[t.name] = t
	if !t.id.IsZero() {
		s.names[t.id] = t
	}
	for _, index := range slices.Sorted(maps.Keys(node.Partitions)) {
		t.add(index, node.Partitions[index])
	}
	return t
}

// add enters a partition that is not known yet and returns it.
func (t *topicState) add(index int32, a zkutil.Assignment) *partition {
	p := &partition{
		Partition:  topic.Partition{Topic: t.name, Index: index},
		topic:      t,
		Assignment: a,
	}
	i, _ := t.find(index)
	t.partitions = slices.Insert(t.partitions, i, p)
	return p
}

// find returns where partition index is, or would be. Nearly always it is at its own index.
func (t *topicState) find(index int32) (int, bool) {
	if i := int(index); i >= 0 && i < len(t.partitions) && t.partitions[i].Index == index {
		return i, true
	}
	return slices.BinarySearchFunc(t.partitions, index, func(p *partition, index int32) int {
		return cmp.Compare(p.Index, index)
	})
}

// partition returns partition index of t, or nil.
func (t *topicState) partition(index int32) *partition {
	if i, ok := t.find(index); ok {
		return t.partitions[i]
	}
	return nil
}

// replicas returns all replicas of t.
func (t *topicState) replicas() []replica { return replicasOf(t.partitions) }

// allReplicasIn reports whether every replica of t is in state s; true for a topic without any.
func (t *topicState) allReplicasIn(s replicaState) bool {
	return !slices.ContainsFunc(t.replicas(), func(r replica) bool { return r.replicaState(r.broker) != s })
}

// replicasIn returns the replicas of t that are in state s.
func (t *topicState) replicasIn(s replicaState) []replica {
	return slices.DeleteFunc(t.replicas(), func(r replica) bool { return r.replicaState(r.broker) != s })
}

// removeTopic forgets t with everything that belongs to it.
func (s *state) removeTopic(t *topicState) {
	delete(s.topics, t.name)
	delete(s.names, t.id)
	maps.DeleteFunc(s.reassigning, func(p *partition, _ bool) bool { return p.topic == t })
	for _, offline := range s.offlineDirs {
		maps.DeleteFunc(offline, func(p *partition, _ bool) bool { return p.topic == t })
	}
}

// partition returns a partition, or nil.
func (s *state) partition(p topic.Partition) *partition {
	if t := s.topics[p.Topic]; t != nil {
		return t.partition(p.Index)
	}
	return nil
}

// sortedTopics returns all topics by name, so that what the controller does has one order.
func (s *state) sortedTopics() []*topicState {
	return slices.SortedFunc(maps.Values(s.topics), func(a, b *topicState) int { return cmp.Compare(a.name, b.name) })
}

// partitionsWhere returns the partitions that fit, by topic and index.
func (s *state) partitionsWhere(fits func(*partition) bool) []*partition {
	var found []*partition
	for _, t := range s.sortedTopics() {
		for _, p := range t.partitions {
			if fits(p) {
				found = append(found, p)
			}
		}
	}
	return found
}

// replicasOn returns the replicas assigned to any of the brokers.
func (s *state) replicasOn(brokers []int32) []replica {
	var found []replica
	for _, p := range s.partitionsWhere(func(*partition) bool { return true }) {
		for _, id := range p.Replicas {
			if slices.Contains(brokers, id) {
				found = append(found, replica{p, id})
			}
		}
	}
	return found
}

// brokerIDs returns the registered brokers, ascending.
func (s *state) brokerIDs() []int32 { return slices.Sorted(maps.Keys(s.brokers)) }

// registration returns a broker's registration, whether it counts as dead or not; nil: there is none.
func (s *state) registration(broker int32) *zkutil.Broker {
	if b := s.brokers[broker]; b != nil {
		return b
	}
	return s.dead[broker]
}

// online reports whether broker can lead or follow p: it is registered, and its log directory with p
// is not known to have failed.
func (s *state) online(broker int32, p *partition) bool {
	return s.registered(broker, p) && !s.shuttingDown[broker]
}

// registered is online for a broker that may be shutting down.
func (s *state) registered(broker int32, p *partition) bool {
	_, live := s.brokers[broker]
	return live && !s.offlineDirs[broker][p]
}

// onlineOf returns the brokers of ids that are online for p, in order.
func (s *state) onlineOf(ids []int32, p *partition) []int32 {
	return keep(ids, func(id int32) bool { return s.online(id, p) })
}

// keep returns a new list with the ids that fit.
func keep(ids []int32, fits func(int32) bool) []int32 {
	kept := make([]int32, 0, len(ids))
	for _, id := range ids {
		if fits(id) {
			kept = append(kept, id)
		}
	}
	return kept
}

// replicasOf returns all replicas of the partitions.
func replicasOf(ps []*partition) []replica {
	found := make([]replica, 0, len(ps))
	for _, p := range ps {
		for _, id := range p.Replicas {
			found = append(found, replica{p, id})
		}
	}
	return found
}

// brokersOf returns the brokers of the replicas, ascending, each with its partitions.
func brokersOf(replicas []replica) ([]int32, map[int32][]*partition) {
	byBroker := map[int32][]*partition{}
	for _, r := range replicas {
		byBroker[r.broker] = append(byBroker[r.broker], r.partition)
	}
	return slices.Sorted(maps.Keys(byBroker)), byBroker
}
