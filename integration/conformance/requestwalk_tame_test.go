package conformance

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// tame takes out of a request what would keep both brokers busy, or would come into force at a moment of its own and be seen
// then. It reports whether the request is one of the walk: some fail inside Kafka in a way that no client can want, and what
// comes of them is not compared.
func tame(req kmsg.Request) bool {
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		r.TimeoutMillis = walkTimeout
		for i := range r.Topics {
			tameTopic(&r.Topics[i])
		}
	case *kmsg.DeleteTopicsRequest:
		r.TimeoutMillis = walkTimeout
	case *kmsg.CreatePartitionsRequest:
		r.TimeoutMillis = walkTimeout
		for i := range r.Topics {
			few(&r.Topics[i].Count)
		}
	case *kmsg.AlterConfigsRequest:
		return tameAlterConfigs(r)
	case *kmsg.IncrementalAlterConfigsRequest:
		for i := range r.Resources {
			c := &r.Resources[i]
			r.ValidateOnly = r.ValidateOnly || c.ResourceType == kmsg.ConfigResourceTypeBroker
			for j := range c.Configs {
				later(&c.Configs[j].Name)
			}
		}
	case *kmsg.ProduceRequest:
		return !repeats(r)
	case *kmsg.OffsetCommitRequest:
		return !repeats(r)
	case *kmsg.OffsetFetchRequest:
		return r.Version < 8 || len(r.Groups) > 0 // see README.md
	case *kmsg.FetchRequest:
		return tameFetch(r)
	case *kmsg.FindCoordinatorRequest:
		return r.CoordinatorType != 1 // of transactions, which is not built
	case *kmsg.InitProducerIDRequest:
		return r.TransactionalID == nil
	case *kmsg.WriteTxnMarkersRequest:
		return tameMarkers(r)
	case *kmsg.ControlledShutdownRequest:
		r.BrokerID = 99
	}
	return tameOrder(req)
}

// walkTimeout is the timeout, in milliseconds, of what waits for the controller: more than it ever takes.
const walkTimeout = 60_000

// few bounds numbers of partitions. How many more than there are the smallest numbers ask for overflows in Kafka.
func few(n *int32) {
	if *n > 1000 {
		*n = 7
	}
	*n = max(*n, -1000)
}

// tameTopic spares the creation of a topic the wait for a leader that does not come: of no replicas, or of a broker that there is
// not. That the number of a partition is negative README.md says is answered otherwise.
func tameTopic(t *kmsg.CreateTopicsRequestTopic) {
	few(&t.NumPartitions)
	for i := range t.ReplicaAssignment {
		a := &t.ReplicaAssignment[i]
		a.Partition = max(a.Partition, 0)
		a.Replicas = slices.Repeat([]int32{1}, max(len(a.Replicas), 1))
	}
	for i := range t.Configs {
		if c := &t.Configs[i]; c.Name == "segment.ms" || c.Name == "segment.jitter.ms" {
			c.Name = "flush.messages"
		}
	}
}

// later puts a property that nobody sees in the place of one that decides where a segment ends: a broker hears of it a moment
// after the change is answered, and a Fetch returns no more than one segment.
func later(name *string) {
	if strings.HasPrefix(*name, "segment.") || *name == "index.interval.bytes" {
		*name = "flush.messages"
	}
}

// tameAlterConfigs leaves out requests that name a resource twice: Kafka fails on them and never answers. What changes the
// configuration of the broker is only checked, as it would stay for all that comes after.
func tameAlterConfigs(r *kmsg.AlterConfigsRequest) bool {
	seen := map[string]bool{}
	for i := range r.Resources {
		c := &r.Resources[i]
		kind := c.ResourceType
		if !slices.Contains([]kmsg.ConfigResourceType{2, 4, 8, 16}, kind) {
			kind = 0 // all others are the same
		}
		key := fmt.Sprint(kind, c.ResourceName)
		if seen[key] {
			return false
		}
		seen[key] = true
		r.ValidateOnly = r.ValidateOnly || kind == kmsg.ConfigResourceTypeBroker
		for j := range c.Configs {
			later(&c.Configs[j].Name)
		}
	}
	return true
}

