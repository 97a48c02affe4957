package integration

import (
	"bytes"
	"maps"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestReplaceBrokers replaces Kafka's brokers by Gregor's, one at a time, as README.md says, and begins to go back. A producer and a
// consumer group work meanwhile: every record is acknowledged, once, and processed.
func TestReplaceBrokers(t *testing.T) {
	props := maps.Clone(groupProps)
	props["offsets.topic.replication.factor"] = "3"
	c := cluster.Start(t, 0, props)
	for range 3 {
		c.AddKafka(nil)
	}
	requireTaken(t, c.Broker(1))
	c.CreateTopic("orders", 6, 3, replicated)
	client := c.Client()
	stop := (&mover{Cluster: c, t: t, name: "orders", partitions: 6, client: client}).produce()
	seen := &consumed{}
	startMember(t, c, "orders", "members", seen, kgo.AlwaysRetryEOF())
	await(t, "the member has something", func() bool { return seen.len() > 0 })
	for _, next := range []struct {
		id    int32
		kafka bool
	}{{1, false}, {2, false}, {3, false}, {1, true}} {
		await(t, "no partition is under-replicated", func() bool { return underReplicated(t, c) == "" })
		c.Stop(next.id)
		c.Broker(next.id).SetKafka(next.kafka)
		c.Restart(next.id)
	}
	acked := stop()
	if len(acked) == 0 {
		t.Fatal("nothing was produced")
	}
	c.RequireReadable("orders", acked, patience)
	await(t, "the member has all", func() bool { return seen.len() == len(acked) })
	requireCommitted(t, c, "members", "orders", int64(len(acked))) // and so nothing is there twice
	await(t, "no partition is under-replicated", func() bool { return underReplicated(t, c) == "" })
	requireIdentical(t, c, "orders", 6)
}

// requireTaken requires that Gregor would start with what a broker has in its server.properties, but for ZooKeeper.
func requireTaken(t *testing.T, b *cluster.Broker) {
	t.Helper()
	gregor, err := cluster.Binary("gregor")
	if err != nil {
		t.Fatal(err)
	}
	r := cluster.Run(t, nil, exec.Command(gregor, filepath.Join(filepath.Dir(b.LogFile()), "server.properties"),
		"--override", "zookeeper.connect=127.0.0.1:1", "--override", "zookeeper.connection.timeout.ms=1000"))
	if len(r.Stderr) > 0 || !bytes.Contains(r.Stdout, []byte("connect to ZooKeeper")) {
		t.Errorf("exit status %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// underReplicated returns what an operator is told of partitions that lack replicas.
func underReplicated(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	r := cluster.Gregorctl(t, nil, "topics", "--bootstrap-server", c.Bootstrap(), "--describe", "--under-replicated-partitions")
	if r.Exit != 0 {
		return string(r.Stderr)
	}
	return string(r.Stdout)
}
