package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// part builds the state of one partition, led by leader.
func part(index, leader int32) kmsg.UpdateMetadataRequestTopicPartition {
	return kmsg.UpdateMetadataRequestTopicPartition{
		Partition: index, Leader: leader, LeaderEpoch: 7, ControllerEpoch: 3, ZKVersion: 5,
		ISR: []int32{1, 2}, Replicas: []int32{1, 2, 3}, OfflineReplicas: []int32{3},
	}
}

func update(topics ...kmsg.UpdateMetadataRequestTopicState) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID, req.TopicStates = 8, 1, topics
	return req
}

func state(name string, id topic.ID, parts ...kmsg.UpdateMetadataRequestTopicPartition) kmsg.UpdateMetadataRequestTopicState {
	return kmsg.UpdateMetadataRequestTopicState{Topic: name, TopicID: id, PartitionStates: parts}
}

// throughWire encodes req in version and decodes it again, so that only what the version carries
// arrives.
func throughWire(t *testing.T, req *kmsg.UpdateMetadataRequest, version int16) *kmsg.UpdateMetadataRequest {
	t.Helper()
	req.Version = version
	if version < 5 {
		for _, ts := range req.TopicStates {
			for _, p := range ts.PartitionStates {
				p.Topic = ts.Topic
				req.PartitionStates = append(req.PartitionStates, p)
			}
		}
	}
	back := kmsg.NewPtrUpdateMetadataRequest()
	back.Version = version
	if err := back.ReadFrom(req.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestApplyAllVersions(t *testing.T) {
	id := topic.ID{15: 9}
	rack := "r1"
	for version := int16(0); version <= 8; version++ {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			// The partitions of a come apart and in the wrong order.
			req := update(state("a", id, part(1, 2)), state("b", topic.ID{}, part(0, -1)), state("a", id, part(0, 1)))
			req.LiveBrokers = []kmsg.UpdateMetadataRequestLiveBroker{{
				ID: 4, Host: "h", Port: 9, Rack: &rack,
				Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{{Host: "h", Port: 9, ListenerName: "REPL", SecurityProtocol: 3}},
			}}
			var c Cache
			c.Apply(throughWire(t, req, version))
			s := c.Load()

			want := Broker{ID: 4, Rack: rack, Endpoints: []Endpoint{{"REPL", "h", 9, "SASL_SSL"}}}
			switch {
			case version == 0:
				want.Rack, want.Endpoints = "", []Endpoint{{"PLAINTEXT", "h", 9, "PLAINTEXT"}}
			case version == 1:
				want.Rack, want.Endpoints[0].Listener = "", "SASL_SSL"
			case version == 2:
				want.Endpoints[0].Listener = "SASL_SSL"
			}
			if diff := cmp.Diff(&want, s.Broker(4)); diff != "" {
				t.Errorf("broker (-want +got):\n%s", diff)
			}
			p := &Partition{Index: 1, Leader: 2, LeaderEpoch: 7, ControllerEpoch: 3, ZKVersion: 5, ISR: []int32{1, 2}, Replicas: []int32{1, 2, 3}, Offline: []int32{3}}
			if version < 4 {
				p.Offline = []int32{}
			}
			if diff := cmp.Diff(p, s.Partition(topic.Partition{Topic: "a", Index: 1})); diff != "" {
				t.Errorf("a-1 (-want +got):\n%s", diff)
			}
			if got := s.TopicByID(id); (got != nil) != (version >= 7) {
				t.Errorf("TopicByID = %v in version %d", got, version)
			}
			if s.ControllerID != 1 || s.NumTopics() != 2 || len(s.Topic("a").Partitions) != 2 {
				t.Errorf("snapshot = %+v", s)
			}
		})
	}
}

func TestApplySequence(t *testing.T) {
	idA, idB := topic.ID{1}, topic.ID{2}
	var c Cache
	if s := c.Load(); s.ControllerID != -1 || s.Topic("a") != nil || s.TopicByID(idA) != nil || s.Partition(topic.Partition{}) != nil {
		t.Errorf("an empty cache knows %+v", s)
	}
	c.Apply(update(state("a", idA, part(0, 1), part(1, 1), part(7, 1))))
	before := c.Load()

	// One partition changes; the others and the id stay.
	c.Apply(update(state("a", topic.ID{}, part(1, 2))))
	a := c.Load().TopicByID(idA)
	if a == nil || a.Partition(1).Leader != 2 || a.Partition(7).Leader != 1 || a.Partition(2) != nil || a.Partition(-1) != nil {
		t.Fatalf("after an update of a-1: %+v", a)
	}
	if before.Topic("a").Partition(1).Leader != 1 {
		t.Error("an old snapshot changed")
	}

	// Leader -2 removes; what is not known is reported all the same.
	gone := c.Apply(update(state("a", idA, part(0, -2), part(9, -2)), state("x", topic.ID{}, part(0, -2))))
	if want := []topic.Partition{{Topic: "a", Index: 0}, {Topic: "a", Index: 9}, {Topic: "x", Index: 0}}; !slices.Equal(gone, want) {
		t.Errorf("deleted = %v, want %v", gone, want)
	}
	if a := c.Load().Topic("a"); len(a.Partitions) != 2 || a.Partition(7) == nil || c.Load().NumTopics() != 1 {
		t.Errorf("after the removal of a-0: %+v", a)
	}

	// The last partition takes the topic and its id along; the name comes back with another id.
	c.Apply(update(state("a", idA, part(1, -2), part(7, -2))))
	if s := c.Load(); s.Topic("a") != nil || s.TopicByID(idA) != nil || s.NumTopics() != 0 || s.names.size != 0 {
		t.Errorf("after the removal of a: %+v", s)
	}
	c.Apply(update(state("a", idA, part(0, 1))))
	c.Apply(update(state("a", idB, part(0, 1))))
	if s := c.Load(); s.TopicByID(idA) != nil || s.TopicByID(idB) == nil || s.names.size != 1 {
		t.Errorf("after the re-creation of a: %+v", s)
	}
}

