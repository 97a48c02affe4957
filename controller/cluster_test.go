package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/peer"
	"github.com/gregor-mq/gregor/zkutil"
)

// fakeBroker is a socket that answers the requests of controllers, and remembers what they said.
type fakeBroker struct {
	*peer.Peer
	id    int32
	cache metadata.Cache
	delay atomic.Int64 // of each answer

	mu struct {
		sync.Mutex
		leads   map[topic.Partition]int32 // leader epochs of what this broker was told to lead
		deleted map[topic.Partition]bool
		epoch   int32 // controller epoch of the last request
		count   map[string]int
		told    map[int32]int // partitions in UpdateMetadata requests, by controller epoch
	}
}

func startFakeBroker(t testing.TB, id int32) *fakeBroker {
	t.Helper()
	b := &fakeBroker{id: id}
	b.mu.leads, b.mu.deleted = map[topic.Partition]int32{}, map[topic.Partition]bool{}
	b.mu.count, b.mu.told = map[string]int{}, map[int32]int{}
	var err error
	if b.Peer, err = peer.Start(b.answer); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Peer.Close)
	return b
}

func (b *fakeBroker) answer(req kmsg.Request) kmsg.Response {
	time.Sleep(time.Duration(b.delay.Load()))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.count[kmsg.NameForKey(req.Key())]++
	switch req := req.(type) {
	case *kmsg.UpdateMetadataRequest:
		b.mu.epoch = req.ControllerEpoch
		b.cache.Apply(req)
		for i := range req.TopicStates {
			b.mu.told[req.ControllerEpoch] += len(req.TopicStates[i].PartitionStates)
		}
	case *kmsg.LeaderAndISRRequest:
		b.mu.epoch = req.ControllerEpoch
		for _, t := range req.TopicStates {
			for _, p := range t.PartitionStates {
				if p.Leader == b.id {
					b.mu.leads[topic.Partition{Topic: t.Topic, Index: p.Partition}] = p.LeaderEpoch
				}
			}
		}
		return peer.Obeyed(req)
	case *kmsg.StopReplicaRequest:
		return b.stopped(req)
	}
	return req.ResponseKind()
}

// stopped requires mu.
func (b *fakeBroker) stopped(req *kmsg.StopReplicaRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
	for _, t := range req.Topics {
		for _, p := range t.PartitionStates {
			name := topic.Partition{Topic: t.Topic, Index: p.Partition}
			b.mu.deleted[name] = b.mu.deleted[name] || p.Delete
			resp.Partitions = append(resp.Partitions, kmsg.StopReplicaResponsePartition{Topic: t.Topic, Partition: p.Partition})
		}
	}
	return resp
}

// await waits until the metadata that b was sent are as they should be.
func (b *fakeBroker) await(t testing.TB, what string, until func(*metadata.Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.cache.WaitFor(ctx, until); err != nil {
		t.Fatalf("broker %d never hears that %s", b.id, what)
	}
}

// gate is a way to ZooKeeper that can be shut.
type gate struct {
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil, errors.New("gate is shut")
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	g.conns = append(g.conns, c)
	return c, err
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for _, c := range g.conns {
		if shut && c != nil {
			c.Close()
		}
	}
}

// candidate is a fake broker with its ZooKeeper session and its Controller.
type candidate struct {
	*Controller
	*fakeBroker
	zk   *zkutil.Client
	gate gate
}

func startCandidate(t testing.TB, zkAddr string, id int32) *candidate {
	t.Helper()
	return startCandidateWith(t, zkAddr, Options{BrokerID: id})
}

func startCandidateWith(t testing.TB, zkAddr string, opts Options) *candidate {
	t.Helper()
	id := opts.BrokerID
	c := &candidate{fakeBroker: startFakeBroker(t, id)}
	log := logrus.New()
	log.SetOutput(t.Output())
	var err error
	c.zk, err = zkutil.Connect(t.Context(), zkutil.Options{Connect: zkAddr, SessionTimeout: time.Minute, ConnectionTimeout: 30 * time.Second, Dial: c.gate.dial})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	register := func(ctx context.Context) error {
		_, err := c.zk.RegisterBroker(ctx, &zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: c.Port(), SecurityProtocol: "PLAINTEXT"}}})
		return err
	}
	if err := register(t.Context()); err != nil {
		t.Fatal(err)
	}
	opts.ZK, opts.InterBrokerListener, opts.Register, opts.Logger = c.zk, "PLAINTEXT", register, log
	c.Controller, err = New(opts)
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		c.Controller.Close()
		c.zk.Close()
	})
	return c
}

