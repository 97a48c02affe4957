package replica_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/sirupsen/logrus/hooks/test"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const self = 1

var orders = topic.Partition{Topic: "orders"}

// env is a Manager on real storage.
type env struct {
	t       *testing.T
	manager *replica.Manager
	storage *storage.Manager
	epoch   int64 // of the broker
	config  storage.LogConfig
}

func newEnv(t *testing.T, change ...func(*replica.Options)) *env {
	t.Helper()
	log, _ := test.NewNullLogger()
	e := &env{t: t, epoch: 100, config: storage.DefaultLogConfig()}
	var err error
	if e.storage, err = storage.Open(storage.Options{Dirs: []string{t.TempDir()}, Logger: log, InitialTaskDelay: time.Hour}); err != nil {
		t.Fatal(err)
	}
	o := replica.Options{
		BrokerID: self, Storage: e.storage, Logger: logrus.FieldLogger(log),
		TopicConfig: func(string) (storage.LogConfig, error) { return e.config, nil },
		BrokerEpoch: func() int64 { return e.epoch },
		Known:       func(p topic.Partition) bool { return p.Topic == "known" },
	}
	for _, f := range change {
		f(&o)
	}
	e.manager, err = replica.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.manager.Close()
		if err := e.storage.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *env) apply(s replica.PartitionState) error {
	e.t.Helper()
	errs, err := e.manager.Apply(replica.Command{ControllerID: 9, ControllerEpoch: 5, BrokerEpoch: e.epoch}, []replica.PartitionState{s})
	if err != nil {
		e.t.Fatal(err)
	}
	return errs[0]
}

func state(leader, leaderEpoch, partitionEpoch int32, isr, replicas []int32) replica.PartitionState {
	return replica.PartitionState{
		Partition: orders, ControllerEpoch: 5, Leader: leader, LeaderEpoch: leaderEpoch, PartitionEpoch: partitionEpoch,
		ISR: isr, Replicas: replicas, IsNew: true,
	}
}