func TestApplyReplacesBrokers(t *testing.T) {
	with := func(ids ...int32) *kmsg.UpdateMetadataRequest {
		req := update()
		for _, id := range ids {
			req.LiveBrokers = append(req.LiveBrokers, kmsg.UpdateMetadataRequestLiveBroker{ID: id,
				Endpoints: []kmsg.UpdateMetadataRequestLiveBrokerEndpoint{{Host: "h", Port: id, ListenerName: "L"}}})
		}
		return req
	}
	var c Cache
	c.Apply(with(3, 1))
	first := c.Load()
	c.Apply(with(1, 3))
	if c.Load().Broker(3) != first.Broker(3) {
		t.Error("an unchanged broker was copied")
	}
	c.Apply(with(1, 2))
	if ids := c.Load().BrokerIDs(); !slices.Equal(ids, []int32{1, 2}) {
		t.Errorf("live brokers = %v, want 1 and 2", ids)
	}
	if e, ok := c.Load().Endpoint(2, "L"); !ok || e.Port != 2 {
		t.Errorf("endpoint of 2 = %v, %v", e, ok)
	}
	if _, ok := c.Load().Endpoint(3, "L"); ok {
		t.Error("a dead broker has an endpoint")
	}
	if _, ok := c.Load().Endpoint(2, "M"); ok {
		t.Error("a broker has a listener it does not have")
	}
	req := with(1)
	req.ControllerID = -5
	c.Apply(req)
	if id := c.Load().ControllerID; id != -1 {
		t.Errorf("controller = %d, want -1 for none", id)
	}
}

func TestTopicsYieldsEachOnce(t *testing.T) {
	var c Cache
	want := map[string]bool{}
	for i := range 1000 {
		name := fmt.Sprint("t", i)
		want[name] = true
		c.Apply(update(state(name, topic.ID{}, part(0, 1))))
	}
	for tp := range c.Load().Topics() {
		if !want[tp.Name] {
			t.Fatalf("%s comes twice", tp.Name)
		}
		delete(want, tp.Name)
	}
	if len(want) > 0 {
		t.Errorf("%d topics do not come", len(want))
	}
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Cache
		var wg sync.WaitGroup
		known := func(name string) func(*Snapshot) bool {
			return func(s *Snapshot) bool { return s.Topic(name) != nil }
		}
		var met error
		wg.Go(func() { met = c.WaitFor(t.Context(), known("a")) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var late error
		wg.Go(func() { late = c.WaitFor(ctx, known("never")) })

		synctest.Wait()
		c.Apply(update(state("b", topic.ID{}, part(0, 1))))
		c.Apply(update(state("a", topic.ID{}, part(0, 1))))
		wg.Wait()
		if met != nil || !errors.Is(late, context.DeadlineExceeded) {
			t.Errorf("WaitFor = %v for what came, %v for what did not", met, late)
		}
		if err := c.WaitFor(ctx, known("a")); err != nil {
			t.Errorf("WaitFor what holds already, with an ended context = %v", err)
		}
		if n := len(c.mu.waiters); n != 0 {
			t.Errorf("%d waiters are left", n)
		}
	})
}

// BenchmarkApplyOneOfManyTopics is one request about one topic of 10,000: it must not depend on
// their number.
func BenchmarkApplyOneOfManyTopics(b *testing.B) {
	for _, topics := range []int{100, 10_000} {
		b.Run(fmt.Sprint(topics, "topics"), func(b *testing.B) {
			var c Cache
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprint("topic-", i)
				c.Apply(update(state(names[i], topic.ID{byte(i), byte(i >> 8), 1}, part(0, 1))))
			}
			req := update(state("", topic.ID{}, part(0, 2)))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				req.TopicStates[0].Topic = names[i%topics]
				c.Apply(req)
			}
		})
	}
}
