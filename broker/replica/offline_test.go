package replica_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/purgatory"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

func (e *env) failDir() { e.storage.FailDir(e.storage.Dirs()[0].Path, errors.New("pulled out")) }

func TestOfflineReplicaAnswersStorageErrors(t *testing.T) {
	e := newEnv(t)
	lead := state(self, 3, 0, []int32{1}, []int32{1})
	lead.TopicID = topic.NewID()
	if err := e.apply(lead); err != nil {
		t.Fatal(err)
	}
	e.append(3)
	e.failDir()
	if _, err := e.manager.Partition(orders); !errors.Is(err, storage.ErrStorage) {
		t.Errorf("Partition: %v, want ErrStorage", err)
	}
	// The controller finds out by repeating what it has said: offline counts before the epochs.
	for _, epoch := range []int32{2, 3, 4} {
		again := lead
		again.LeaderEpoch = epoch
		if err := e.apply(again); !errors.Is(err, storage.ErrStorage) {
			t.Errorf("LeaderAndIsr with epoch %d: %v, want ErrStorage", epoch, err)
		}
	}
	follow := lead
	follow.Leader, follow.LeaderEpoch = 2, 5
	if err := e.apply(follow); !errors.Is(err, storage.ErrStorage) {
		t.Errorf("LeaderAndIsr to follow: %v, want ErrStorage", err)
	}
	other := state(self, 0, 0, []int32{1}, []int32{1})
	other.Partition, other.IsNew = topic.Partition{Topic: "other"}, false
	if err := e.apply(other); !errors.Is(err, storage.ErrStorage) {
		t.Errorf("LeaderAndIsr for a replica that may be on the failed directory: %v, want ErrStorage", err)
	}
	for _, remove := range []bool{false, true} {
		errs, err := e.manager.StopReplicas(replica.Command{ControllerEpoch: 5, BrokerEpoch: -1},
			[]replica.Stop{{Partition: orders, LeaderEpoch: -2, Delete: remove}})
		if err != nil || !errors.Is(errs[0], storage.ErrStorage) {
			t.Errorf("StopReplica, delete %v: %v, %v; want ErrStorage", remove, errs, err)
		}
	}
}

func TestRepeatedStateIsStale(t *testing.T) {
	e := newEnv(t)
	lead := state(self, 3, 0, []int32{1}, []int32{1})
	lead.TopicID = topic.NewID()
	if err := e.apply(lead); err != nil {
		t.Fatal(err)
	}
	if err := e.apply(lead); !errors.Is(err, replica.ErrStaleControllerEpoch) {
		t.Errorf("the same state with the id that the log has: %v, want ErrStaleControllerEpoch", err)
	}
	id := lead.TopicID
	lead.TopicID = topic.ID{}
	if err := e.apply(lead); !errors.Is(err, replica.ErrStaleControllerEpoch) {
		t.Errorf("the same state without an id: %v, want ErrStaleControllerEpoch", err)
	}
	follow := lead
	follow.Leader = 2
	if err := e.apply(follow); err != nil { // as from a controller that knows no ids any more
		t.Errorf("the same epoch without an id, and another leader: %v", err)
	}
	if leader, _ := e.partition().LeaderAndEpoch(); leader != self || e.partition().Log().TopicID() != id {
		t.Errorf("leader %d, topic id %v: want %d and %v, as before", leader, e.partition().Log().TopicID(), self, id)
	}
}

func TestOrdersOfControllersDoNotOverlap(t *testing.T) {
	e := newEnv(t)
	inside, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var order []int32
	go func() {
		defer close(done)
		e.manager.Obey(replica.Command{ControllerEpoch: 1, BrokerEpoch: -1}, func() {
			close(inside)
			<-release
			order = append(order, 1)
		})
	}()
	<-inside
	go close(release)
	e.manager.Obey(replica.Command{ControllerEpoch: 2, BrokerEpoch: -1}, func() { order = append(order, 2) })
	<-done
	if len(order) != 2 || order[0] != 1 {
		t.Errorf("orders took effect as %v, want 1 before 2", order)
	}
}

