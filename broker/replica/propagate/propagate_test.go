package propagate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func quiet() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// states is a ZooKeeper with one version per partition.
type states struct {
	mu       sync.Mutex
	versions map[topic.Partition]int32
	fail     error
	begun    time.Time
	notes    []string // when, and what
}

func (s *states) WritePartitionStates(_ context.Context, writes []zkutil.PartitionWrite) []zkutil.PartitionResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]zkutil.PartitionResult, len(writes))
	for i, w := range writes {
		results[i] = zkutil.PartitionResult{Partition: w.Partition, State: w.State, Err: s.fail}
		if s.fail != nil {
			continue
		}
		if s.versions[w.Partition] != w.State.Version {
			results[i].Err = zkutil.ErrBadVersion
			continue
		}
		s.versions[w.Partition]++
		results[i].State.Version++
	}
	return results
}

func (s *states) NotifyISRChange(_ context.Context, partitions []topic.Partition) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return "", s.fail
	}
	s.notes = append(s.notes, fmt.Sprint(time.Since(s.begun).Milliseconds(), " ", partitions))
	return "", nil
}

func (s *states) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func proposal(name string, version int32, done func(replica.Outcome)) replica.Proposal {
	return replica.Proposal{Partition: topic.Partition{Topic: name}, LeaderEpoch: 4, Version: version, ISR: []int32{1, 2}, Done: done}
}

func TestZooKeeperWritesAndNotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zk := &states{versions: map[topic.Partition]int32{}, begun: time.Now()}
		p := NewZooKeeper(zk, quiet())
		defer p.Close()
		outcomes := map[string]replica.Outcome{}
		propose := func(name string, version int32) {
			p.Propose(proposal(name, version, func(o replica.Outcome) { outcomes[name] = o }))
			synctest.Wait()
		}
		propose("a", 0)
		propose("b", 0) // within the interval: noted later, written at once
		propose("c", 3)
		if o := outcomes["a"]; o.Verdict != replica.Accepted || o.Version != 1 || o.LeaderEpoch != 4 || !slices.Equal(o.ISR, []int32{1, 2}) {
			t.Errorf("a: %+v", o)
		}
		if outcomes["b"].Verdict != replica.Accepted || outcomes["c"].Verdict != replica.Overtaken {
			t.Errorf("b: %+v, c: %+v", outcomes["b"], outcomes["c"])
		}
		propose("a", 1)
		time.Sleep(time.Second)
		// ZooKeeper is away: written when it is back.
		zk.set(errors.New("session expired"))
		delete(outcomes, "a")
		propose("a", 2)
		time.Sleep(9500 * time.Millisecond)
		synctest.Wait()
		if _, done := outcomes["a"]; done {
			t.Error("there is an outcome without an answer")
		}
		zk.set(nil)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if o := outcomes["a"]; o.Verdict != replica.Accepted || o.Version != 3 {
			t.Errorf("a, after ZooKeeper was back: %+v", o)
		}
		want := []string{"0 [a-0]", "200 [a-0 b-0]", "11000 [a-0]"}
		if !slices.Equal(zk.notes, want) {
			t.Errorf("notes %v, want %v", zk.notes, want)
		}
	})
}

func TestAlterPartitionRequest(t *testing.T) {
	id := topic.NewID()
	a := replica.Proposal{Partition: topic.Partition{Topic: "a", Index: 1}, TopicID: id, LeaderEpoch: 4, Version: 9, ISR: []int32{3, 1}}
	b := a
	b.Index = 2
	req := request(7, 70, []replica.Proposal{a, b})
	if req.Version != 3 || req.BrokerID != 7 || req.BrokerEpoch != 70 || len(req.Topics) != 1 || req.Topics[0].TopicID != id || len(req.Topics[0].Partitions) != 2 {
		t.Fatalf("by id: %+v", req)
	}
	q := req.Topics[0].Partitions[0]
	if q.Partition != 1 || q.LeaderEpoch != 4 || q.PartitionEpoch != 9 || len(q.NewEpochISR) != 2 || q.NewEpochISR[0].BrokerID != 3 || q.NewEpochISR[0].BrokerEpoch != -1 {
		t.Errorf("partition: %+v", q)
	}
	b.Topic, b.TopicID = "b", topic.ID{}
	req = request(7, 70, []replica.Proposal{a, b})
	if req.Version != 1 || len(req.Topics) != 2 || !slices.Equal(req.Topics[0].Partitions[0].NewISR, []int32{3, 1}) {
		t.Errorf("by name: %+v", req)
	}
}

func TestAlterPartitionVerdicts(t *testing.T) {
	tests := []struct {
		err   *kerr.Error
		want  replica.Verdict
		again bool
	}{
		{kerr.IneligibleReplica, replica.Rejected, false},
		{kerr.OperationNotAttempted, replica.Rejected, false},
		{kerr.InvalidUpdateVersion, replica.Overtaken, false},
		{kerr.FencedLeaderEpoch, replica.Overtaken, false},
		{kerr.UnknownTopicID, replica.Overtaken, false},
		{kerr.NotController, 0, true},
		{kerr.UnknownServerError, 0, true},
	}
	for _, tt := range tests {
		o, again := verdict(&kmsg.AlterPartitionResponseTopicPartition{ErrorCode: tt.err.Code})
		if again != tt.again || !again && o.Verdict != tt.want {
			t.Errorf("%v: %v, again %v", tt.err, o.Verdict, again)
		}
	}
	o, _ := verdict(&kmsg.AlterPartitionResponseTopicPartition{LeaderEpoch: 3, PartitionEpoch: 8, ISR: []int32{1}})
	if o.Verdict != replica.Accepted || o.LeaderEpoch != 3 || o.Version != 8 || !slices.Equal(o.ISR, []int32{1}) {
		t.Errorf("success: %+v", o)
	}
}
