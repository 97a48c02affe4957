package integration

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// moments is how many moments of a change TestChangesAcrossExpiry tries for each way to lose ZooKeeper.
var moments = flag.Int("moments", 2, "moments of each change at which TestChangesAcrossExpiry takes ZooKeeper away")

// apart is the time from one moment to the next. A change is over after some 20 ms, or later on a busy machine.
const apart = 6 * time.Millisecond

// sessionTimeout is that of the brokers, short so that they can be frozen for longer.
const sessionTimeout = 1500 * time.Millisecond

// changing changes topics while brokers lose their sessions, and notes what they must be in the end.
type changing struct {
	*cluster.Cluster
	t        *testing.T
	server   *cluster.ZooKeeper
	registry *cluster.Registry
	admin    *kadm.Client
	replicas int16

	partitions map[string]int // topics that were acknowledged to exist, with so many partitions at least
	deleted    map[string]bool
}

// TestChangesAcrossExpiry takes the controller's ZooKeeper session away, or freezes the controller until the session has
// timed out, or kills ZooKeeper and starts it again, at several moments of changes of topics. What was acknowledged is so in the end, what was
// not is done or not done, but not in part, no broker is restarted and no record lost.
func TestChangesAcrossExpiry(t *testing.T) {
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d brokers", brokers), func(t *testing.T) {
			server := cluster.StartZooKeeper(t)
			c := &changing{
				Cluster: cluster.StartOn(t, server, brokers, cluster.Props{
					"zookeeper.session.timeout.ms": fmt.Sprint(sessionTimeout.Milliseconds()), "replica.lag.time.max.ms": "1000",
				}),
				t: t, server: server, replicas: int16(brokers), partitions: map[string]int{}, deleted: map[string]bool{},
			}
			var err error
			if c.registry, err = cluster.OpenRegistry(c.ZooKeeper(), nil); err != nil {
				t.Fatal(err)
			}
			defer c.registry.Close()
			c.admin = kadm.NewClient(c.Client())
			c.CreateTopic("orders", 3, c.replicas, nil)
			var pids []int
			for _, b := range c.Brokers() {
				pids = append(pids, b.PID())
			}
			for _, lose := range []func(){c.expire, c.expireAll, c.freeze, c.bounce} {
				for i := range *moments {
					c.round(lose, time.Duration(i)*apart)
				}
			}
			for i, b := range c.Brokers() {
				if b.PID() != pids[i] {
					t.Errorf("broker %d was restarted", b.ID())
				}
			}
		})
	}
}

// expire ends the controller's session.
func (c *changing) expire() { c.endSessions(c.Broker(c.Controller())) }

// expireAll ends the session of every broker.
func (c *changing) expireAll() { c.endSessions(c.Brokers()...) }

// endSessions ends the sessions of brokers and waits until they have registered anew.
func (c *changing) endSessions(brokers ...*cluster.Broker) {
	was := make([]int64, len(brokers))
	for i, b := range brokers {
		was[i] = c.Epoch(b.ID())
		c.ExpireSession(b.ID())
	}
	for i, b := range brokers {
		c.Await(fmt.Sprintf("new registration of broker %d", b.ID()), func() bool {
			epoch := c.Epoch(b.ID())
			return epoch != 0 && epoch != was[i]
		})
	}
}

// freeze stops the controller until its session has timed out.
func (c *changing) freeze() {
	b := c.Broker(c.Controller())
	epoch := c.Epoch(b.ID())
	b.Pause()
	defer b.Resume()
	c.Await("end of the session of a frozen broker", func() bool { return c.Epoch(b.ID()) != epoch })
}

// bounce kills ZooKeeper and starts it again.
func (c *changing) bounce() {
	c.server.Kill()
	if err := c.server.Launch(); err != nil {
		c.t.Fatal(err)
	}
}

