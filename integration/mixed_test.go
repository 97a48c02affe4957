package integration

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestReplicationWithKafka: Gregor and Apache Kafka follow each other, and change ISRs in both ways while a Kafka
// broker is the controller; the replicas are the same to the byte.
func TestReplicationWithKafka(t *testing.T) {
	for _, propagation := range []string{"zookeeper", "controller"} {
		t.Run(propagation, func(t *testing.T) {
			c := cluster.Start(t, 0, cluster.Props{
				"replica.lag.time.max.ms": "2000", "zookeeper.session.timeout.ms": "30000", "auto.leader.rebalance.enable": "false",
			})
			first := c.AddKafka(nil)
			gregor := c.Add(cluster.Props{"gregor.isr.propagation": propagation})
			second := c.AddKafka(nil)
			if got := c.Controller(); got != first.ID() {
				t.Fatalf("controller %d, want %d, which is Kafka's", got, first.ID())
			}
			c.CreateTopic("orders", 3, 3, replicated)
			led := map[int32]int{}
			for p := range int32(3) {
				led[c.Leader("orders", p)]++
			}
			if len(led) != 3 {
				t.Fatalf("leaderships %v, want one each", led)
			}
			acked := c.Produce("orders", 1000, everywhere)
			// A follower of Gregor's falls silent, leaves the ISR and returns to it.
			client := c.Client(kgo.DefaultProduceTopic("orders"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			mine := int32(0)
			for c.Leader("orders", mine) != gregor.ID() {
				mine++
			}
			send := func() {
				if err := client.ProduceSync(t.Context(), &kgo.Record{Partition: mine, Value: []byte("v")}).FirstErr(); err != nil {
					t.Error(err)
				}
			}
			second.Pause()
			c.Await("ISR without the silent follower", func() bool {
				send()
				return len(c.ISR("orders", mine)) == 2
			})
			second.Resume()
			awaitISR(c, "orders", 3, 3)
			// Gregor returns after a kill, and follows Kafka.
			c.Kill(gregor.ID())
			c.Restart(gregor.ID())
			for place, value := range c.Produce("orders", 1000, everywhere) {
				acked[place] = value
			}
			awaitISR(c, "orders", 3, 3)
			if len(acked) != 2000 {
				t.Errorf("%d of 2000 records were acknowledged", len(acked))
			}
			c.RequireReadable("orders", acked, patience)
			requireIdentical(t, c, "orders", 3)
		})
	}
}
