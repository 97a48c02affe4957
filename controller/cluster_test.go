package controller

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	"github.com/gregor-mq/gregor/zkutil"
)

// fakeBroker is a socket that answers the requests of controllers, and remembers what they said.
type fakeBroker struct {
	id       int32
	listener net.Listener
	wg       sync.WaitGroup
	cache    metadata.Cache
	delay    atomic.Int64 // of each answer

	mu struct {
		sync.Mutex
		conns   map[net.Conn]bool
		leads   map[topic.Partition]int32 // leader epochs of what this broker was told to lead
		deleted map[topic.Partition]bool
		epoch   int32 // controller epoch of the last request
		count   map[string]int
		told    map[int32]int // partitions in UpdateMetadata requests, by controller epoch
	}
}

func startFakeBroker(t testing.TB, id int32) *fakeBroker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBroker{id: id, listener: l}
	b.mu.conns, b.mu.leads = map[net.Conn]bool{}, map[topic.Partition]int32{}
	b.mu.deleted, b.mu.count, b.mu.told = map[topic.Partition]bool{}, map[string]int{}, map[int32]int{}
	b.wg.Go(b.accept)
	t.Cleanup(b.close)
	return b
}

func (b *fakeBroker) close() {
	b.listener.Close()
	b.mu.Lock()
	for c := range b.mu.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *fakeBroker) accept() {
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.mu.conns[c] = true
		b.mu.Unlock()
		b.wg.Go(func() {
			defer c.Close()
			for r := bufio.NewReader(c); b.serve(c, r) == nil; {
			}
		})
	}
}

func (b *fakeBroker) serve(c net.Conn, r io.Reader) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, frame); err != nil {
		return err
	}
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(frame)))
	req.SetVersion(int16(binary.BigEndian.Uint16(frame[2:])))
	if key := req.Key(); key == (*kmsg.ApiVersionsRequest)(nil).Key() { // version 0, from whom watches the process
		_, err := c.Write(append([]byte{0, 0, 0, 10}, append(frame[4:8:8], 0, 0, 0, 0, 0, 0)...))
		b.mu.Lock()
		defer b.mu.Unlock()
		b.mu.count[kmsg.NameForKey(key)]++
		return err
	}
	body := frame[10+int(binary.BigEndian.Uint16(frame[8:]))+1:]
	if _, stop := req.(*kmsg.StopReplicaRequest); stop {
		body[4], body[5], body[6], body[7], body[8] = body[5], body[6], body[7], body[8], body[4] // kmsg's order of fields
	}
	if err := req.ReadFrom(body); err != nil {
		return err
	}
	time.Sleep(time.Duration(b.delay.Load()))
	out := binary.BigEndian.AppendUint32(nil, 0)
	out = append(append(out, frame[4:8]...), 0)
	out = b.answer(req).AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err := c.Write(out)
	return err
}

func (b *fakeBroker) answer(req kmsg.Request) kmsg.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.count[kmsg.NameForKey(req.Key())]++
	resp := req.ResponseKind()
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
			answer := kmsg.LeaderAndISRResponseTopic{TopicID: t.TopicID}
			for _, p := range t.PartitionStates {
				answer.Partitions = append(answer.Partitions, kmsg.LeaderAndISRResponseTopicPartition{Partition: p.Partition})
				if p.Leader == b.id {
					b.mu.leads[topic.Partition{Topic: t.Topic, Index: p.Partition}] = p.LeaderEpoch
				}
			}
			r := resp.(*kmsg.LeaderAndISRResponse)
			r.Topics = append(r.Topics, answer)
		}
	case *kmsg.StopReplicaRequest:
		for _, t := range req.Topics {
			for _, p := range t.PartitionStates {
				name := topic.Partition{Topic: t.Topic, Index: p.Partition}
				b.mu.deleted[name] = b.mu.deleted[name] || p.Delete
				r := resp.(*kmsg.StopReplicaResponse)
				r.Partitions = append(r.Partitions, kmsg.StopReplicaResponsePartition{Topic: t.Topic, Partition: p.Partition})
			}
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

func startCandidate(t testing.TB, zkAddr string, id int32, timeout time.Duration) *candidate {
	t.Helper()
	return startCandidateWith(t, zkAddr, timeout, Options{BrokerID: id})
}

func startCandidateWith(t testing.TB, zkAddr string, timeout time.Duration, opts Options) *candidate {
	t.Helper()
	id := opts.BrokerID
	c := &candidate{fakeBroker: startFakeBroker(t, id)}
	log := logrus.New()
	log.SetOutput(t.Output())
	var err error
	c.zk, err = zkutil.Connect(t.Context(), zkutil.Options{Connect: zkAddr, SessionTimeout: timeout, ConnectionTimeout: 30 * time.Second, Dial: c.gate.dial})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.zk.EnsurePersistentPaths(t.Context()); err != nil {
		t.Fatal(err)
	}
	addr := c.listener.Addr().(*net.TCPAddr)
	register := func(ctx context.Context) error {
		_, err := c.zk.RegisterBroker(ctx, &zkutil.Broker{ID: id, JMXPort: -1, Endpoints: []zkutil.Endpoint{
			{Listener: "PLAINTEXT", Host: "127.0.0.1", Port: int32(addr.Port), SecurityProtocol: "PLAINTEXT"}}})
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
	one := startCandidate(t, zk.Addr()+"/c", 1, 500*time.Millisecond)
	eventually(t, "1 is the controller", one.IsActive)
	two := startCandidate(t, zk.Addr()+"/c", 2, time.Minute)
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
	one := startCandidate(t, zk.Addr(), 1, time.Minute)
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
			one := startCandidate(b, zk.Addr(), 1, time.Minute)
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
