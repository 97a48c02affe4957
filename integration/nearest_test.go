package integration

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// startRacks starts three brokers in the racks a, b and c, the first of which leads the topic, and fills it.
func startRacks(t *testing.T, topic string, records, size int) *cluster.Cluster {
	t.Helper()
	selector := cluster.Props{"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
	c := cluster.Start(t, 0, selector)
	for _, rack := range []string{"a", "b", "c"} {
		c.Add(cluster.Props{"broker.rack": rack})
	}
	c.AwaitBrokers()
	cluster.MustTool(t, nil, "kafka-topics", "--bootstrap-server", c.Bootstrap(), "--create", "--topic", topic, "--replica-assignment", "1:2:3")
	c.AwaitTopic(topic)
	fill(t, c, topic, records, size)
	return c
}

// fill appends records of a size to the first partition of a topic, on all in-sync replicas.
func fill(t *testing.T, c *cluster.Cluster, topic string, records, size int) {
	t.Helper()
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	value := []byte(strings.Repeat("x", size))
	for range records {
		client.Produce(t.Context(), &kgo.Record{Topic: topic, Value: value}, nil)
	}
	if err := client.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
}

// served counts from which brokers a client was given records.
type served [4]atomic.Int64

func (s *served) OnFetchBatchRead(b kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	s[b.NodeID].Add(int64(m.NumRecords))
}

// TestNearestReplicaWithFranzGo: a consumer in the rack of a follower is served by it, one in a rack without a
// replica by the leader, and if the follower dies, by the leader again.
func TestNearestReplicaWithFranzGo(t *testing.T) {
	const records = 2000
	c := startRacks(t, "orders", records, 100)
	read := func(client *kgo.Client, n int) {
		t.Helper()
		ctx := deadline(t)
		for got := 0; got < n; {
			fetches := client.PollFetches(ctx)
			if ctx.Err() != nil {
				t.Fatalf("read %d of %d records: %v", got, n, fetches.Err())
			}
			got += fetches.NumRecords()
		}
	}
	for rack, from := range map[string]int{"a": 1, "b": 2, "c": 3, "elsewhere": 1} {
		var by served
		client := c.Client(kgo.Rack(rack), kgo.WithHooks(&by), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			"orders": {0: kgo.NewOffset().AtStart()},
		}))
		read(client, records)
		for id := 1; id <= 3; id++ {
			if got := by[id].Load(); (got > 0) != (id == from) {
				t.Errorf("rack %s: broker %d served %d records, expected all from %d", rack, id, got, from)
			}
		}
		if rack != "c" {
			continue
		}
		c.Kill(3)
		fill(t, c, "orders", 100, 100)
		read(client, 100)
		c.Restart(3)
		awaitISR(c, "orders", 1, 3)
	}
}

// TestNearestReplicaWithJavaConsumer: the follower in the consumer's rack sends the records, the leader hardly
// anything.
func TestNearestReplicaWithJavaConsumer(t *testing.T) {
	const records, size = 4000, 5000
	c := startRacks(t, "orders", records, size)
	before := []int64{written(t, c, 1), written(t, c, 2), written(t, c, 3)}
	out := cluster.MustTool(t, nil, "kafka-console-consumer", "--bootstrap-server", c.Bootstrap(), "--topic", "orders",
		"--partition", "0", "--offset", "earliest", "--max-messages", fmt.Sprint(records),
		"--consumer-property", "client.rack=c")
	if n := strings.Count(string(out), "\n"); n != records {
		t.Fatalf("read %d records of %d", n, records)
	}
	for i := range before {
		sent := written(t, c, int32(i+1)) - before[i]
		if near := i == 2; near != (sent > records*size) || !near && sent > records*size/4 {
			t.Errorf("broker %d wrote %d bytes while %d were consumed from the rack of broker 3", i+1, sent, records*size)
		}
	}
}

// written returns how many bytes a broker has written, to files and sockets.
func written(t *testing.T, c *cluster.Cluster, id int32) (n int64) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", c.Broker(id).PID()))
	if err != nil {
		t.Skip(err)
	}
	_, after, _ := strings.Cut(string(data), "wchar: ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
