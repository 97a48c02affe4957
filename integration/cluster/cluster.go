// Package cluster runs brokers as real processes on a real ZooKeeper, for tests and benchmarks.
//
// Start gives a test its own cluster, once all of its brokers know each other, below a path of its own in a ZooKeeper that the tests of a
// package share, in directories and on ports of its own; all of it ends with the test, and the
// brokers' logs are printed if the test failed. Nothing outlives the test binary, even if that is
// killed. Brokers can be killed, paused, stopped and started again, and may be Apache Kafka's.
//
// A package whose tests use Start calls Main from its TestMain:
//
//	func TestMain(m *testing.M) { cluster.Main(m) }
package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// shared is the ZooKeeper of a package's tests, started by the first that needs it.
var shared struct {
	sync.Mutex
	owned bool // Main will end it
	dir   string
	zk    *ZooKeeper
	err   error
}

// Main runs the tests, ends the ZooKeeper that they have shared, and exits.
func Main(m *testing.M) {
	shared.owned = true
	code := m.Run()
	if shared.zk != nil {
		shared.zk.Kill()
	}
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// sharedZooKeeper returns the ZooKeeper of the package's tests or, without Main, one for t alone.
func sharedZooKeeper(t testing.TB) *ZooKeeper {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.owned {
		return StartZooKeeper(t)
	}
	if shared.zk == nil && shared.err == nil {
		if shared.dir, shared.err = os.MkdirTemp("", "gregor-zookeeper-"); shared.err == nil {
			shared.zk, shared.err = NewZooKeeper(shared.dir)
		}
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.zk
}

// chroots numbers the clusters of this process.
var chroots atomic.Int64

// A Cluster is a ZooKeeper path and the brokers registered below it. Its methods that start or wait
// for something fail the test if that does not work.
type Cluster struct {
	t         testing.TB
	zooKeeper string // host:port of its servers
	servers   []*ZooKeeper
	chroot    string
	dir       string
	registry  *Registry
	props     Props
	brokers   []*Broker

	network  *netns.Network // nil on loopback, as the observer is
	observer *netns.Node
}

// Start runs n brokers, with ids from 1 on, until t ends.
func Start(t testing.TB, n int, props Props) *Cluster {
	t.Helper()
	return StartOn(t, sharedZooKeeper(t), n, props)
}

// StartOn is Start on a ZooKeeper that the test has started, in order to end or pause it.
func StartOn(t testing.TB, z *ZooKeeper, n int, props Props) *Cluster {
	t.Helper()
	c := newCluster(t, z.Addr(), []*ZooKeeper{z}, props)
	c.start(n)
	return c
}

func newCluster(t testing.TB, zooKeeper string, servers []*ZooKeeper, props Props) *Cluster {
	return &Cluster{t: t, zooKeeper: zooKeeper, servers: servers, dir: t.TempDir(), props: props,
		chroot: fmt.Sprintf("/cluster-%d-%d", os.Getpid(), chroots.Add(1))}
}

// start starts n brokers and waits until they know each other.
func (c *Cluster) start(n int) {
	c.t.Helper()
	registry, err := OpenRegistry(c.ZooKeeper(), c.observer)
	if err != nil {
		c.t.Fatal(err)
	}
	c.registry = registry
	c.t.Cleanup(c.end)
	var wg sync.WaitGroup
	errs := make([]error, n)
	c.brokers = make([]*Broker, n)
	for i := range n {
		o := c.options(int32(i+1), nil)
		wg.Go(func() { c.brokers[i], errs[i] = NewBroker(o) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	c.AwaitBrokers()
}

// options returns what the broker with an id is started with, on a node of its own if there are any.
func (c *Cluster) options(id int32, props Props) BrokerOptions {
	o := BrokerOptions{ID: id, Dir: filepath.Join(c.dir, "broker-"+strconv.Itoa(int(id))), ZooKeeper: c.ZooKeeper(), Props: Props{}}
	if c.network != nil {
		node, err := c.network.Add(fmt.Sprintf("broker %d", id))
		if err != nil {
			c.t.Fatal(err)
		}
		o.Node, o.Observer = node, c.observer
	}
	for _, p := range []Props{c.props, props} {
		for name, value := range p {
			o.Props[name] = value
		}
	}
	return o
}

// end kills what still runs; logs are shown of a test that failed.
func (c *Cluster) end() {
	c.registry.Close()
	var wg sync.WaitGroup
	for _, b := range c.brokers {
		if b != nil {
			wg.Go(b.Kill)
		}
	}
	wg.Wait()
	if !c.t.Failed() {
		return
	}
	for _, b := range c.brokers {
		if b != nil {
			c.t.Logf("log of broker %d, %s:\n%s", b.ID(), b.Addr(), b.Log())
		}
	}
}

// Add starts one more broker, with the cluster's properties and these over them.
func (c *Cluster) Add(props Props) *Broker { return c.add(false, props) }

// AddKafka starts an Apache Kafka broker in the cluster.
func (c *Cluster) AddKafka(props Props) *Broker { return c.add(true, props) }

func (c *Cluster) add(kafka bool, props Props) *Broker {
	c.t.Helper()
	o := c.options(int32(len(c.brokers)+1), props)
	o.Kafka = kafka
	b, err := NewBroker(o)
	if b != nil {
		c.brokers = append(c.brokers, b)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.AwaitBrokers()
	return b
}

// ZooKeeper returns the address of the cluster's path in ZooKeeper: host:port/path.
func (c *Cluster) ZooKeeper() string { return c.zooKeeper + c.chroot }

// Brokers returns the brokers in the order of their ids.
func (c *Cluster) Brokers() []*Broker { return slices.Clone(c.brokers) }

// Broker returns the broker with the given id.
func (c *Cluster) Broker(id int32) *Broker {
	c.t.Helper()
	for _, b := range c.brokers {
		if b.ID() == id {
			return b
		}
	}
	c.t.Fatalf("no broker has the id %d", id)
	return nil
}

// Bootstrap returns the addresses of all brokers as clients take them: separated by commas.
func (c *Cluster) Bootstrap() string { return strings.Join(c.Addrs(), ",") }

// Addrs returns the addresses of all brokers.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, b := range c.brokers {
		addrs = append(addrs, b.Addr())
	}
	return addrs
}

// Kill ends a broker with SIGKILL.
func (c *Cluster) Kill(id int32) {
	c.t.Helper()
	c.Broker(id).Kill()
}

// Stop ends a broker with SIGTERM and waits until it has ended in order.
func (c *Cluster) Stop(id int32) {
	c.t.Helper()
	if err := c.Broker(id).Stop(); err != nil {
		c.t.Fatal(err)
	}
}

// Restart starts a broker again that was killed or stopped; one that runs is stopped first.
func (c *Cluster) Restart(id int32) {
	c.t.Helper()
	c.Stop(id)
	if err := c.Broker(id).Start(); err != nil {
		c.t.Fatal(err)
	}
	c.AwaitBrokers()
}

// Pause freezes a broker.
func (c *Cluster) Pause(id int32) {
	c.t.Helper()
	c.Broker(id).Pause()
}

// Resume continues a paused broker.
func (c *Cluster) Resume(id int32) {
	c.t.Helper()
	c.Broker(id).Resume()
}

// Controller waits until there is a controller and returns its id.
func (c *Cluster) Controller() int32 {
	c.t.Helper()
	var id int32
	c.Await("controller", func() bool {
		id = c.registry.Controller()
		return id >= 0
	})
	return id
}

// Leader waits until a partition has a leader and returns its id.
func (c *Cluster) Leader(topic string, partition int32) int32 {
	c.t.Helper()
	var id int32
	c.Await(fmt.Sprintf("leader of %s-%d", topic, partition), func() bool {
		state, err := c.registry.Partition(topic, partition)
		id = state.Leader
		return err == nil && id >= 0
	})
	return id
}

// ISR returns the in-sync replicas of a partition as ZooKeeper knows them. It waits until ZooKeeper can be asked.
func (c *Cluster) ISR(topic string, partition int32) []int32 {
	c.t.Helper()
	var isr []int32
	c.Await(fmt.Sprintf("state of %s-%d", topic, partition), func() bool {
		state, err := c.registry.Partition(topic, partition)
		isr = state.ISR
		return err == nil
	})
	return isr
}

// Epoch returns the broker epoch of a registered broker, 0 if it is not registered.
func (c *Cluster) Epoch(id int32) int64 {
	c.t.Helper()
	var epoch int64
	if err := answered(func() (err error) {
		epoch, err = c.registry.epoch(id)
		return err
	}); err != nil {
		c.t.Fatal(err)
	}
	return epoch
}

// awaitTimeout bounds every wait for the cluster, on a slow machine too.
const awaitTimeout = 2 * time.Minute

// Await polls until done reports true, and fails the test if that takes more than two minutes.
func (c *Cluster) Await(what string, done func() bool) {
	c.t.Helper()
	Await(c.t, awaitTimeout, what, done)
}

// Await polls until done reports true, and fails the test if that takes longer than timeout.
func Await(t testing.TB, timeout time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s within %v", what, timeout)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
