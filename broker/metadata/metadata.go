// Package metadata is what this broker knows of the cluster: brokers, topics, leaders, ISRs.
//
// The controller sends it in UpdateMetadata requests (ZkMetadataCache.scala). Cache holds the newest
// Snapshot behind an atomic pointer: readers load it once per request and see one consistent cluster,
// without a lock. Apply makes the next snapshot
// from the last one and shares with it whatever did not change, so that a request about one topic
// costs the same whether the cluster has ten topics or ten thousand.
//
// Lock order: Cache.mu is a leaf. Predicates given to WaitFor run under it.
package metadata

import (
	"iter"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
)

// NoLeader is the leader of a partition that has none.
const NoLeader = -1

// Snapshot is the cluster at one moment. It is immutable, with everything reachable from it.
type Snapshot struct {
	// ControllerID is the broker that sent the newest update, -1 before the first. It is this, not
	// /controller, that Metadata responses and requests to the controller go by.
	ControllerID int32
	// Brokers are the live brokers by id.
	Brokers map[int32]*Broker

	topics table[string, *Topic]
	names  table[topic.ID, string]
}

// Broker is one live broker.
type Broker struct {
	ID        int32
	Rack      string // "": none
	Endpoints []Endpoint
}

// Endpoint is where a broker listens.
type Endpoint struct {
	Listener         string // upper case
	Host             string
	Port             int32
	SecurityProtocol string // PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL
}

// Topic is one topic with the partitions that the controller has told of.
type Topic struct {
	Name string
	ID   topic.ID // zero: the topic has none
	// Partitions are ordered by Index. A topic just being created or deleted may miss some.
	Partitions []*Partition
}

// Partition is the state of one partition.
type Partition struct {
	Index           int32
	Leader          int32 // -1: none
	LeaderEpoch     int32
	ControllerEpoch int32 // of the controller that chose the leader
	ZKVersion       int32 // partition epoch: data version of the state znode
	ISR             []int32
	Replicas        []int32
	Offline         []int32 // replicas on dead brokers or failed log directories
}

// Broker returns the live broker id, or nil.
func (s *Snapshot) Broker(id int32) *Broker { return s.Brokers[id] }

// BrokerIDs returns the ids of the live brokers, ascending.
func (s *Snapshot) BrokerIDs() []int32 {
	return slices.Sorted(maps.Keys(s.Brokers))
}

// Topic returns the topic name, or nil.
func (s *Snapshot) Topic(name string) *Topic {
	t, _ := s.topics.get(name)
	return t
}

// TopicByID returns the topic with id, or nil. The zero id names no topic.
func (s *Snapshot) TopicByID(id topic.ID) *Topic {
	name, ok := s.names.get(id)
	if !ok {
		return nil
	}
	return s.Topic(name)
}

// Partition returns the state of p, or nil.
func (s *Snapshot) Partition(p topic.Partition) *Partition {
	t := s.Topic(p.Topic)
	if t == nil {
		return nil
	}
	return t.Partition(p.Index)
}

// Topics yields every topic, in no order.
func (s *Snapshot) Topics() iter.Seq[*Topic] {
	return func(yield func(*Topic) bool) {
		for _, t := range s.topics.all {
			if !yield(t) {
				return
			}
		}
	}
}

// NumTopics returns the number of topics.
func (s *Snapshot) NumTopics() int { return s.topics.size }

// Endpoint returns where broker id listens on listener.
func (s *Snapshot) Endpoint(id int32, listener string) (Endpoint, bool) {
	b := s.Brokers[id]
	if b == nil {
		return Endpoint{}, false
	}
	return b.Endpoint(listener)
}

// Endpoint returns where b listens on listener.
func (b *Broker) Endpoint(listener string) (Endpoint, bool) {
	i := slices.IndexFunc(b.Endpoints, func(e Endpoint) bool { return e.Listener == listener })
	if i < 0 {
		return Endpoint{}, false
	}
	return b.Endpoints[i], true
}

// Partition returns partition index of t, or nil.
func (t *Topic) Partition(index int32) *Partition {
	i, ok := t.find(index)
	if !ok {
		return nil
	}
	return t.Partitions[i]
}

// find returns where partition index is, or would be. Nearly always no partition is missing, and
// it is at its own index.
func (t *Topic) find(index int32) (int, bool) {
	if i := int(index); i >= 0 && i < len(t.Partitions) && t.Partitions[i].Index == index {
		return i, true
	}
	return slices.BinarySearchFunc(t.Partitions, index, func(p *Partition, index int32) int {
		return int(p.Index) - int(index)
	})
}
