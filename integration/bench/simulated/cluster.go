package simulated

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller"
	"github.com/gregor-mq/gregor/zkutil"
)

// Result is what a controller of many partitions has taken.
type Result struct {
	// Create is from the start of the first controller, which finds topics without a leader, to the last LeaderAndIsr
	// request that a broker got.
	Create time.Duration
	// Failover is the same from the end of its session, for the controller that is elected next.
	Failover time.Duration
	// Death is from the end of a broker's process to the last LeaderAndIsr request that is about it.
	Death time.Duration
	// Heap is what the second controller holds, in bytes.
	Heap uint64
	// Goroutines is how many it has.
	Goroutines int
}

// Failover takes a cluster of six brokers and topics of 100 partitions, with three replicas each, through the lives of two
// controllers. zooKeeper is host:port/chroot, where there is nothing yet.
func Failover(ctx context.Context, zooKeeper string, topics int) (r Result, err error) {
	own, err := connect(ctx, zooKeeper)
	if err != nil {
		return r, err
	}
	defer own.Close()
	if err := own.EnsurePersistentPaths(ctx); err != nil {
		return r, err
	}
	ids := []int32{11, 12, 13, 14, 15, 16}
	brokers, err := Start(ctx, own, ids...)
	defer brokers.End()
	if err != nil {
		return r, err
	}
	if err := createTopics(ctx, own, topics, ids); err != nil {
		return r, err
	}
	replicas := topics * 100 * 3
	// On one that is to be led anew, two are told of it: its partitions' other replicas. That is once for the leaders and
	// once for the rest.
	lost := topics * 100 / len(ids) * 3 * 2

	before, _ := used()
	begin := time.Now()
	first, err := startController(ctx, zooKeeper, 1)
	if err != nil {
		return r, err
	}
	defer first.close()
	if err := brokers.await(ctx, 1, replicas); err != nil {
		return r, err
	}
	r.Create = brokers.Told(1).Last.Sub(begin)

	second, err := startController(ctx, zooKeeper, 2)
	if err != nil {
		return r, err
	}
	defer second.close()
	begin = time.Now()
	first.close()
	if err := brokers.await(ctx, 2, replicas); err != nil {
		return r, err
	}
	r.Failover = brokers.Told(2).Last.Sub(begin)
	after, running := used() // the first controller's memory went as the second's came
	r.Heap, r.Goroutines = after-min(after, before), running

	begin = time.Now()
	brokers.End(ids[0])
	if err := brokers.await(ctx, 2, replicas+lost); err != nil {
		return r, err
	}
	r.Death = brokers.Told(2).Last.Sub(begin)
	return r, nil
}

func connect(ctx context.Context, zooKeeper string) (*zkutil.Client, error) {
	return zkutil.Connect(ctx, zkutil.Options{Connect: zooKeeper, SessionTimeout: time.Minute, ConnectionTimeout: time.Minute})
}

// candidate is a controller, or one that stands ready, with its session.
type candidate struct {
	controller *controller.Controller
	session    *zkutil.Client
}

func startController(ctx context.Context, zooKeeper string, id int32) (candidate, error) {
	zk, err := connect(ctx, zooKeeper)
	if err != nil {
		return candidate{}, err
	}
	c, err := controller.New(controller.Options{BrokerID: id, ZK: zk, InterBrokerListener: Listener, WatchProcesses: true})
	if err != nil {
		zk.Close()
		return candidate{}, err
	}
	c.Start()
	return candidate{c, zk}, nil
}

// close ends the controller and its session. It may be called again.
func (c candidate) close() {
	c.controller.Close()
	c.session.Close()
}

// createTopics writes what CreateTopics writes. Each broker leads as many partitions as any other.
func createTopics(ctx context.Context, zk *zkutil.Client, topics int, ids []int32) error {
	var ops []zkutil.Op
	for n := range topics {
		t := &zkutil.Topic{Name: fmt.Sprintf("topic-%04d", n), ID: topic.NewID(), Partitions: map[int32]zkutil.Assignment{}}
		for p := range 100 {
			var a zkutil.Assignment
			for i := range 3 {
				a.Replicas = append(a.Replicas, ids[(n*100+p+i)%len(ids)])
			}
			t.Partitions[int32(p)] = a
		}
		ops = append(ops, zkutil.CreateOp(zkutil.TopicPath(t.Name), t.Encode()))
	}
	for _, r := range zk.Do(ctx, ops...) {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}

// await waits until the controller of epoch has told the brokers of so many replicas.
func (b *Brokers) await(ctx context.Context, epoch int32, replicas int) error {
	for b.Told(epoch).Replicas < replicas {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the controller of epoch %d has told of %d replicas, not of %d: %w", epoch, b.Told(epoch).Replicas, replicas, context.Cause(ctx))
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// used returns the bytes of live memory, and the goroutines, of this process.
func used() (heap uint64, goroutines int) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
