package integration

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// deathNoticed bounds how long the others take to go on after a death, on a slow machine too: far less than a session.
const deathNoticed = 15 * time.Second

// longSessions are longer than anything takes here. Nobody is to wait for their end.
var longSessions = cluster.Props{"zookeeper.session.timeout.ms": "60000"}

// produceToEach sends one record to each partition, with acks=all, and returns when all are acknowledged.
func produceToEach(t *testing.T, client *kgo.Client, topic string, partitions int32) {
	t.Helper()
	records := make([]*kgo.Record, partitions)
	for p := range partitions {
		records[p] = &kgo.Record{Topic: topic, Partition: p, Value: fmt.Appendf(nil, "record for %d", p)}
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// manual sends records where they say. It tries again at once, so that how long something takes is the brokers' doing: by
// itself kgo leaves a broker alone for a quarter of a second after a failure, and twice as long after each further one.
func manual(c *cluster.Cluster) *kgo.Client {
	soon := func(int) time.Duration { return 10 * time.Millisecond }
	return c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(soon),
		kgo.UnknownTopicRetries(-1)) // those at once may all be in vain
}

// startInSync starts brokers with longSessions and the topic "orders", with three copies of each partition and a record in
// it, and returns when all copies are in sync.
func startInSync(t *testing.T, brokers int, partitions int32, props cluster.Props) (*cluster.Cluster, *kgo.Client) {
	t.Helper()
	c := cluster.Start(t, brokers, longSessions)
	c.CreateTopic("orders", partitions, 3, props)
	client := manual(c)
	produceToEach(t, client, "orders", partitions)
	awaitISR(c, "orders", partitions, 3)
	return c, client
}

func TestDeadProcessIsNotWaitedFor(t *testing.T) {
	for _, who := range []string{"broker", "controller"} {
		t.Run(who, func(t *testing.T) {
			c, client := startInSync(t, 3, 12, replicated)
			victim := c.Controller()
			if who == "broker" {
				victim = victim%3 + 1
			}
			epoch := c.Epoch(victim)
			begun := time.Now()
			c.Kill(victim)
			produceToEach(t, client, "orders", 12)
			if took := time.Since(begun); took > deathNoticed {
				t.Errorf("partitions took records again after %v, want %v at most", took, deathNoticed)
			}
			if c.Epoch(victim) != epoch {
				t.Error("the registration is gone, which was to be left alone")
			}
			if controller := c.Controller(); controller == victim {
				t.Errorf("broker %d, which is dead, is the controller still", victim)
			}
			for p := range int32(12) {
				if isr := c.ISR("orders", p); len(isr) != 2 || slices.Contains(isr, victim) {
					t.Errorf("ISR of orders-%d is %v after the death of %d", p, isr, victim)
				}
			}
			c.Restart(victim)
			awaitISR(c, "orders", 12, 3)
			produceToEach(t, client, "orders", 12)
			requireIdentical(t, c, "orders", 12)
		})
	}
}

// TestDeadProcessesAreNotWaitedFor: a broker that dies in the same moment as the controller has nobody who watched it for the controller
// that comes next, but that one itself.
func TestDeadProcessesAreNotWaitedFor(t *testing.T) {
	const partitions = 20
	c, client := startInSync(t, 5, partitions, nil)
	controller := c.Controller()
	victims := []int32{controller, controller%5 + 1}
	var killed sync.WaitGroup
	begun := time.Now()
	for _, id := range victims {
		killed.Go(func() { c.Kill(id) })
	}
	produceToEach(t, client, "orders", partitions)
	took := time.Since(begun)
	killed.Wait()
	t.Logf("partitions took records again after %v", took.Round(time.Millisecond))
	if took > deathNoticed {
		t.Errorf("partitions took records again after %v, want %v at most", took, deathNoticed)
	}
	for p := range int32(partitions) {
		c.Await(fmt.Sprintf("ISR of orders-%d without the dead", p), func() bool {
			return !slices.ContainsFunc(c.ISR("orders", p), func(id int32) bool { return slices.Contains(victims, id) })
		})
	}
	if since := time.Since(begun); since > deathNoticed {
		t.Errorf("the dead have left the ISRs after %v, want %v at most", since, deathNoticed)
	}
	for _, id := range victims {
		c.Restart(id)
	}
	awaitISR(c, "orders", partitions, 3)
	produceToEach(t, client, "orders", partitions)
}

func TestDeadProcessIsWaitedForIfSoConfigured(t *testing.T) {
	c := cluster.Start(t, 2, cluster.Props{"gregor.process.watch.enable": "false"})
	c.CreateTopic("orders", 2, 2, nil)
	victim := c.Controller()%2 + 1
	epoch := c.Epoch(victim)
	c.Kill(victim)
	c.Await("ISR without the dead broker", func() bool {
		registered := c.Epoch(victim) == epoch
		if isr := c.ISR("orders", 0); len(isr) == 1 {
			if registered && c.Epoch(victim) == epoch {
				t.Error("the dead broker has left the ISR before its session ended")
			}
			return true
		}
		return false
	})
}

// TestFalseAlarm: a broker that is taken for dead and lives loses its leaderships and its place in the ISRs, follows
// again once it can be reached, under the same registration and without a restart, and nothing is lost.
func TestFalseAlarm(t *testing.T) {
	for _, who := range []string{"broker", "controller"} {
		t.Run(who, func(t *testing.T) {
			port, err := cluster.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			direct := fmt.Sprintf("127.0.0.1:%d", port)
			gate := cluster.NewLink(t, direct)
			gated := cluster.Props{"listeners": "PLAINTEXT://" + direct, "advertised.listeners": "PLAINTEXT://" + gate.Addr()}
			for name, value := range longSessions {
				gated[name] = value
			}
			first, second := longSessions, gated
			if who == "controller" {
				first, second = gated, longSessions
			}
			c := cluster.Start(t, 0, nil)
			suspect := int32(2)
			if who == "controller" {
				suspect = 1
			}
			c.Add(first)
			c.Add(second)
			c.Add(longSessions)
			if c.Controller() != 1 {
				t.Fatalf("controller %d, want 1, which came first", c.Controller())
			}
			c.CreateTopic("orders", 12, 3, replicated)
			acked := c.Produce("orders", 300, everywhere)
			awaitISR(c, "orders", 12, 3)
			epoch := c.Epoch(suspect)

			gate.Cut()
			for p := range int32(12) {
				c.Await(fmt.Sprintf("another leader of orders-%d", p), func() bool {
					return c.Leader("orders", p) != suspect && !slices.Contains(c.ISR("orders", p), suspect)
				})
			}
			if controller := c.Controller(); controller == suspect {
				t.Errorf("broker %d, which cannot be reached, is the controller still", suspect)
			}
			for place, value := range c.Produce("orders", 300, everywhere) {
				acked[place] = value
			}
			gate.Heal()
			awaitISR(c, "orders", 12, 3)
			for place, value := range c.Produce("orders", 300, everywhere) {
				acked[place] = value
			}
			if len(acked) != 900 {
				t.Errorf("%d of 900 records were acknowledged", len(acked))
			}
			if now := c.Epoch(suspect); now != epoch {
				t.Errorf("broker epoch was %d and is %d: it has registered again", epoch, now)
			}
			c.RequireReadable("orders", acked, patience)
			requireIdentical(t, c, "orders", 12)
		})
	}
}

// TestDeathOfKafka: a Kafka broker, controller at first, is taken for dead while it lives, comes back as it is, and is given up
// at once when it does die.
func TestDeathOfKafka(t *testing.T) {
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	direct := fmt.Sprintf("127.0.0.1:%d", port)
	gate := cluster.NewLink(t, direct)
	c := cluster.Start(t, 0, longSessions)
	kafka := c.AddKafka(cluster.Props{"listeners": "PLAINTEXT://" + direct, "advertised.listeners": "PLAINTEXT://" + gate.Addr()}).ID()
	c.Add(nil)
	c.Add(nil)
	if c.Controller() != kafka {
		t.Fatal("Kafka, which came first, is not the controller")
	}
	c.CreateTopic("orders", 6, 3, replicated)
	acked := c.Produce("orders", 300, everywhere)
	awaitISR(c, "orders", 6, 3)
	epoch := c.Epoch(kafka)

	gate.Cut()
	for p := range int32(6) {
		c.Await(fmt.Sprintf("another leader of orders-%d", p), func() bool {
			return c.Leader("orders", p) != kafka && !slices.Contains(c.ISR("orders", p), kafka)
		})
	}
	if c.Controller() == kafka {
		t.Error("Kafka, which cannot be reached, is the controller still")
	}
	for place, value := range c.Produce("orders", 300, everywhere) {
		acked[place] = value
	}
	gate.Heal()
	awaitISR(c, "orders", 6, 3)
	if now := c.Epoch(kafka); now != epoch {
		t.Errorf("broker epoch was %d and is %d: it has registered again", epoch, now)
	}

	c.Kill(kafka)
	gate.Cut() // while the gate is open it is not known that nobody is behind it
	died := time.Now()
	awaitISR(c, "orders", 6, 2)
	if took := time.Since(died); took > deathNoticed {
		t.Errorf("it has left the ISRs after %v, want %v at most", took, deathNoticed)
	}
	if c.Epoch(kafka) != epoch {
		t.Error("the registration is gone, which was to be left alone")
	}
	for place, value := range c.Produce("orders", 300, everywhere) {
		acked[place] = value
	}
	if len(acked) != 900 {
		t.Errorf("%d of 900 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
}
