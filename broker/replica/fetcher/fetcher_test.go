package fetcher_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/fetch"
	"github.com/gregor-mq/gregor/broker/api/offsets"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/replica/fetcher"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is the part of a broker that replicates, with a listener. Nodes have ids from 1 on.
type node struct {
	t        *testing.T
	id       int32
	dir      string
	storage  *storage.Manager
	replicas *replica.Manager
	metadata metadata.Cache
	pool     *fetcher.Pool
	fetch    *fetch.Handler
	network  *network.Server
}

// pair starts n nodes that know each other.
func pair(t *testing.T, n int, change func(*fetcher.Options)) []*node {
	t.Helper()
	nodes := make([]*node, n)
	address := func(id int32) (string, bool) {
		return fmt.Sprintf("127.0.0.1:%d", nodes[id-1].network.Endpoints()[0].Port), true
	}
	for i := range nodes {
		nodes[i] = newNode(t, int32(i+1), address, change)
	}
	return nodes
}

func newNode(t *testing.T, id int32, address func(int32) (string, bool), change func(*fetcher.Options)) *node {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	n := &node{t: t, id: id, dir: t.TempDir()}
	check := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	n.storage, err = storage.Open(storage.Options{Dirs: []string{n.dir}, Logger: log, InitialTaskDelay: time.Hour})
	check(err)
	o := fetcher.Options{BrokerID: id, BrokerEpoch: func() int64 { return 1 }, Address: address, Logger: log, BackOff: 100 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	n.pool, err = fetcher.New(o)
	check(err)
	n.replicas, err = replica.New(replica.Options{
		BrokerID: id, Storage: n.storage, Logger: log, Followers: n.pool,
		TopicConfig: func(string) (storage.LogConfig, error) { return storage.DefaultLogConfig(), nil },
		BrokerEpoch: func() int64 { return 1 },
		Known:       func(p topic.Partition) bool { return n.metadata.Load().Partition(p) != nil },
	})
	check(err)
	n.fetch = fetch.New(fetch.Options{Replicas: n.replicas, Metadata: &n.metadata, MaxBytes: 10 << 20, SessionSlots: 10, Logger: log, Now: time.Now})
	offset := &offsets.Handlers{Replicas: n.replicas, Metadata: &n.metadata, Logger: log}
	n.network, err = network.New(network.Options{
		Listeners: []network.Listener{{Name: "PLAINTEXT", Protocol: "PLAINTEXT", Host: "127.0.0.1"}}, Logger: log,
		Router: router{"Fetch": n.fetch.Handle, "ListOffsets": offset.ListOffsets}.build(),
	})
	check(err)
	check(n.network.Bind())
	check(n.network.Start())
	t.Cleanup(n.close)
	return n
}

func (n *node) close() {
	n.pool.Close()
	n.replicas.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n.network.Shutdown(ctx)
	n.fetch.Close()
	if err := n.storage.Close(); err != nil {
		n.t.Error(err)
	}
}

type router map[string]func(*request.Request)

type routes map[int16]*request.Route

func (r routes) Route(key int16) *request.Route { return r[key] }

func (r router) build() routes {
	out := routes{}
	for _, api := range wire.APIs() {
		if h := r[api.Name]; h != nil {
			out[api.Key] = &request.Route{Key: api.Key, Name: api.Name, Min: api.Min, Max: api.Max, FlexibleFrom: api.FlexibleFrom, Handler: request.HandlerFunc(h)}
		}
	}
	return out
}

// controller tells nodes what a controller would.
type controller struct {
	t     *testing.T
	nodes []*node
	ids   map[string]topic.ID
	epoch int32 // leader epoch
}

func newController(t *testing.T, nodes []*node) *controller {
	return &controller{t: t, nodes: nodes, ids: map[string]topic.ID{}, epoch: -1}
}

// lead makes leader the leader of partitions in a new leader epoch; every node has a replica.
func (c *controller) lead(leader int32, partitions ...topic.Partition) {
	c.t.Helper()
	c.epoch++
	var all []int32
	for _, n := range c.nodes {
		all = append(all, n.id)
	}
	for _, n := range c.nodes {
		var states []replica.PartitionState
		update := kmsg.NewPtrUpdateMetadataRequest()
		update.Version = 8
		for _, p := range partitions {
			if c.ids[p.Topic].IsZero() {
				c.ids[p.Topic] = topic.NewID()
			}
			states = append(states, replica.PartitionState{
				Partition: p, TopicID: c.ids[p.Topic], Leader: leader, LeaderEpoch: c.epoch, PartitionEpoch: c.epoch,
				ISR: all, Replicas: all, IsNew: true,
			})
			ts := kmsg.NewUpdateMetadataRequestTopicState()
			ts.Topic, ts.TopicID = p.Topic, c.ids[p.Topic]
			ps := kmsg.NewUpdateMetadataRequestTopicPartition()
			ps.Partition, ps.Leader, ps.Replicas, ps.ISR = p.Index, leader, all, all
			ts.PartitionStates = append(ts.PartitionStates, ps)
			update.TopicStates = append(update.TopicStates, ts)
		}
		n.metadata.Apply(update)
		errs, err := n.replicas.Apply(replica.Command{BrokerEpoch: -1}, states)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, err := range errs {
			if err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

func (n *node) partition(p topic.Partition) *replica.Partition {
	n.t.Helper()
	found, err := n.replicas.Partition(p)
	if err != nil {
		n.t.Fatal(err)
	}
	return found
}

// append appends count batches of one record each.
func (n *node) append(p topic.Partition, count int, value string) {
	n.t.Helper()
	for range count {
		b := record.NewBuilder(record.MagicV2, record.BuilderOptions{})
		if err := b.Append(record.Record{Timestamp: 1, Value: []byte(value)}); err != nil {
			n.t.Fatal(err)
		}
		batch, err := b.Build(nil)
		if err != nil {
			n.t.Fatal(err)
		}
		if _, err := n.partition(p).Append(batch, record.Client, false, 1); err != nil {
			n.t.Fatal(err)
		}
	}
	n.replicas.Appended(p)
}

func (n *node) bytes(p topic.Partition) []byte {
	n.t.Helper()
	names, _ := filepath.Glob(filepath.Join(n.dir, p.String(), "*.log"))
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			n.t.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

// awaitEqual waits until all nodes hold p up to end, committed, and compares.
func awaitEqual(t *testing.T, p topic.Partition, end int64, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		log := n.partition(p).Log()
		await(t, fmt.Sprintf("%s up to %d on node %d", p, end, n.id), func() bool {
			return log.EndOffset() == end && log.HighWatermark() == end
		})
		if log.StartOffset() != nodes[0].partition(p).Log().StartOffset() {
			t.Errorf("%s starts at %d on node %d, at %d on node %d", p, log.StartOffset(), n.id, nodes[0].partition(p).Log().StartOffset(), nodes[0].id)
		}
		if !bytes.Equal(n.bytes(p), nodes[0].bytes(p)) {
			t.Errorf("%s differs between node %d and node %d", p, n.id, nodes[0].id)
		}
	}
}

var orders = topic.Partition{Topic: "orders"}

func TestFollowersCopy(t *testing.T) {
	for _, fetchers := range []int{1, 3} {
		t.Run(fmt.Sprint(fetchers, " fetchers"), func(t *testing.T) {
			nodes := pair(t, 3, func(o *fetcher.Options) { o.Fetchers = fetchers })
			c := newController(t, nodes)
			var all []topic.Partition
			for i := range 20 {
				all = append(all, topic.Partition{Topic: fmt.Sprint("topic-", i/4), Index: int32(i % 4)})
			}
			c.lead(1, all...)
			for i, p := range all {
				nodes[0].append(p, 1+i, "value")
			}
			for i, p := range all {
				awaitEqual(t, p, int64(1+i), nodes...)
			}
			if loops := nodes[1].pool.Loops(); loops != fetchers {
				t.Errorf("%d loops for one leader, want %d", loops, fetchers)
			}
			c.lead(2, all...)
			for _, p := range all {
				nodes[1].append(p, 1, "more")
			}
			for i, p := range all {
				awaitEqual(t, p, int64(2+i), nodes...)
			}
			await(t, "end of the loops of the former follower", func() bool { return nodes[1].pool.Loops() == 0 })
		})
	}
}

// TestResize: partitions go from loop to loop while they are copied, in both directions, and none is lost.
func TestResize(t *testing.T) {
	nodes := pair(t, 2, nil)
	c := newController(t, nodes)
	var all []topic.Partition
	for i := range 20 {
		all = append(all, topic.Partition{Topic: fmt.Sprint("topic-", i/4), Index: int32(i % 4)})
	}
	c.lead(1, all...)
	for round, fetchers := range []int{4, 2, 3, 1} {
		nodes[1].pool.Resize(fetchers)
		for _, p := range all {
			nodes[0].append(p, 1, fmt.Sprint("round ", round))
		}
		if round == 2 {
			nodes[1].pool.Resize(5) // before all have moved
			nodes[1].pool.Resize(fetchers)
		}
		for _, p := range all {
			awaitEqual(t, p, int64(1+round), nodes...)
		}
		await(t, fmt.Sprint(fetchers, " loops"), func() bool { return nodes[1].pool.Loops() == fetchers })
	}
	c.lead(2, all...)
	await(t, "end of the loops", func() bool { return nodes[1].pool.Loops() == 0 })
}

// TestTruncation: node 2 has what node 1 never got, then leads node 1 in a later epoch: what only the former
// leader has goes (KIP-101, KIP-279).
func TestTruncation(t *testing.T) {
	nodes := pair(t, 2, nil)
	c := newController(t, nodes)
	c.lead(1, orders)
	nodes[0].append(orders, 5, "common")
	awaitEqual(t, orders, 5, nodes...)
	// Each leads for a while without the other, in epochs of which the other does not hear.
	for i, n := range nodes {
		c.nodes = nodes[i : i+1]
		for range 2 {
			c.lead(n.id, orders)
			n.append(orders, 3, fmt.Sprint("only on ", n.id))
		}
	}
	c.nodes = nodes
	c.lead(2, orders)
	nodes[1].append(orders, 1, "new")
	awaitEqual(t, orders, 12, nodes[1], nodes[0])
}

// TestFollowerBeyondTheLeader: a follower without epochs to compare holds more than the leader.
func TestFollowerBehindTheLeadersStart(t *testing.T) {
	nodes := pair(t, 2, nil)
	c := newController(t, nodes)
	c.nodes = nodes[:1]
	c.lead(1, orders)
	nodes[0].append(orders, 10, "gone")
	if err := nodes[0].partition(orders).Log().TruncateFullyAndStartAt(100); err != nil {
		t.Fatal(err)
	}
	nodes[0].append(orders, 3, "left")
	c.nodes = nodes
	c.lead(1, orders)
	awaitEqual(t, orders, 103, nodes...)
	if start := nodes[1].partition(orders).Log().StartOffset(); start != 100 {
		t.Errorf("follower starts at %d, want 100", start)
	}
}

// TestLogStartIsTakenOver: what is deleted on the leader is deleted on the followers.
func TestLogStartIsTakenOver(t *testing.T) {
	nodes := pair(t, 2, func(o *fetcher.Options) { o.MaxWait = 20 * time.Millisecond })
	c := newController(t, nodes)
	c.lead(1, orders)
	nodes[0].append(orders, 10, "v")
	awaitEqual(t, orders, 10, nodes...)
	if _, err := nodes[0].partition(orders).DeleteRecords(4); err != nil {
		t.Fatal(err)
	}
	await(t, "log start on the follower", func() bool { return nodes[1].partition(orders).Log().StartOffset() == 4 })
	await(t, "low watermark", func() bool {
		low, err := nodes[0].partition(orders).LowWatermark(func(int32) bool { return true })
		return err == nil && low == 4
	})
}

// TestNewPartitionsInterruptAPoll: a long poll about others does not hold a new partition up.
func TestNewPartitionsInterruptAPoll(t *testing.T) {
	nodes := pair(t, 2, func(o *fetcher.Options) { o.MaxWait = 20 * time.Second })
	c := newController(t, nodes)
	c.lead(1, orders)
	nodes[0].append(orders, 1, "v")
	await(t, "first copy", func() bool { return nodes[1].partition(orders).Log().EndOffset() == 1 })
	payments := topic.Partition{Topic: "payments"}
	begun := time.Now()
	c.lead(1, payments)
	nodes[0].append(payments, 1, "v")
	await(t, "copy of the new partition", func() bool { return nodes[1].partition(payments).Log().EndOffset() == 1 })
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("the new partition was copied after %v", took)
	}
}

// TestLeaderComesLater: a leader that cannot be reached, or has not heard that it leads, is asked again.
func TestLeaderComesLater(t *testing.T) {
	nodes := pair(t, 2, nil)
	c := newController(t, nodes)
	c.nodes = nodes[1:]
	c.lead(1, orders) // the leader does not hear of it
	await(t, "loop", func() bool { return nodes[1].pool.Loops() == 1 })
	c.nodes = nodes
	c.lead(1, orders)
	nodes[0].append(orders, 3, "v")
	awaitEqual(t, orders, 3, nodes...)
}
