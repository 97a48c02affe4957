package integration

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// requireNoNotes checks that no leader has changed an ISR in ZooKeeper: nobody has ever left a note there.
func requireNoNotes(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	zk := openZooKeeper(t, c)
	_, stat, err := zk.Children(t.Context(), zkutil.ISRChangesPath)
	if err != nil {
		t.Fatal(err)
	}
	if stat.Cversion != 0 {
		t.Errorf("ISRs were changed in ZooKeeper: %s has had %d children", zkutil.ISRChangesPath, stat.Cversion)
	}
}

// shrinkAndGrow freezes a follower of partition until it has left the ISR, and lets it come back.
func shrinkAndGrow(t *testing.T, c *cluster.Cluster, silent *cluster.Broker, topic string, partition int32, n int) {
	t.Helper()
	client := c.Client(kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	silent.Pause()
	c.Await("ISR without the silent follower", func() bool {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Partition: partition, Value: []byte("v")}).FirstErr(); err != nil {
			t.Error(err)
		}
		return len(c.ISR(topic, partition)) == n-1
	})
	silent.Resume()
	awaitISR(c, topic, partition+1, n)
}

// TestISRsThroughTheController: leaders ask a Gregor controller for their ISRs, through the loss of followers and
// of the controller itself, and leave no notes in ZooKeeper.
func TestISRsThroughTheController(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{
		"gregor.isr.propagation": "controller", "replica.lag.time.max.ms": "1500", "zookeeper.session.timeout.ms": "6000",
	})
	c.CreateTopic("orders", 6, 3, replicated)
	acked := c.Produce("orders", 600, everywhere)
	controller := c.Broker(c.Controller())
	silent, led := controller, int32(0)
	for silent == controller {
		silent = c.Broker(silent.ID()%3 + 1)
	}
	for c.Leader("orders", led) == silent.ID() {
		led++
	}
	shrinkAndGrow(t, c, silent, "orders", led, 3)
	awaitISR(c, "orders", 6, 3)
	// The controller dies: who asked it asks the next one.
	c.Kill(controller.ID())
	c.Await("another controller", func() bool { return c.Controller() > 0 && c.Controller() != controller.ID() })
	for place, value := range c.Produce("orders", 600, everywhere) {
		acked[place] = value
	}
	c.Restart(controller.ID())
	awaitISR(c, "orders", 6, 3)
	if len(acked) != 1200 {
		t.Errorf("%d of 1200 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
	requireIdentical(t, c, "orders", 6)
	requireNoNotes(t, c)
}

// requireProducerIDs checks that every broker has ids for producers, and none that another has.
func requireProducerIDs(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	givenBy := map[int64]int32{}
	client := c.Client()
	for _, b := range c.Brokers() {
		var id int64
		c.Await("producer id", func() bool {
			resp, err := client.Broker(int(b.ID())).Request(t.Context(), kmsg.NewPtrInitProducerIDRequest())
			if err != nil {
				t.Fatal(err)
			}
			id = resp.(*kmsg.InitProducerIDResponse).ProducerID
			return resp.(*kmsg.InitProducerIDResponse).ErrorCode == 0
		})
		block := id / zkutil.ProducerIDBlockSize
		if other, given := givenBy[block]; given {
			t.Errorf("brokers %d and %d both give ids of block %d", other, b.ID(), block)
		}
		givenBy[block] = b.ID()
	}
}

// TestKafkaAsksGregor: Apache Kafka brokers follow and lead under a Gregor controller, of which they ask their
// ISRs and blocks of producer ids, and which they tell that they stop.
func TestKafkaAsksGregor(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{
		"gregor.isr.propagation": "controller", "replica.lag.time.max.ms": "2000", "zookeeper.session.timeout.ms": "30000",
	})
	first, second := c.AddKafka(nil), c.AddKafka(nil)
	if c.Controller() != c.Brokers()[0].ID() {
		t.Fatalf("controller %d, want Gregor's", c.Controller())
	}
	c.CreateTopic("orders", 3, 3, replicated)
	acked := c.Produce("orders", 900, everywhere)
	requireProducerIDs(t, c)
	kafkas := int32(0)
	for c.Leader("orders", kafkas) != first.ID() {
		kafkas++
	}
	shrinkAndGrow(t, c, second, "orders", kafkas, 3)
	awaitISR(c, "orders", 3, 3)
	c.Stop(second.ID())
	for p := range int32(3) {
		if leader, isr := c.Leader("orders", p), c.ISR("orders", p); leader == second.ID() || slices.Contains(isr, second.ID()) {
			t.Errorf("orders-%d: leader %d, ISR %v after broker %d has stopped in order", p, leader, isr, second.ID())
		}
	}
	awaitISR(c, "orders", 3, 2)
	for place, value := range c.Produce("orders", 900, everywhere) {
		acked[place] = value
	}
	c.Restart(second.ID())
	awaitISR(c, "orders", 3, 3)
	if len(acked) != 1800 {
		t.Errorf("%d of 1800 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
	requireIdentical(t, c, "orders", 3)
	requireNoNotes(t, c)
}
