package admin

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestCreateTopics(t *testing.T) {
	for _, version := range []int16{0, 4, 5, 7} {
		w := newWorld(t, "num.partitions=2")
		value := "delete"
		got := w.create(t, version,
			asked("orders", func(c *kmsg.CreateTopicsRequestTopic) {
				c.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "cleanup.policy", Value: &value}}
			}),
			asked("defaults", func(c *kmsg.CreateTopicsRequestTopic) { c.NumPartitions, c.ReplicationFactor = -1, -1 }))
		if len(got) != 2 || got[0].ErrorCode != 0 || got[1].ErrorCode != 0 {
			t.Fatalf("v%d: %+v", version, got)
		}
		if len(w.topics["orders"].Replicas) != 3 || len(w.topics["defaults"].Replicas) != 2 || w.configs["orders"]["cleanup.policy"] != "delete" {
			t.Errorf("v%d: stored %+v, %+v", version, w.topics, w.configs)
		}
		if version >= 5 && (got[0].NumPartitions != 3 || got[0].ReplicationFactor != 1 || len(got[0].Configs) < 20) {
			t.Errorf("v%d: described as %d partitions, factor %d, %d properties", version, got[0].NumPartitions, got[0].ReplicationFactor, len(got[0].Configs))
		}
		if version >= 7 && topic.ID(got[0].TopicID) != w.topics["orders"].ID {
			t.Errorf("v%d: another id than the stored one", version)
		}
	}
}

func TestCreateTopicsRefusals(t *testing.T) {
	assignment := func(replicas ...[]int32) func(*kmsg.CreateTopicsRequestTopic) {
		return func(c *kmsg.CreateTopicsRequestTopic) {
			c.NumPartitions, c.ReplicationFactor = -1, -1
			for i, r := range replicas {
				c.ReplicaAssignment = append(c.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: r})
			}
		}
	}
	property := func(name string, value *string) func(*kmsg.CreateTopicsRequestTopic) {
		return func(c *kmsg.CreateTopicsRequestTopic) {
			c.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: name, Value: value}}
		}
	}
	wrong := "x"
	tests := []struct {
		name    string
		topic   kmsg.CreateTopicsRequestTopic
		code    int16
		message string
	}{
		{"exists", asked("there", nil), 36, "Topic 'there' already exists."},
		{"known to ZooKeeper only", asked("stored", nil), 36, "Topic 'stored' already exists."},
		{"in the metadata and marked", asked("going", nil), 36, "Topic 'going' already exists."},
		{"marked only", asked("gone", nil), 36, "Topic 'gone' is marked for deletion."},
		{"collides", asked("my_topic", nil), 17, "Topic 'my_topic' collides with existing topics: my.topic"},
		{"no name", asked("a b", nil), 17, "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{"no name and a wrong assignment", asked("a b", assignment([]int32{1, 1})), 17, "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"},
		{"no name and no partitions", asked("a b", func(c *kmsg.CreateTopicsRequestTopic) { c.NumPartitions = 0 }), 37, "Number of partitions must be larger than 0."},
		{"too many replicas", asked("n", func(c *kmsg.CreateTopicsRequestTopic) { c.ReplicationFactor = 3 }), 38, "Replication factor: 3 larger than available brokers: 2."},
		{"twofold", asked("n", func(c *kmsg.CreateTopicsRequestTopic) { assignment([]int32{1})(c); c.NumPartitions = 1 }), 42,
			"Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same time."},
		{"uneven", asked("n", assignment([]int32{1}, []int32{1, 2})), 39, "All partitions should have the same number of replicas"},
		{"gap", asked("n", func(c *kmsg.CreateTopicsRequestTopic) {
			assignment([]int32{1})(c)
			c.ReplicaAssignment[0].Partition = 1
		}), 39,
			"partitions should be a consecutive 0-based integer sequence"},
		{"null property", asked("n", property("cleanup.policy", nil)), 40, "Null value not supported for topic configs: cleanup.policy"},
		{"wrong property", asked("n", property("segment.bytes", &wrong)), 40, "Invalid value x for configuration segment.bytes: Not a number of type INT"},
		{"metadata log", asked("__cluster_metadata", nil), 42, "Creation of internal topic __cluster_metadata is prohibited."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.add("there", 1)
			w.add("my.topic", 1)
			w.add("going", 1)
			w.topics["stored"] = Assignment{}
			w.marked = []string{"going", "gone"}
			before := len(w.topics)
			got := w.create(t, 7, tt.topic, asked("fine", nil))
			if got[0].ErrorCode != tt.code || text(got[0].ErrorMessage) != tt.message {
				t.Errorf("%d %q, want %d %q", got[0].ErrorCode, text(got[0].ErrorMessage), tt.code, tt.message)
			}
			if got[0].Configs == nil || len(got[0].Configs) != 0 || got[0].NumPartitions != -1 || got[0].TopicID != [16]byte{} {
				t.Errorf("a refused topic is described: %+v", got[0])
			}
			if got[1].ErrorCode != 0 || len(w.topics) != before+1 {
				t.Errorf("the topic beside it: %+v", got[1])
			}
		})
	}
}

