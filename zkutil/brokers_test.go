package zkutil_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

var part = topic.Partition{Topic: "t", Index: 0}

func broker(id int32) *zkutil.Broker {
	return &zkutil.Broker{
		ID: id, Version: 5, JMXPort: -1, Timestamp: 1, Rack: "r",
		Endpoints: []zkutil.Endpoint{{Listener: "PLAINTEXT", Host: "h", Port: 9000 + id, SecurityProtocol: "PLAINTEXT"}},
		Features:  map[string]zkutil.VersionRange{},
	}
}

// electFirst makes broker the controller of a new cluster.
func electFirst(t testing.TB, c *zkutil.Client, broker int32) zkutil.Fence {
	t.Helper()
	f, err := c.ElectController(context.Background(), broker, 1)
	must(t, err)
	return f
}

func TestPersistentPaths(t *testing.T) {
	ctx, c := within(t), connect(t)
	for range 2 {
		must(t, c.EnsurePersistentPaths(ctx))
	}
	var paths []string
	for _, top := range []string{"/admin", "/brokers", "/config", "/consumers", "/isr_change_notification", "/latest_producer_id_block", "/log_dir_event_notification"} {
		children, _, err := c.Children(ctx, top)
		must(t, err)
		paths = append(paths, top)
		for _, child := range children {
			paths = append(paths, zkutil.Join(top, child))
		}
	}
	want := []string{
		"/admin", "/admin/delete_topics", "/brokers", "/brokers/ids", "/brokers/seqid", "/brokers/topics",
		"/config", "/config/brokers", "/config/changes", "/config/clients", "/config/ips", "/config/topics", "/config/users",
		"/consumers", "/isr_change_notification", "/latest_producer_id_block", "/log_dir_event_notification",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if data, _, err := c.Get(ctx, "/latest_producer_id_block"); data != nil || err != nil {
		t.Errorf("data %v, %v; Java cannot read anything but null here", data, err)
	}
}

func TestClusterID(t *testing.T) {
	ctx, c := within(t), connect(t)
	if id, err := c.ClusterID(ctx); id != "" || err != nil {
		t.Errorf("id %q, %v", id, err)
	}
	ids := make(chan string, 10)
	for range cap(ids) {
		go func() {
			id, err := c.CreateOrGetClusterID(ctx)
			if err != nil || len(id) != 22 {
				t.Errorf("id %q, %v", id, err)
			}
			ids <- id
		}()
	}
	first := <-ids
	for range cap(ids) - 1 {
		if id := <-ids; id != first {
			t.Errorf("ids %q and %q", first, id)
		}
	}
}

func TestGenerateBrokerID(t *testing.T) {
	ctx, c := within(t), connect(t)
	for want := int32(1001); want < 1004; want++ {
		if id, err := c.GenerateBrokerID(ctx, 1000); id != want || err != nil {
			t.Errorf("id %d, %v; want %d", id, err, want)
		}
	}
}

func TestRegisterBroker(t *testing.T) {
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	c, other := connectWith(t, options(t, p.addr())), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	renewed := make(chan int64, 1)
	c.Subscribe(zkutil.Subscriber{Renewed: func(id int64) { renewed <- id }})

	b := broker(3)
	epoch, err := c.RegisterBroker(ctx, b)
	must(t, err)
	got, err := other.Broker(ctx, 3)
	must(t, err)
	b.Epoch, b.Session = epoch, c.SessionID()
	if diff := cmp.Diff(b, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if again, err := c.RegisterBroker(ctx, b); again != epoch || err != nil {
		t.Errorf("again in the same session: epoch %d, %v; want %d", again, err, epoch)
	}
	if _, err := other.RegisterBroker(ctx, b); !errors.Is(err, zkutil.ErrNodeExists) {
		t.Errorf("another process with the same id: %v", err)
	}
	must(t, other.CheckAdvertised(ctx, broker(4)))
	same := broker(4)
	same.Endpoints = b.Endpoints
	if err := other.CheckAdvertised(ctx, same); err == nil {
		t.Error("two brokers at the same address")
	}
	must(t, other.CheckAdvertised(ctx, b)) // its own address

	p.expire()
	next(t, renewed, "a new session")
	second, err := c.RegisterBroker(ctx, b)
	must(t, err)
	if second <= epoch {
		t.Errorf("epoch %d after %d", second, epoch)
	}
	b.Endpoints[0].Port = 99
	must(t, c.UpdateBrokerInfo(ctx, b))
	events := make(chan zkutil.Event, 1)
	brokers, err := other.Brokers(ctx, zkutil.NewWatcher(func(e zkutil.Event) { events <- e }))
	must(t, err)
	if len(brokers) != 1 || brokers[0].Endpoints[0].Port != 99 || brokers[0].Epoch != second {
		t.Errorf("brokers %+v", brokers[0])
	}
	_, err = other.RegisterBroker(ctx, broker(10))
	must(t, err)
	next(t, events, "the event of the new broker")
	if ids, err := c.BrokerIDs(ctx, nil); err != nil || !slices.Equal(ids, []int32{3, 10}) {
		t.Errorf("ids %v, %v", ids, err)
	}
}

func TestElection(t *testing.T) {
	ctx, c, other := within(t), connect(t), connect(t)
	if _, _, ok, err := c.Controller(ctx, nil); ok || err != nil {
		t.Errorf("controller %v, %v", ok, err)
	}
	first, err := c.ElectController(ctx, 1, 1000)
	must(t, err)
	if first != (zkutil.Fence{Epoch: 1, Version: 1}) {
		t.Errorf("first controller has %+v", first)
	}
	if _, err := other.ElectController(ctx, 2, 1000); !errors.Is(err, zkutil.ErrControllerMoved) {
		t.Errorf("second candidate: %v", err)
	}
	// A broker that lost its session must not take the node of that session for its own.
	if _, err := other.ElectController(ctx, 1, 1000); !errors.Is(err, zkutil.ErrControllerMoved) {
		t.Errorf("the same broker in another session: %v", err)
	}
	events := make(chan zkutil.Event, 1)
	node, stat, ok, err := other.Controller(ctx, zkutil.NewWatcher(func(e zkutil.Event) { events <- e }))
	if err != nil || !ok || node != (zkutil.ControllerNode{BrokerID: 1, Timestamp: 1000, KRaftEpoch: -1}) || stat.EphemeralOwner != c.SessionID() {
		t.Errorf("controller %+v, %v, %v", node, ok, err)
	}
	results, err := c.Fenced(ctx, first, zkutil.CreateOp("/a", nil), zkutil.CreateOp("/b", nil), zkutil.CreateOp("/x/y", nil))
	must(t, err)
	if results[0].Err != nil || results[1].Err != nil || !errors.Is(results[2].Err, zkutil.ErrNoNode) {
		t.Errorf("results %+v", results)
	}
	must(t, c.Resign(ctx, first))
	if e := next(t, events, "the end of the controller"); e.Type != zkutil.Deleted {
		t.Errorf("event %+v", e)
	}
	second, err := other.ElectController(ctx, 2, 1000)
	must(t, err)
	if second != (zkutil.Fence{Epoch: 2, Version: 2}) {
		t.Errorf("second controller has %+v", second)
	}
	results, err = c.Fenced(ctx, first, zkutil.CreateOp("/late", nil), zkutil.CreateOp("/a", nil))
	if !errors.Is(err, zkutil.ErrControllerMoved) || !errors.Is(results[0].Err, zkutil.ErrControllerMoved) || !errors.Is(results[1].Err, zkutil.ErrControllerMoved) {
		t.Errorf("writes of the old controller: %v, %+v", err, results)
	}
	must(t, c.Resign(ctx, first)) // does not harm the new one
	if node, _, ok, _ := c.Controller(ctx, nil); !ok || node.BrokerID != 2 {
		t.Errorf("controller %+v", node)
	}
}

func TestReplaceController(t *testing.T) {
	ctx, c, other := within(t), connect(t), connect(t)
	if _, err := other.ReplaceController(ctx, c.SessionID(), 2, 1000); !errors.Is(err, zkutil.ErrNoNode) {
		t.Errorf("before there was a controller: %v", err)
	}
	first, err := c.ElectController(ctx, 1, 1000)
	must(t, err)
	if _, err := other.ReplaceController(ctx, other.SessionID(), 2, 1000); !errors.Is(err, zkutil.ErrControllerMoved) {
		t.Errorf("a session that is not the controller's: %v", err)
	}
	// Of many who have noticed the same, one replaces it, and no one the next controller.
	var wg sync.WaitGroup
	var replaced atomic.Int32
	for id := range int32(8) {
		wg.Go(func() {
			z, err := zkutil.Connect(ctx, options(t, sharedZooKeeper(t).Addr()))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(z.Close)
			switch f, err := z.ReplaceController(ctx, c.SessionID(), 10+id, 1000); {
			case err == nil:
				replaced.Add(1)
				if f != (zkutil.Fence{Epoch: 2, Version: 2}) {
					t.Errorf("the new controller has %+v", f)
				}
			case !errors.Is(err, zkutil.ErrControllerMoved):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	node, _, ok, err := c.Controller(ctx, nil)
	if err != nil || !ok || node.BrokerID < 10 || replaced.Load() != 1 {
		t.Errorf("controller %+v, %v, %v; replaced %d times", node, ok, err, replaced.Load())
	}
	if _, err := c.Fenced(ctx, first, zkutil.CreateOp("/late", nil)); !errors.Is(err, zkutil.ErrControllerMoved) {
		t.Errorf("write of the controller that was replaced: %v", err)
	}
}

func TestProducerIDs(t *testing.T) {
	ctx, c := within(t), connect(t)
	must(t, c.EnsurePersistentPaths(ctx))
	const brokers, blocks = 5, 20
	got := make(chan zkutil.ProducerIDBlock, brokers*blocks)
	for id := range int32(brokers) {
		go func() {
			for range blocks {
				b, err := c.AllocateProducerIDs(ctx, id)
				if err != nil || b.Broker != id || b.Last != b.First+999 {
					t.Errorf("block %+v, %v", b, err)
				}
				got <- b
			}
		}()
	}
	var starts []int64
	for range brokers * blocks {
		starts = append(starts, (<-got).First)
	}
	slices.Sort(starts)
	for i, start := range starts {
		if start != int64(i)*1000 {
			t.Fatalf("block %d begins at %d", i, start)
		}
	}
}