func (e *env) partition() *replica.Partition {
	e.t.Helper()
	p, err := e.manager.Partition(orders)
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

func (e *env) append(n int) {
	e.t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{})
	for range n {
		if err := b.Append(record.Record{Timestamp: 1, Value: []byte("v")}); err != nil {
			e.t.Fatal(err)
		}
	}
	batch, err := b.Build(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if _, err := e.partition().Append(batch, record.Client, false, 1); err != nil {
		e.t.Fatal(err)
	}
}

// fetch reads as a replica or, with -1, a consumer does, and returns the number of bytes.
func (e *env) fetch(from int32, offset int64, change func(*replica.ReadOptions)) (replica.ReadResult, error) {
	o := replica.ReadOptions{Offset: offset, MaxBytes: 1 << 20, ReplicaID: from, CurrentLeaderEpoch: -1, LastFetchedEpoch: -1}
	if change != nil {
		change(&o)
	}
	res, err := e.partition().Read(&o)
	if res.Section != nil {
		res.Section.Release()
	}
	return res, err
}

// The leader is none of its followers, though one of the replicas.
func TestLeaderDoesNotFollowItself(t *testing.T) {
	e := newEnv(t)
	if err := e.apply(state(self, 3, 0, []int32{1, 2}, []int32{1, 2})); err != nil {
		t.Fatal(err)
	}
	if _, err := e.fetch(self, 0, nil); !errors.Is(err, replica.ErrNotLeader) {
		t.Errorf("%v, want ErrNotLeader", err)
	}
	if _, err := e.fetch(self, 0, func(o *replica.ReadOptions) { o.CurrentLeaderEpoch = 3 }); !errors.Is(err, replica.ErrUnknownLeaderEpoch) {
		t.Errorf("with the leader epoch: %v, want ErrUnknownLeaderEpoch", err)
	}
}

func TestHighWatermarkFollowsTheSlowestInSync(t *testing.T) {
	e := newEnv(t)
	if err := e.apply(state(self, 0, 0, []int32{1, 2, 3}, []int32{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	e.append(10)
	steps := []struct {
		follower int32
		offset   int64
		want     int64
	}{
		{2, 10, 0},  // 3 has not fetched yet
		{3, 4, 4},   // both have, 3 is the slower
		{3, 3, 4},   // a follower that went back does not lower it
		{3, 10, 10}, // all have everything
	}
	for _, s := range steps {
		if _, err := e.fetch(s.follower, s.offset, nil); err != nil {
			t.Fatal(err)
		}
		if got := e.partition().Log().HighWatermark(); got != s.want {
			t.Errorf("after follower %d fetched from %d: high watermark %d, want %d", s.follower, s.offset, got, s.want)
		}
	}
}

func TestConsumersSeeWhatIsCommitted(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(5)
	res, err := e.fetch(-1, 0, nil)
	if err != nil || res.Section != nil || res.HighWatermark != 0 {
		t.Errorf("before replication a consumer got %+v, %v; want nothing", res, err)
	}
	if res, err := e.fetch(-1, 5, nil); err != nil || res.Section != nil {
		t.Errorf("above the high watermark, below the log end: %v, want nothing and no error", err)
	}
	if res, err := e.fetch(2, 0, nil); err != nil || res.Section == nil {
		t.Errorf("a follower got %+v, %v; want the uncommitted records", res, err)
	}
	e.fetch(2, 5, nil)
	if res, _ := e.fetch(-1, 0, nil); res.Section == nil || res.HighWatermark != 5 {
		t.Errorf("after replication a consumer got %+v, want records to 5", res)
	}
}

func TestLeaderEpochsFence(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 7, 0, []int32{1}, []int32{1}))
	known := func(epoch int32) error {
		_, err := e.fetch(-1, 0, func(o *replica.ReadOptions) { o.CurrentLeaderEpoch = epoch })
		return err
	}
	for epoch, want := range map[int32]error{-1: nil, 7: nil, 6: replica.ErrFencedLeaderEpoch, 8: replica.ErrUnknownLeaderEpoch} {
		if err := known(epoch); !errors.Is(err, want) {
			t.Errorf("a client that knows epoch %d: %v, want %v", epoch, err, want)
		}
	}
}

func TestStatesOfThePastAreRefused(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 3, 4, []int32{1, 2}, []int32{1, 2}))
	for name, s := range map[string]replica.PartitionState{
		"same leader epoch":     state(2, 3, 5, []int32{1, 2}, []int32{1, 2}),
		"older leader epoch":    state(2, 2, 5, []int32{1, 2}, []int32{1, 2}),
		"older partition epoch": state(2, 4, 3, []int32{1, 2}, []int32{1, 2}),
	} {
		if err := e.apply(s); !errors.Is(err, replica.ErrStaleControllerEpoch) {
			t.Errorf("%s: %v, want ErrStaleControllerEpoch", name, err)
		}
	}
	if leader, epoch := e.partition().LeaderAndEpoch(); leader != self || epoch != 3 {
		t.Errorf("leader %d in epoch %d after refused states, want %d in 3", leader, epoch, self)
	}
	if err := e.apply(state(2, 4, 5, []int32{1, 2}, []int32{1, 2})); err != nil {
		t.Errorf("a newer state: %v", err)
	}
	if err := e.apply(state(2, 5, 6, []int32{2}, []int32{2})); !errors.Is(err, replica.ErrUnknownPartition) {
		t.Errorf("a partition of others: %v, want ErrUnknownPartition", err)
	}
}

func TestCommandsAreFenced(t *testing.T) {
	e := newEnv(t)
	tests := []struct {
		name string
		c    replica.Command
		want error
	}{
		{"first controller", replica.Command{ControllerEpoch: 5, BrokerEpoch: 100}, nil},
		{"any registration", replica.Command{ControllerEpoch: 5, BrokerEpoch: -1}, nil},
		{"a registration that the broker has not heard of yet", replica.Command{ControllerEpoch: 5, BrokerEpoch: 101}, nil},
		{"a registration that there cannot be", replica.Command{ControllerEpoch: 5, BrokerEpoch: -2}, replica.ErrStaleBrokerEpoch},
		{"an earlier registration", replica.Command{ControllerEpoch: 5, BrokerEpoch: 99}, replica.ErrStaleBrokerEpoch},
		{"a replaced controller", replica.Command{ControllerEpoch: 4, BrokerEpoch: 100}, replica.ErrStaleControllerEpoch},
		{"the next controller", replica.Command{ControllerEpoch: 6, BrokerEpoch: 100}, nil},
		{"the one before", replica.Command{ControllerEpoch: 5, BrokerEpoch: 100}, replica.ErrStaleControllerEpoch},
	}
	for _, tt := range tests {
		if err := e.manager.Obey(tt.c, func() {}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestTopicIDs(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1}, []int32{1}))
	id := topic.NewID()
	again := state(self, 0, 0, []int32{1}, []int32{1})
	again.TopicID = id
	if err := e.apply(again); err != nil {
		t.Errorf("the same epoch with an id for a log without one: %v", err)
	}
	if got := e.partition().Log().TopicID(); got != id {
		t.Errorf("the log has id %s, want %s", got, id)
	}
	other := state(self, 1, 1, []int32{1}, []int32{1})
	other.TopicID = topic.NewID()
	if err := e.apply(other); !errors.Is(err, replica.ErrInconsistentTopicID) && !errors.Is(err, storage.ErrInconsistentTopicID) {
		t.Errorf("another topic of the same name: %v, want ErrInconsistentTopicID", err)
	}
	if _, err := e.fetch(-1, 0, func(o *replica.ReadOptions) { o.TopicID = topic.NewID() }); !errors.Is(err, replica.ErrInconsistentTopicID) {
		t.Errorf("a fetch by another id: %v, want ErrInconsistentTopicID", err)
	}
}