// expire ends the session of another candidate, whose gate is shut: sessions are too long to time out, on the slowest machine.
func (c *candidate) expire(t testing.TB, server *cluster.ZooKeeper, other int32) {
	t.Helper()
	registry, err := cluster.OpenRegistry(server.Addr()+c.zk.Chroot(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	eventually(t, "the session ends", func() bool {
		registry.ExpireSession(other, server) // the server may be busy: it is asked until the session has ended
		there, _, err := c.zk.Exists(t.Context(), zkutil.BrokerPath(other))
		return err == nil && !there
	})
}

// create makes a topic as CreateTopics does.
func (c *candidate) create(t testing.TB, name string, replicas ...[]int32) {
	t.Helper()
	node := &zkutil.Topic{Name: name, ID: topic.NewID(), Partitions: map[int32]zkutil.Assignment{}}
	for i := range replicas {
		node.Partitions[int32(i)] = zkutil.Assignment{Replicas: replicas[i]}
	}
	if err := c.zk.CreateTopic(t.Context(), node, nil); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until what is true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func led(name string, leader int32, epoch int32) func(*metadata.Snapshot) bool {
	return func(s *metadata.Snapshot) bool {
		p := s.Partition(topic.Partition{Topic: name})
		return p != nil && p.Leader == leader && p.LeaderEpoch == epoch
	}
}

// TestTermOfOffice follows two brokers on a real ZooKeeper: creation, deletion, the death of a session,
// the return of its broker, the end of the second controller.
func TestTermOfOffice(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	one := startCandidate(t, zk.Addr()+"/c", 1)
	eventually(t, "1 is the controller", one.IsActive)
	two := startCandidate(t, zk.Addr()+"/c", 2)
	for _, b := range []*candidate{one, two} {
		b.await(t, "both brokers live", func(s *metadata.Snapshot) bool { return len(s.Brokers) == 2 && s.ControllerID == 1 })
	}
	if two.IsActive() || one.Epoch() != 1 || two.Epoch() != 0 {
		t.Errorf("epochs %d and %d, active %v and %v; want 1 and 0, the first", one.Epoch(), two.Epoch(), one.IsActive(), two.IsActive())
	}
	two.create(t, "a", []int32{1, 2}, []int32{2, 1})
	two.await(t, "a is led by 1", led("a", 1, 0))
	two.create(t, "b", []int32{2})
	one.await(t, "b is led by 2", led("b", 2, 0))
	if err := two.zk.RequestTopicDeletion(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	one.await(t, "b is gone", func(s *metadata.Snapshot) bool { return s.Topic("b") == nil })
	eventually(t, "the znodes of b are gone", func() bool {
		_, err := two.zk.Topic(t.Context(), "b")
		_, _, pending := two.zk.Get(t.Context(), zkutil.DeleteTopicPath("b"))
		return errors.Is(err, zkutil.ErrNoNode) && errors.Is(pending, zkutil.ErrNoNode)
	})

	one.gate.set(true)
	two.expire(t, zk, 1)
	eventually(t, "2 is the controller", two.IsActive)
	two.await(t, "a is led by 2", func(s *metadata.Snapshot) bool {
		p := s.Partition(topic.Partition{Topic: "a"})
		return s.ControllerID == 2 && p.Leader == 2
	})
	one.gate.set(false)
	eventually(t, "1 sees the new controller", func() bool { return one.ActiveID() == 2 && !one.IsActive() })
	one.await(t, "both live again, under 2", func(s *metadata.Snapshot) bool { return s.ControllerID == 2 && len(s.Brokers) == 2 })
	if two.Epoch() != 2 || one.Epoch() != 0 {
		t.Errorf("epochs %d and %d, want 0 and 2", one.Epoch(), two.Epoch())
	}

	two.Controller.Close()
	two.zk.Close()
	eventually(t, "1 is the controller again", func() bool { return one.IsActive() && one.Epoch() == 3 })
	one.create(t, "c", []int32{1})
	one.await(t, "c is led by 1", led("c", 1, 0))
	one.mu.Lock()
	defer one.mu.Unlock()
	if e, leads := one.mu.leads[topic.Partition{Topic: "c"}]; !leads || e != 0 || one.mu.epoch != 3 {
		t.Errorf("broker 1 was told to lead c: %v, by the controller of epoch %d", leads, one.mu.epoch)
	}
}

// TestSurvivesZooKeeper restarts ZooKeeper under a controller, whose session goes on.
func TestSurvivesZooKeeper(t *testing.T) {
	zk := cluster.StartZooKeeper(t)
	one := startCandidate(t, zk.Addr(), 1)
	eventually(t, "1 is the controller", one.IsActive)
	one.create(t, "before", []int32{1})
	one.await(t, "before is led by 1", led("before", 1, 0))
	zk.Kill()
	zk.Start(t)
	one.create(t, "after", []int32{1})
	one.await(t, "after is led by 1", led("after", 1, 0))
	if one.Epoch() != 1 {
		t.Errorf("controller epoch = %d, want 1 as before", one.Epoch())
	}
}

// BenchmarkCreate makes 10,000 partitions on an empty cluster, and deletes them. It reports the seconds that
// each took, from the first write of the client to the last partition in a broker's metadata, and
// to the last znode deleted.
func BenchmarkCreate(b *testing.B) {
	for _, shape := range []struct{ topics, partitions int }{{1000, 10}, {10, 1000}} {
		b.Run(fmt.Sprintf("%dx%d", shape.topics, shape.partitions), func(b *testing.B) {
			zk := cluster.StartZooKeeper(b)
			one := startCandidate(b, zk.Addr(), 1)
			eventually(b, "1 is the controller", one.IsActive)
			replicas := make([][]int32, shape.partitions)
			for i := range replicas {
				replicas[i] = []int32{1}
			}
			var created, deleted time.Duration
			for i := range b.N {
				start := time.Now()
				var clients sync.WaitGroup
				for client := range 8 {
					clients.Go(func() {
						for n := client; n < shape.topics; n += 8 {
							one.create(b, fmt.Sprintf("t%d-%d", i, n), replicas...)
						}
					})
				}
				clients.Wait()
				one.await(b, "all are there", func(s *metadata.Snapshot) bool {
					partitions := 0
					for t := range s.Topics() {
						partitions += len(t.Partitions)
					}
					return partitions == shape.topics*shape.partitions
				})
				created += time.Since(start)
				start = time.Now()
				if err := one.zk.Delete(b.Context(), zkutil.ControllerPath, -1); err != nil {
					b.Fatal(err)
				}
				eventually(b, "the next controller tells of all", func() bool {
					one.mu.Lock()
					defer one.mu.Unlock()
					return one.mu.told[int32(i+2)] >= shape.topics*shape.partitions
				})
				b.ReportMetric(time.Since(start).Seconds(), "s/failover")
				start = time.Now()
				for n := range shape.topics {
					if err := one.zk.RequestTopicDeletion(b.Context(), fmt.Sprintf("t%d-%d", i, n)); err != nil {
						b.Fatal(err)
					}
				}
				eventually(b, "all are gone", func() bool {
					names, err := one.zk.TopicNames(b.Context(), nil)
					left, err2 := one.zk.TopicDeletions(b.Context(), nil)
					return err == nil && err2 == nil && len(names)+len(left) == 0
				})
				deleted += time.Since(start)
			}
			b.ReportMetric(created.Seconds()/float64(b.N), "s/create")
			b.ReportMetric(deleted.Seconds()/float64(b.N), "s/delete")
			one.mu.Lock()
			b.Log(strings.Trim(fmt.Sprint(one.mu.count), "map[]"))
			one.mu.Unlock()
		})
	}
}
