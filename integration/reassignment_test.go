package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// mover gives the partitions of one topic other replicas.
type mover struct {
	*cluster.Cluster
	t          *testing.T
	name       string
	partitions int32
	client     *kgo.Client
}

// newMover creates the topic with replicas on the given brokers.
func newMover(t *testing.T, c *cluster.Cluster, name string, partitions int32, replicas []int32, props cluster.Props) *mover {
	t.Helper()
	c.CreateTopic(name, partitions, int16(len(replicas)), props)
	m := &mover{Cluster: c, t: t, name: name, partitions: partitions, client: c.Client()}
	m.move(replicas...)
	m.awaitMoved(replicas)
	return m
}

// move begins to move all partitions to the given brokers; without any, it cancels that.
func (m *mover) move(replicas ...int32) {
	m.t.Helper()
	var req kadm.AlterPartitionAssignmentsReq
	for p := range m.partitions {
		if len(replicas) == 0 {
			req.CancelAssign(m.name, p)
		} else {
			req.Assign(m.name, p, replicas)
		}
	}
	resp, err := kadm.NewClient(m.client).AlterPartitionAssignments(m.t.Context(), req)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		m.t.Fatalf("move %s to %v: %v", m.name, replicas, err)
	}
}

// moving counts the partitions that are on the move.
func (m *mover) moving() int {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, m.client)
	if err != nil || resp.ErrorCode != 0 {
		return -1 // the controller has just died
	}
	moving := 0
	for _, t := range resp.Topics {
		moving += len(t.Partitions)
	}
	return moving
}

// awaitMoved waits until no partition is on the move, and requires that all are at the given brokers, led by
// one of them, and that the others have nothing of them any more.
func (m *mover) awaitMoved(replicas []int32) {
	m.t.Helper()
	m.Await(fmt.Sprintf("end of the move of %s to %v", m.name, replicas), func() bool { return m.moving() == 0 })
	for p := range m.partitions {
		m.Await(fmt.Sprintf("replicas %v of %s-%d, all in sync and led", replicas, m.name, p), func() bool {
			isr := slices.Sorted(slices.Values(m.ISR(m.name, p)))
			return slices.Equal(isr, slices.Sorted(slices.Values(replicas))) && slices.Contains(replicas, m.Leader(m.name, p))
		})
		for _, b := range m.Brokers() {
			if b.PID() == 0 || slices.Contains(replicas, b.ID()) {
				continue
			}
			dir := filepath.Join(b.DataDir(), fmt.Sprintf("%s-%d", m.name, p))
			m.Await(fmt.Sprintf("end of the replica in %s", dir), func() bool {
				_, err := os.Stat(dir)
				return os.IsNotExist(err)
			})
		}
	}
}

// produce sends records, acknowledged by all, in the background until stop is called, which returns those that
// were acknowledged.
func (m *mover) produce() (stop func() cluster.Acked) {
	m.t.Helper()
	client := m.Client(kgo.DefaultProduceTopic(m.name), everywhere, kgo.MetadataMinAge(50*time.Millisecond), kgo.RecordDeliveryTimeout(patience),
		kgo.UnknownTopicRetries(-1), // a leader may hear later of its partition than others
		kgo.AlwaysRetryEOF(),        // see cluster.Produce
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))
	var mu sync.Mutex
	acked := cluster.Acked{}
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			client.Produce(context.Background(), &kgo.Record{Value: fmt.Appendf(nil, "record %d", i)}, func(r *kgo.Record, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					m.t.Errorf("%s is not acknowledged: %v", r.Value, err)
					return
				}
				acked[cluster.Place{Partition: r.Partition, Offset: r.Offset}] = string(r.Value)
			})
			<-pace.C
		}
	}()
	return func() cluster.Acked {
		cancel()
		<-ended
		client.Flush(context.Background()) // ends at the latest with the delivery timeout
		return acked
	}
}

// TestReassignmentUnderLoad moves partitions around under a producer: what was acknowledged is there, and
// those that were left have nothing any more.
func TestReassignmentUnderLoad(t *testing.T) {
	for _, propagation := range []string{"zookeeper", "controller"} {
		t.Run(propagation, func(t *testing.T) {
			c := cluster.Start(t, 4, cluster.Props{"gregor.isr.propagation": propagation})
			m := newMover(t, c, "orders", 4, []int32{1, 2}, replicated)
			fillTopic(t, c, "orders", 1000, 10_000)
			stop := m.produce()
			for _, replicas := range [][]int32{{3, 4}, {4, 1, 2}, {2, 3}, {1, 4}, {4, 3, 2}, {1, 2}} {
				m.move(replicas...)
				m.awaitMoved(replicas)
			}
			acked := stop()
			t.Logf("%d records were acknowledged", len(acked))
			c.RequireReadable("orders", acked, patience)
		})
	}
}