// TestCreateTopicsOfBillions asks for more partitions than one request may have: each topic on its own could have them.
func TestCreateTopicsOfBillions(t *testing.T) {
	w := newWorld(t)
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = 5, true
	for i := range 2000 {
		req.Topics = append(req.Topics, asked(fmt.Sprint("t", i), func(c *kmsg.CreateTopicsRequestTopic) { c.NumPartitions = 600_000 }))
	}
	req.Topics = append(req.Topics, asked("small", nil))
	resp := kmsg.NewPtrCreateTopicsResponse()
	fixture.Do(t, request.HandlerFunc(w.CreateTopicsHandler()), req, resp)
	for i, want := range map[int]int16{0: 0, 1: 37, 1999: 37, 2000: 0} {
		if got := resp.Topics[i]; got.ErrorCode != want {
			t.Errorf("%s: error %d (%s), want %d", got.Topic, got.ErrorCode, text(got.ErrorMessage), want)
		}
	}
}

func TestCreateTopicsNamesTwice(t *testing.T) {
	w := newWorld(t)
	for _, got := range w.create(t, 7, asked("twice", nil), asked("twice", nil)) {
		if got.ErrorCode != 42 || text(got.ErrorMessage) != "Found multiple entries for this topic." {
			t.Errorf("%d %q", got.ErrorCode, text(got.ErrorMessage))
		}
	}
}

func TestCreateTopicsTimesOut(t *testing.T) {
	w := newWorld(t)
	w.idle = true
	got := w.create(t, 7, asked("slow", nil))[0]
	if got.ErrorCode != 7 || topic.ID(got.TopicID) != w.topics["slow"].ID || got.NumPartitions != -1 {
		t.Errorf("%+v, want REQUEST_TIMED_OUT with the id of the topic that is under way", got)
	}
	w.stopped()
	if got := w.create(t, 7, asked("late", nil))[0]; got.ErrorCode != 7 {
		t.Errorf("while the broker stops: error %d, want REQUEST_TIMED_OUT", got.ErrorCode)
	}
}

func TestCreateTopicsWithoutController(t *testing.T) {
	w := newWorld(t)
	w.IsController = func() bool { return false }
	if got := w.create(t, 7, asked("n", nil))[0]; got.ErrorCode != 41 || len(w.topics) != 0 {
		t.Errorf("error %d, want NOT_CONTROLLER", got.ErrorCode)
	}
}

func TestCreateTopicsStoreFails(t *testing.T) {
	w := newWorld(t)
	w.err = errStore
	if got := w.create(t, 7, asked("n", nil))[0]; got.ErrorCode != -1 {
		t.Errorf("error %d, want UNKNOWN_SERVER_ERROR", got.ErrorCode)
	}
}

func TestAutoCreator(t *testing.T) {
	w := newWorld(t, "num.partitions=4", "offsets.topic.num.partitions=7", "offsets.topic.replication.factor=2", "default.replication.factor=1")
	w.idle = true
	w.topics["stored"] = Assignment{}
	w.marked = []string{"gone"}
	a := NewAutoCreator(w.Handlers)
	names := []string{"one", "stored", "two", "gone", topic.ConsumerOffsets, "o.ne", "o_ne"}
	want := []int16{5, 5, 5, 5, 5, 5, 17}
	if got := a.Create(names); !slices.Equal(got, want) {
		t.Errorf("codes %v, want %v", got, want)
	}
	if w.calls != 1 {
		t.Errorf("the topics were listed %d times for one request", w.calls)
	}
	if len(w.topics["one"].Replicas) != 4 || len(w.topics["two"].Replicas) != 4 {
		t.Errorf("made with %d and %d partitions, want num.partitions", len(w.topics["one"].Replicas), len(w.topics["two"].Replicas))
	}
	internal := w.topics[topic.ConsumerOffsets]
	if len(internal.Replicas) != 7 || len(internal.Replicas[0]) != 2 || w.configs[topic.ConsumerOffsets]["cleanup.policy"] != "compact" {
		t.Errorf("%s: %+v with %v", topic.ConsumerOffsets, internal, w.configs[topic.ConsumerOffsets])
	}
	w.err = errStore
	if got := a.Create([]string{"three"}); got[0] != -1 {
		t.Errorf("the store fails: code %d", got[0])
	}
}

func TestAutoCreatorWithTooFewBrokers(t *testing.T) {
	w := newWorld(t) // offsets.topic.replication.factor is 3, of two brokers
	if got := NewAutoCreator(w.Handlers).Create([]string{topic.ConsumerOffsets}); got[0] != 38 {
		t.Errorf("code %d, want INVALID_REPLICATION_FACTOR", got[0])
	}
}

// While one request creates a topic, another does not begin to, and does not wait either.
func TestAutoCreatorInFlight(t *testing.T) {
	w := newWorld(t)
	w.block = make(chan struct{})
	a := NewAutoCreator(w.Handlers)
	first := make(chan []int16)
	go func() { first <- a.Create([]string{"n"}) }()
	<-w.entered
	if got := a.Create([]string{"n"}); got[0] != 3 {
		t.Errorf("the second request: code %d, want UNKNOWN_TOPIC_OR_PARTITION", got[0])
	}
	close(w.block)
	if got := <-first; got[0] != 5 {
		t.Errorf("the first request: code %d, want LEADER_NOT_AVAILABLE", got[0])
	}
	if len(a.inFlight) != 0 {
		t.Errorf("%v stay in flight", a.inFlight)
	}
}

// A broker that stops does not wait for ZooKeeper.
func TestAutoCreatorStops(t *testing.T) {
	w := newWorld(t)
	w.block = make(chan struct{})
	w.stopped()
	if got := NewAutoCreator(w.Handlers).Create([]string{"n"}); got[0] == 5 {
		t.Errorf("code %d for a topic that was not made", got[0])
	}
}
