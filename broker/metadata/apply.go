package metadata

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// leaderDuringDelete marks a partition of a topic that is being deleted
// (LeaderAndIsr.LeaderDuringDelete).
const leaderDuringDelete = -2

// apply returns s with req's news, and the partitions that req removes.
func (s *Snapshot) apply(req *kmsg.UpdateMetadataRequest) (*Snapshot, []topic.Partition) {
	next := &Snapshot{
		ControllerID: max(req.ControllerID, -1),
		Brokers:      s.brokers(req),
		topics:       s.topics,
		names:        s.names,
	}
	var deleted []topic.Partition
	topics, names := s.topics.edit(), s.names.edit()
	for name, state := range changes(req) {
		t, _ := topics.get(name)
		if t == nil {
			t = &Topic{Name: strings.Clone(name)} // it may lie in the request's frame
		}
		t, gone := t.with(state)
		for _, index := range gone {
			deleted = append(deleted, topic.Partition{Topic: t.Name, Index: index})
		}
		record(topics, names, t)
	}
	next.topics, next.names = topics.table, names.table
	return next, deleted
}

// record puts t, or removes it if it has no partition left, and keeps the ids in step.
func record(topics *edit[string, *Topic], names *edit[topic.ID, string], t *Topic) {
	old, _ := topics.get(t.Name)
	if old != nil && old.ID != t.ID {
		names.remove(old.ID)
	}
	if len(t.Partitions) == 0 {
		names.remove(t.ID)
		topics.remove(t.Name)
		return
	}
	topics.put(t.Name, t)
	if !t.ID.IsZero() && (old == nil || old.ID != t.ID) {
		names.put(t.ID, t.Name)
	}
}

// changes yields what req says of each topic. Up to version 4 partitions come in one list, in any
// order.
func changes(req *kmsg.UpdateMetadataRequest) func(yield func(string, *kmsg.UpdateMetadataRequestTopicState) bool) {
	return func(yield func(string, *kmsg.UpdateMetadataRequestTopicState) bool) {
		for i := range req.TopicStates {
			if state := &req.TopicStates[i]; !yield(state.Topic, state) {
				return
			}
		}
		if len(req.PartitionStates) == 0 {
			return
		}
		flat := slices.Clone(req.PartitionStates)
		slices.SortStableFunc(flat, func(a, b kmsg.UpdateMetadataRequestTopicPartition) int {
			return cmp.Compare(a.Topic, b.Topic)
		})
		for len(flat) > 0 {
			n := 1
			for n < len(flat) && flat[n].Topic == flat[0].Topic {
				n++
			}
			state := &kmsg.UpdateMetadataRequestTopicState{Topic: flat[0].Topic, PartitionStates: flat[:n]}
			if !yield(state.Topic, state) {
				return
			}
			flat = flat[n:]
		}
	}
}

// with returns t with state's partitions, and the indexes that state removes. t keeps its id if
// the request has none, as one of a controller before Kafka 2.8.
func (t *Topic) with(state *kmsg.UpdateMetadataRequestTopicState) (*Topic, []int32) {
	next := &Topic{Name: t.Name, ID: t.ID, Partitions: slices.Clone(t.Partitions)}
	if state.TopicID != [16]byte{} {
		next.ID = state.TopicID
	}
	var gone []int32
	keep := copier{ints: make([]int32, 0, countInts(state)), partitions: make([]Partition, 0, len(state.PartitionStates))}
	ordered := true
	for i := range state.PartitionStates {
		p := &state.PartitionStates[i]
		if p.Leader == leaderDuringDelete {
			gone = append(gone, p.Partition)
			continue
		}
		fresh := keep.partition(p)
		if ordered {
			if at, ok := next.find(p.Partition); ok {
				next.Partitions[at] = fresh
				continue
			}
		}
		n := len(next.Partitions)
		ordered = ordered && (n == 0 || next.Partitions[n-1].Index < p.Partition)
		next.Partitions = append(next.Partitions, fresh)
	}
	if !ordered {
		next.Partitions = settle(next.Partitions)
	}
	if len(gone) > 0 {
		next.drop(gone)
	}
	return next, gone
}