// TestReassignmentByZnode moves partitions as operators did before Kafka had a request for it.
func TestReassignmentByZnode(t *testing.T) {
	c := cluster.Start(t, 3, nil)
	m := newMover(t, c, "orders", 2, []int32{1, 2}, replicated)
	acked := c.Produce("orders", 1000, everywhere)
	zk, err := zkutil.Connect(t.Context(), zkutil.Options{Connect: c.ZooKeeper(), SessionTimeout: patience, ConnectionTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	defer zk.Close()
	for _, replicas := range [][]int32{{3, 1}, {2, 3}} {
		var wishes []zkutil.Reassignment
		for p := range m.partitions {
			wishes = append(wishes, zkutil.Reassignment{Partition: topic.Partition{Topic: "orders", Index: p}, Replicas: replicas})
		}
		wishes = append(wishes, zkutil.Reassignment{Partition: topic.Partition{Topic: "nowhere"}, Replicas: replicas})
		if _, err := zk.Create(t.Context(), zkutil.ReassignmentPath, zkutil.EncodeReassignments(wishes), zkutil.Persistent); err != nil {
			t.Fatal(err)
		}
		c.Await("end of the znode", func() bool {
			found, _, err := zk.Exists(t.Context(), zkutil.ReassignmentPath)
			return err == nil && !found
		})
		m.awaitMoved(replicas)
	}
	c.RequireReadable("orders", acked, patience)
}

// TestReassignmentAwayFromTheDead: a dead broker is replaced, and what it still has on its disk when it returns does no
// harm when the replica comes back to it.
func TestReassignmentAwayFromTheDead(t *testing.T) {
	c := cluster.Start(t, 3, nil)
	m := newMover(t, c, "orders", 2, []int32{1, 2}, cluster.Props{"min.insync.replicas": "1"})
	stop := m.produce()
	c.Kill(2)
	m.move(3, 1)
	m.awaitMoved([]int32{3, 1})
	c.Restart(2)
	m.move(2, 3)
	m.awaitMoved([]int32{2, 3})
	acked := stop()
	t.Logf("%d records were acknowledged", len(acked))
	c.RequireReadable("orders", acked, patience)
	c.Stop(3)
	c.RequireReadable("orders", acked, patience) // from 2 alone
}

// TestReassignmentCancelled: the new replicas go, and the old ones never knew.
func TestReassignmentCancelled(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"zookeeper.session.timeout.ms": "60000"})
	other, target := int32(2), int32(3)
	if c.Controller() == target {
		other, target = target, other
	}
	m := newMover(t, c, "orders", 2, []int32{1, other}, replicated)
	acked := c.Produce("orders", 1000, everywhere)
	c.Pause(target)
	m.move(target, 1)
	if n := m.moving(); n != 2 {
		t.Errorf("%d partitions are on the move to a broker that is silent, want 2", n)
	}
	m.move()
	if n := m.moving(); n != 0 {
		t.Errorf("%d partitions are on the move after that was cancelled", n)
	}
	c.Resume(target)
	m.awaitMoved([]int32{1, other})
	c.RequireReadable("orders", acked, patience)
}

// TestReassignmentSurvivesDeaths: the target dies, then the controller, and then the move goes on.
func TestReassignmentSurvivesDeaths(t *testing.T) {
	c := cluster.Start(t, 4, nil)
	m := newMover(t, c, "orders", 3, []int32{1, 2}, replicated)
	stop := m.produce()
	target := int32(4)
	if c.Controller() == target {
		target = 3
	}
	c.Pause(target)
	m.move(target, 1)
	c.Kill(target)
	controller := c.Controller()
	c.Kill(controller)
	c.Await("another controller", func() bool { return c.Controller() != controller })
	c.Await("moves that the other controller knows", func() bool { return m.moving() == 3 })
	c.Restart(controller)
	c.Restart(target)
	m.awaitMoved([]int32{target, 1})
	acked := stop()
	t.Logf("%d records were acknowledged", len(acked))
	c.RequireReadable("orders", acked, patience)
}

// TestReassignmentWithKafka moves partitions between Gregor's and Kafka's brokers, with a controller of either kind.
func TestReassignmentWithKafka(t *testing.T) {
	for _, kafkaControls := range []bool{false, true} {
		t.Run(fmt.Sprintf("kafkaControls=%v", kafkaControls), func(t *testing.T) {
			t.Parallel()
			c := cluster.Start(t, 0, cluster.Props{"auto.leader.rebalance.enable": "false"})
			add := []func(cluster.Props) *cluster.Broker{c.Add, c.AddKafka, c.Add}
			if kafkaControls {
				add = []func(cluster.Props) *cluster.Broker{c.AddKafka, c.Add, c.AddKafka}
			}
			for _, start := range add {
				start(nil)
			}
			if got := c.Controller(); got != 1 {
				t.Fatalf("controller %d, want 1", got)
			}
			m := newMover(t, c, "orders", 3, []int32{1, 2}, replicated)
			stop := m.produce()
			for _, replicas := range [][]int32{{3, 2}, {1, 3}, {2, 1, 3}, {3, 1}} {
				m.move(replicas...)
				m.awaitMoved(replicas)
			}
			acked := stop()
			t.Logf("%d records were acknowledged", len(acked))
			c.RequireReadable("orders", acked, patience)
		})
	}
}