// waiter is an operation that says when it is tried.
type waiter struct {
	ready func() bool
	done  chan struct{}
}

func (w *waiter) TryComplete() bool { return w.ready() }
func (w *waiter) Finish(bool)       { close(w.done) }

var _ purgatory.Operation = (*waiter)(nil)

func TestFollowersLogStartWakesDeletions(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(10)
	e.fetch(2, 10, nil)
	p := e.partition()
	if _, err := p.DeleteRecords(10); err != nil {
		t.Fatal(err)
	}
	w := &waiter{done: make(chan struct{}), ready: func() bool {
		low, err := p.LowWatermark(func(int32) bool { return true })
		return err == nil && low >= 10
	}}
	if e.manager.Deletes.Wait(w, time.Now().Add(time.Hour), orders) {
		t.Fatal("the low watermark is there before the follower has followed")
	}
	e.fetch(2, 10, func(o *replica.ReadOptions) { o.LogStartOffset = 10 })
	select {
	case <-w.done:
	default:
		t.Error("a follower's log start wakes nobody")
	}
}

func TestWokenFetchDoesNotMoveItsFollower(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(4)
	e.fetch(2, 4, nil)
	p := e.partition()
	if _, err := p.DeleteRecords(2); err != nil {
		t.Fatal(err)
	}
	e.fetch(2, 4, func(o *replica.ReadOptions) { o.LogStartOffset = 2 })
	e.fetch(2, 4, func(o *replica.ReadOptions) { o.Again = true }) // says what it said when it began to wait
	if low, err := p.LowWatermark(func(int32) bool { return true }); err != nil || low != 2 {
		t.Errorf("low watermark %d, %v; want 2", low, err)
	}
}

func TestNewEpochWaitsForTheFollowersAnew(t *testing.T) {
	e := newEnv(t)
	e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2}))
	e.append(6)
	e.fetch(2, 4, nil)
	// A new leader epoch, as after a restart: what the followers hold is forgotten, the high watermark stays.
	if err := e.apply(state(self, 1, 1, []int32{1, 2}, []int32{1, 2})); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.partition().LastOffset(-1, replica.ReadUncommitted, true); !errors.Is(err, replica.ErrOffsetNotAvailable) {
		t.Errorf("latest offset before the followers have fetched: %v, want ErrOffsetNotAvailable", err)
	}
	if got := e.partition().Log().HighWatermark(); got != 4 {
		t.Errorf("high watermark %d, want 4", got)
	}
	e.fetch(2, 6, nil)
	if offset, epoch, err := e.partition().LastOffset(-1, replica.ReadUncommitted, true); err != nil || offset != 6 || epoch != 1 {
		t.Errorf("latest offset %d in epoch %d, %v; want 6 in 1", offset, epoch, err)
	}
}

// TestFailedDirectoryEndsWaiting: who waits for a replica whose directory fails is told at once.
func TestFailedDirectoryEndsWaiting(t *testing.T) {
	f := &following{}
	e := newEnv(t, func(o *replica.Options) { o.Followers = f })
	if err := e.apply(state(self, 0, 0, []int32{1, 2}, []int32{1, 2})); err != nil {
		t.Fatal(err)
	}
	e.append(1)
	w := &waiter{done: make(chan struct{}), ready: func() bool {
		_, err := e.manager.Partition(orders)
		return errors.Is(err, storage.ErrStorage)
	}}
	if e.manager.Produces.Wait(w, time.Now().Add(time.Hour), orders) {
		t.Fatal("failed before the directory has")
	}
	e.failDir()
	e.manager.DirFailed(e.storage.Dirs()[0].Path)
	select {
	case <-w.done:
	default:
		t.Error("a failed directory wakes nobody")
	}
}