// tameFetch leaves out requests by id without one: a client that knows none uses a version before 13, and Kafka fails on what
// follows a topic that it has neither a name nor an id for.
func tameFetch(r *kmsg.FetchRequest) bool {
	r.MaxWaitMillis = min(r.MaxWaitMillis, 100)
	r.SessionID = max(0, min(r.SessionID, 5)) // beyond the shards of its cache Kafka fails
	r.ReplicaState = kmsg.NewFetchRequestReplicaState()
	for _, t := range r.Topics {
		if r.Version >= 13 && t.TopicID == [16]byte{} {
			return false
		}
		for i := range t.Partitions { // which kmsg writes in versions that they are not in
			t.Partitions[i].ReplicaDirectoryID, t.Partitions[i].HighWatermark = [16]byte{}, math.MaxInt64
		}
	}
	return true
}

// tameMarkers leaves out what README.md says Kafka does not answer: a marker that names a partition twice, and one behind
// others. Of a request that it fails, for producer -1 or epoch -1, it keeps the markers before that; here is one marker.
func tameMarkers(r *kmsg.WriteTxnMarkersRequest) bool {
	if len(r.Markers) > 1 {
		r.Markers = r.Markers[:1]
	}
	for i := range r.Markers {
		seen := map[string]bool{}
		for _, t := range r.Markers[i].Topics {
			for _, p := range t.Partitions {
				key := fmt.Sprint(t.Topic, "-", p)
				if seen[key] {
					return false
				}
				seen[key] = true
			}
		}
	}
	return true
}

// tameOrder bounds what is believed of who says that it is the controller: with a later epoch than the controller's own it would
// take the broker away from that. KRaft's controllers order nothing here. A topic that LeaderAndIsr names twice, and leader
// epochs below 0, fail with exceptions inside Kafka; no controller sends them.
func tameOrder(req kmsg.Request) bool {
	switch r := req.(type) {
	case *kmsg.UpdateMetadataRequest:
		r.LiveBrokers, r.IsKRaftController, r.ControllerEpoch = nil, false, min(r.ControllerEpoch, 1)
	case *kmsg.StopReplicaRequest:
		r.IsKRaftController, r.ControllerEpoch = false, min(r.ControllerEpoch, 1)
	case *kmsg.LeaderAndISRRequest:
		r.IsKRaftController, r.ControllerEpoch = false, min(r.ControllerEpoch, 1)
		seen := map[string]bool{}
		for i := range r.PartitionStates {
			r.PartitionStates[i].LeaderEpoch = max(r.PartitionStates[i].LeaderEpoch, 0)
		}
		for i := range r.TopicStates {
			t := &r.TopicStates[i]
			if seen[t.Topic] {
				return false
			}
			seen[t.Topic] = true
			for j := range t.PartitionStates {
				t.PartitionStates[j].LeaderEpoch = max(t.PartitionStates[j].LeaderEpoch, 0)
			}
		}
	}
	return true
}

// repeats reports whether a request says several things of one partition. Which of them Kafka does, and how often it answers, is
// an accident of its maps: of Produce, one that is refused decides the answer, and the last one that is not is appended all the same.
func repeats(req any) bool {
	seen := map[string]bool{}
	topics := reflect.ValueOf(req).Elem().FieldByName("Topics")
	for i := range topics.Len() {
		partitions := topics.Index(i).FieldByName("Partitions")
		for j := range partitions.Len() {
			key := fmt.Sprint(topics.Index(i).FieldByName("Topic"), "-", partitions.Index(j).FieldByName("Partition"))
			if seen[key] {
				return true
			}
			seen[key] = true
		}
	}
	return false
}