func TestStopReplica(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 5, 0, []int32{1}, []int32{1}))
	stop := func(epoch int32, remove bool) error {
		errs, err := e.manager.StopReplicas(replica.Command{ControllerEpoch: 5, BrokerEpoch: -1},
			[]replica.Stop{{Partition: orders, LeaderEpoch: epoch, Delete: remove}})
		if err != nil {
			t.Fatal(err)
		}
		return errs[0]
	}
	if err := stop(4, true); !errors.Is(err, replica.ErrFencedLeaderEpoch) {
		t.Errorf("an older leader epoch: %v, want ErrFencedLeaderEpoch", err)
	}
	if err := stop(5, false); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := e.partition().Append(nil, record.Client, false, 1); !errors.Is(err, replica.ErrNotLeader) {
		t.Errorf("append after stop: %v, want ErrNotLeader", err)
	}
	if err := stop(-2, true); err != nil || e.storage.Log(orders) != nil {
		t.Errorf("delete: %v; the log is there: %v", err, e.storage.Log(orders) != nil)
	}
	if _, err := e.manager.Partition(orders); !errors.Is(err, replica.ErrUnknownPartition) {
		t.Errorf("a deleted partition: %v, want ErrUnknownPartition", err)
	}
	if _, err := e.manager.Partition(topic.Partition{Topic: "known"}); !errors.Is(err, replica.ErrNotLeader) {
		t.Errorf("a partition of other brokers: %v, want ErrNotLeader", err)
	}
	if err := stop(-2, true); err != nil {
		t.Errorf("deleting twice: %v", err)
	}
}

func TestDeleteRecords(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(10)
	e.fetch(2, 6, nil)
	p := e.partition()
	for _, offset := range []int64{7, -5} {
		if _, err := p.DeleteRecords(offset); !errors.Is(err, storage.ErrOffsetOutOfRange) {
			t.Errorf("delete to %d with the high watermark at 6: %v, want ErrOffsetOutOfRange", offset, err)
		}
	}
	if wanted, err := p.DeleteRecords(-1); err != nil || wanted != 6 {
		t.Errorf("delete to the high watermark: %d, %v; want 6", wanted, err)
	}
	alive := func(int32) bool { return true }
	if low, _ := p.LowWatermark(alive); low != 0 {
		t.Errorf("low watermark %d while the follower starts at 0", low)
	}
	if low, _ := p.LowWatermark(func(id int32) bool { return id != 2 }); low != 6 {
		t.Errorf("low watermark %d without the dead follower, want 6", low)
	}
	e.fetch(2, 6, func(o *replica.ReadOptions) { o.LogStartOffset = 6 })
	if low, _ := p.LowWatermark(alive); low != 6 {
		t.Errorf("low watermark %d after the follower followed, want 6", low)
	}
}

func TestDivergingEpochIsTold(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 1, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(4)
	e.apply(state(self, 5, 1, []int32{1, 2}, []int32{1, 2}))
	e.append(4)
	last := func(offset int64, epoch int32) (replica.ReadResult, error) {
		return e.fetch(2, offset, func(o *replica.ReadOptions) { o.LastFetchedEpoch = epoch })
	}
	if res, err := last(6, 3); err != nil || !res.Diverged || res.DivergingEpoch != 1 || res.DivergingEnd != 4 {
		t.Errorf("an epoch that this log lacks: %+v, %v; want epoch 1 ending at 4", res, err)
	}
	if res, err := last(6, 1); err != nil || !res.Diverged || res.DivergingEnd != 4 {
		t.Errorf("too many records of epoch 1: %+v, %v; want epoch 1 ending at 4", res, err)
	}
	if res, err := last(6, 5); err != nil || res.Diverged || res.Section == nil {
		t.Errorf("agreement: %+v, %v; want records", res, err)
	}
	if _, err := last(6, 6); !errors.Is(err, storage.ErrOffsetOutOfRange) {
		t.Errorf("an epoch from the future: %v, want ErrOffsetOutOfRange", err)
	}
}