// round makes changes, and takes ZooKeeper away when so much time has passed since they began.
func (c *changing) round(lose func(), after time.Duration) {
	c.t.Helper()
	n := len(c.partitions) + len(c.deleted)
	old, grown, made := fmt.Sprintf("old-%d", n), fmt.Sprintf("grown-%d", n), fmt.Sprintf("made-%d", n)
	for _, name := range []string{old, grown} {
		c.CreateTopic(name, 4, c.replicas, nil)
		c.partitions[name] = 4
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var acked cluster.Acked
	var made1, made2, grow, gone error
	var wg sync.WaitGroup
	wg.Go(func() { acked = c.Produce("orders", 200, everywhere) })
	wg.Go(func() { made1 = c.create(ctx, made) })
	wg.Go(func() { made2 = c.create(ctx, made+"-too") })
	wg.Go(func() {
		resp, err := c.admin.UpdatePartitions(ctx, 7, grown)
		if grow = err; err == nil {
			grow = resp.Error()
		}
	})
	wg.Go(func() {
		resp, err := c.admin.DeleteTopics(ctx, old)
		if gone = err; err == nil {
			gone = resp.Error()
		}
	})
	time.Sleep(after) // the moment, which is not waited for: any is as good as another
	lose()
	wg.Wait()
	c.t.Logf("after %v: create %v, %v, grow %v, delete %v", after, made1, made2, grow, gone)
	for name, err := range map[string]error{made: made1, made + "-too": made2} {
		if err == nil {
			c.partitions[name] = 4
		}
	}
	if grow == nil {
		c.partitions[grown] = 7
	}
	if gone == nil {
		delete(c.partitions, old)
		c.deleted[old] = true
	}
	c.settled()
	c.RequireReadable("orders", acked, patience)
	if len(acked) != 200 {
		c.t.Errorf("%d of 200 records were acknowledged", len(acked))
	}
}

func (c *changing) create(ctx context.Context, name string) error {
	_, err := c.admin.CreateTopic(ctx, 4, c.replicas, nil, name)
	return err
}

// settled waits until every topic is whole, and what was acknowledged is there, or gone.
func (c *changing) settled() {
	c.t.Helper()
	var why string
	defer func() {
		if c.t.Failed() {
			c.t.Log(why)
		}
	}()
	c.AwaitBrokers()
	c.Await("right state of all topics", func() bool {
		why = c.wrong()
		return why == ""
	})
	names, err := c.registry.Topics()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, name := range names {
		c.AwaitTopic(name)
	}
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(patience))
	var records []*kgo.Record
	for _, name := range names {
		for p := range int32(c.count(name)) {
			records = append(records, &kgo.Record{Topic: name, Partition: p, Value: []byte("v")})
		}
	}
	for _, r := range client.ProduceSync(context.Background(), records...) {
		if r.Err != nil {
			c.t.Errorf("%s-%d takes no records: %v", r.Record.Topic, r.Record.Partition, r.Err)
		}
	}
}

// count returns the number of partitions of a topic in its znode.
func (c *changing) count(name string) int {
	a, err := c.registry.Assignment(name)
	if err != nil {
		return 0
	}
	return len(a.Partitions)
}

// wrong says what is not as it must be in the end.
func (c *changing) wrong() string {
	names, err := c.registry.Topics()
	if err != nil {
		return err.Error()
	}
	for name, partitions := range c.partitions {
		if n := c.count(name); n < partitions {
			return fmt.Sprintf("%s has %d partitions, %d were acknowledged", name, n, partitions)
		}
	}
	for name := range c.deleted {
		if slices.Contains(names, name) {
			return name + " is there, although its deletion was acknowledged"
		}
	}
	for _, name := range names {
		for p := range int32(c.count(name)) {
			state, err := c.registry.Partition(name, p)
			if err != nil || state.Leader < 0 || len(state.ISR) != int(c.replicas) {
				return fmt.Sprintf("%s-%d: %+v, %v", name, p, state, err)
			}
		}
	}
	return ""
}
