package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// replicated is a topic with a copy on each of three brokers, two of which must hold what is acknowledged.
var replicated = cluster.Props{"min.insync.replicas": "2"}

// everywhere spreads records over all partitions.
var everywhere = kgo.RecordPartitioner(kgo.RoundRobinPartitioner())

// awaitISR waits until all n replicas of each partition are in sync.
func awaitISR(c *cluster.Cluster, topic string, partitions int32, n int) {
	for p := range partitions {
		c.Await(fmt.Sprintf("%d in-sync replicas of %s-%d", n, topic, p), func() bool { return len(c.ISR(topic, p)) == n })
	}
}

// requireIdentical compares the segments of a topic's partitions on all brokers, once they are the same
// length.
func requireIdentical(t *testing.T, c *cluster.Cluster, topic string, partitions int32) {
	t.Helper()
	requireIdenticalOn(t, c.Brokers(), topic, partitions)
}

// requireIdenticalOn is requireIdentical on some brokers.
func requireIdenticalOn(t *testing.T, brokers []*cluster.Broker, topic string, partitions int32) {
	t.Helper()
	for p := range partitions {
		var logs [][]byte
		read := func() bool {
			logs = logs[:0]
			for _, b := range brokers {
				logs = append(logs, segments(t, filepath.Join(b.DataDir(), fmt.Sprintf("%s-%d", topic, p))))
			}
			return !slices.ContainsFunc(logs, func(l []byte) bool { return len(l) != len(logs[0]) })
		}
		cluster.Await(t, patience, fmt.Sprintf("equally long replicas of %s-%d", topic, p), read)
		for i, l := range logs {
			if !bytes.Equal(l, logs[0]) {
				t.Errorf("%s-%d: replica of broker %d differs from that of broker %d", topic, p, brokers[i].ID(), brokers[0].ID())
			}
		}
		if len(logs[0]) == 0 {
			t.Errorf("%s-%d is empty", topic, p)
		}
	}
}

// segments returns the records of a replica.
func segments(t *testing.T, dir string) []byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var all []byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil // just being replaced
		}
		all = append(all, data...)
	}
	return all
}

// TestReplication: what is acknowledged by all is on all, and identical.
func TestReplication(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"num.replica.fetchers": "2"})
	c.CreateTopic("orders", 6, 3, replicated)
	acked := c.Produce("orders", 3000, everywhere)
	if len(acked) != 3000 {
		t.Fatalf("%d of 3000 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
	awaitISR(c, "orders", 6, 3)
	requireIdentical(t, c, "orders", 6)
}

// TestFollowerKilled: a dead follower leaves the ISR, the others go on, and it catches up.
func TestFollowerKilled(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"replica.lag.time.max.ms": "2000"})
	c.CreateTopic("orders", 3, 3, replicated)
	acked := c.Produce("orders", 500, everywhere)
	victim := c.Leader("orders", 0)%3 + 1
	c.Kill(victim)
	for place, value := range c.Produce("orders", 500, everywhere) {
		acked[place] = value
	}
	awaitISR(c, "orders", 3, 2)
	c.Restart(victim)
	awaitISR(c, "orders", 3, 3)
	if len(acked) != 1000 {
		t.Errorf("%d of 1000 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
	requireIdentical(t, c, "orders", 3)
}

// TestSilentFollowerLeavesTheISR: a frozen follower, which ZooKeeper still takes for alive, holds producers
// up no longer than replica.lag.time.max.ms allows.
func TestSilentFollowerLeavesTheISR(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"replica.lag.time.max.ms": "1000", "zookeeper.session.timeout.ms": "60000"})
	c.CreateTopic("orders", 1, 3, replicated)
	c.Produce("orders", 10)
	awaitISR(c, "orders", 1, 3)
	silent := c.Leader("orders", 0)%3 + 1
	if silent == c.Controller() {
		silent = silent%3 + 1
		if silent == c.Leader("orders", 0) {
			silent = silent%3 + 1
		}
	}
	client := c.Client(kgo.DefaultProduceTopic("orders"))
	send := func() error { return client.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr() }
	if err := send(); err != nil { // now the client knows where to go
		t.Fatal(err)
	}
	c.Pause(silent)
	begun := time.Now()
	if err := send(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Second { // by default it may be silent for 30 s
		t.Errorf("a silent follower held producers up for %v", took)
	}
	awaitISR(c, "orders", 1, 2)
	c.Resume(silent)
	awaitISR(c, "orders", 1, 3)
	requireIdentical(t, c, "orders", 1)
}

// TestLeadersKilled kills each broker in turn while a producer is at work: no acknowledged record is lost,
// and the replicas are the same in the end.
func TestLeadersKilled(t *testing.T) {
	c := cluster.Start(t, 3, nil)
	c.CreateTopic("orders", 4, 3, replicated)
	produced := make(chan cluster.Acked)
	go func() {
		produced <- c.Produce("orders", 20000, everywhere, kgo.ProducerBatchMaxBytes(2048), kgo.ProducerLinger(20*time.Millisecond))
	}()
	for range 2 {
		victim := c.Leader("orders", 0)
		c.Kill(victim)
		c.Await("another leader", func() bool { return c.Leader("orders", 0) != victim })
		c.Restart(victim)
		awaitISR(c, "orders", 4, 3)
	}
	acked := <-produced
	for place, value := range c.Produce("orders", 100) {
		acked[place] = value
	}
	t.Logf("%d records were acknowledged", len(acked))
	c.RequireReadable("orders", acked, patience)
	awaitISR(c, "orders", 4, 3)
	requireIdentical(t, c, "orders", 4)
}

// TestRollingRestart stops and starts one broker after the other: each hands over what it leads before it
// ends, so that a producer that retries sees no error.
func TestRollingRestart(t *testing.T) {
	c := cluster.Start(t, 3, nil)
	c.CreateTopic("orders", 6, 3, replicated)
	produced := make(chan cluster.Acked)
	const records = 5000
	go func() {
		produced <- c.Produce("orders", records, everywhere, kgo.ProducerBatchMaxBytes(1024), kgo.ProducerLinger(20*time.Millisecond))
	}()
	for _, b := range c.Brokers() {
		c.Stop(b.ID())
		for p := range int32(6) {
			if leader := c.Leader("orders", p); leader == b.ID() {
				t.Errorf("broker %d still leads orders-%d after it has stopped", leader, p)
			}
			if isr := c.ISR("orders", p); slices.Contains(isr, b.ID()) {
				t.Errorf("broker %d is still in the ISR %v of orders-%d after it has stopped", b.ID(), isr, p)
			}
		}
		if !strings.Contains(b.LogSince(0), "controlled shutdown succeeded") {
			t.Errorf("broker %d did not hand over:\n%s", b.ID(), b.Log())
		}
		c.Restart(b.ID())
		awaitISR(c, "orders", 6, 3)
	}
	acked := <-produced
	if len(acked) != records {
		t.Errorf("%d of %d records were acknowledged", len(acked), records)
	}
	c.RequireReadable("orders", acked, patience)
	requireIdentical(t, c, "orders", 6)
}