// settle orders partitions and keeps the last one of each index.
func settle(partitions []*Partition) []*Partition {
	slices.Reverse(partitions)
	slices.SortStableFunc(partitions, func(a, b *Partition) int { return cmp.Compare(a.Index, b.Index) })
	return slices.CompactFunc(partitions, func(a, b *Partition) bool { return a.Index == b.Index })
}

func (t *Topic) drop(gone []int32) {
	sorted := slices.Sorted(slices.Values(gone))
	t.Partitions = slices.DeleteFunc(t.Partitions, func(p *Partition) bool {
		_, found := slices.BinarySearch(sorted, p.Index)
		return found
	})
}

// copier copies the partitions of one topic of one request into one allocation each for the
// structs and for their lists, since the request's memory belongs to somebody else.
type copier struct {
	ints       []int32
	partitions []Partition
}

func countInts(state *kmsg.UpdateMetadataRequestTopicState) int {
	n := 0
	for i := range state.PartitionStates {
		p := &state.PartitionStates[i]
		n += len(p.ISR) + len(p.Replicas) + len(p.OfflineReplicas)
	}
	return n
}

func (c *copier) partition(p *kmsg.UpdateMetadataRequestTopicPartition) *Partition {
	c.partitions = append(c.partitions, Partition{
		Index:           p.Partition,
		Leader:          p.Leader,
		LeaderEpoch:     p.LeaderEpoch,
		ControllerEpoch: p.ControllerEpoch,
		ZKVersion:       p.ZKVersion,
		ISR:             c.list(p.ISR),
		Replicas:        c.list(p.Replicas),
		Offline:         c.list(p.OfflineReplicas),
	})
	return &c.partitions[len(c.partitions)-1]
}

func (c *copier) list(src []int32) []int32 {
	start := len(c.ints)
	c.ints = append(c.ints, src...)
	return c.ints[start:len(c.ints):len(c.ints)]
}

// securityProtocols are Kafka's names by their ids (SecurityProtocol.java).
var securityProtocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}

func securityProtocol(id int16) string {
	if id < 0 || int(id) >= len(securityProtocols) {
		return "UNKNOWN(" + strconv.Itoa(int(id)) + ")"
	}
	return securityProtocols[id]
}

// brokers returns the live brokers after req. Most requests change none: then s's own map is kept.
func (s *Snapshot) brokers(req *kmsg.UpdateMetadataRequest) map[int32]*Broker {
	live := make(map[int32]*Broker, len(req.LiveBrokers))
	same := len(req.LiveBrokers) == len(s.Brokers)
	for i := range req.LiveBrokers {
		b := broker(req.Version, &req.LiveBrokers[i])
		if old := s.Brokers[b.ID]; old.equal(b) {
			live[b.ID] = old
			continue
		}
		live[b.ID], same = b.detach(), false
	}
	if same {
		return s.Brokers
	}
	return live
}

// broker returns src in today's form: version 0 knew one plaintext address a broker, versions 1
// and 2 named listeners after their protocol. Its strings are the request's.
func broker(version int16, src *kmsg.UpdateMetadataRequestLiveBroker) *Broker {
	b := &Broker{ID: src.ID}
	if src.Rack != nil {
		b.Rack = *src.Rack
	}
	if version == 0 {
		b.Endpoints = []Endpoint{{Listener: "PLAINTEXT", Host: src.Host, Port: src.Port, SecurityProtocol: "PLAINTEXT"}}
	}
	for i := range src.Endpoints {
		e := &src.Endpoints[i]
		protocol := securityProtocol(e.SecurityProtocol)
		b.Endpoints = append(b.Endpoints, Endpoint{
			Listener:         cmp.Or(e.ListenerName, protocol),
			Host:             e.Host,
			Port:             e.Port,
			SecurityProtocol: protocol,
		})
	}
	return b
}

func (b *Broker) equal(c *Broker) bool {
	return b != nil && b.ID == c.ID && b.Rack == c.Rack && slices.Equal(b.Endpoints, c.Endpoints)
}

// detach copies the strings of b, which may lie in the request's frame.
func (b *Broker) detach() *Broker {
	b.Rack = strings.Clone(b.Rack)
	for i := range b.Endpoints {
		e := &b.Endpoints[i]
		e.Listener, e.Host = strings.Clone(e.Listener), strings.Clone(e.Host)
	}
	return b
}
