package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// fillTopic produces n records of about size bytes to a topic, in batches of that size.
func fillTopic(t *testing.T, c *cluster.Cluster, topic string, n, size int) {
	t.Helper()
	client := c.Client(kgo.DefaultProduceTopic(topic), everywhere, kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(int32(size+600)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Value: bytes.Repeat([]byte("v"), size)}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestReassignmentThrottled: new replicas are copied no faster than the throttle of their leader, or their own, allows,
// and replicas in sync go on as ever.
func TestReassignmentThrottled(t *testing.T) {
	for _, role := range []string{"leader", "follower"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			c := cluster.Start(t, 3, cluster.Props{"replica.fetch.max.bytes": "32768", "replica.fetch.response.max.bytes": "32768"})
			m := newMover(t, c, "orders", 2, []int32{1, 2}, replicated)
			const size, rate = 2_000_000, 250_000
			fillTopic(t, c, "orders", size/10_000, 10_000)
			admin := kadm.NewClient(m.client)
			set := func(property, value string) []kadm.AlterConfig {
				return []kadm.AlterConfig{{Name: role + ".replication.throttled." + property, Value: &value}}
			}
			if _, err := admin.AlterTopicConfigs(t.Context(), set("replicas", "*"), "orders"); err != nil {
				t.Fatal(err)
			}
			// Who has this in force has the change before, too: brokers take them in order.
			if _, err := admin.AlterBrokerConfigs(t.Context(), set("rate", fmt.Sprint(rate)), 1, 2, 3); err != nil {
				t.Fatal(err)
			}
			c.Await("throttles on all brokers", func() bool {
				configs, err := admin.DescribeBrokerConfigs(t.Context(), 1, 2, 3)
				return err == nil && strings.Count(fmt.Sprint(configs), role+".replication.throttled.rate") >= 3
			})
			client := c.Client(kgo.DefaultProduceTopic("orders"), everywhere)
			send := func() time.Duration {
				t.Helper()
				before := time.Now()
				if err := client.ProduceSync(deadline(t), kgo.StringRecord("v")).FirstErr(); err != nil {
					t.Fatal(err)
				}
				return time.Since(before)
			}
			send()                                        // the first finds the leaders
			pace := time.NewTicker(50 * time.Millisecond) // what is sent to those in sync is part of the rate
			defer pace.Stop()
			begun := time.Now()
			m.move(3, 2)
			for ; m.moving() != 0; <-pace.C {
				if waited := send(); waited > 5*time.Second {
					t.Errorf("a record waited %v for replicas that are in sync", waited)
				}
			}
			took := time.Since(begun)
			t.Logf("copied %d bytes in %v, %.0f bytes a second", size, took, size/took.Seconds())
			if least := time.Duration(size/rate) * time.Second / 3; took < least {
				t.Errorf("moved %d bytes in %v, though no more than %d a second are allowed", size, took, rate)
			}
			m.awaitMoved([]int32{3, 2})
		})
	}
}

// TestKafkaReassignPartitions runs Kafka's own tool, as an operator does, with what it printed against Kafka.
func TestKafkaReassignPartitions(t *testing.T) {
	// So small that a throttle of 1000 B/s leaves the tool all the time it needs.
	c := cluster.Start(t, 3, cluster.Props{"replica.fetch.max.bytes": "32768", "replica.fetch.response.max.bytes": "32768"})
	m := newMover(t, c, "moving", 1, []int32{1, 2}, nil)
	fillTopic(t, c, "moving", 1200, 10_000)
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	move := file("move.json", `{"version":1,"partitions":[{"topic":"moving","partition":0,"replicas":[3,2]}]}`)
	topics := file("topics.json", `{"version":1,"topics":[{"topic":"moving"}]}`)
	tool := func(exit int, want string, args ...string) {
		t.Helper()
		r := cluster.Tool(t, nil, "kafka-reassign-partitions", append([]string{"--bootstrap-server", c.Bootstrap()}, args...)...)
		if out := string(r.Stdout); r.Exit != exit || !strings.Contains(out, want) {
			t.Errorf("%v: exit status %d, want %d, and %q in\n%s%s", args, r.Exit, exit, want, out, r.Stderr)
		}
	}
	tool(0, `Current partition replica assignment
{"version":1,"partitions":[{"topic":"moving","partition":0,"replicas":[1,2],"log_dirs":["any","any"]}]}
`, "--topics-to-move-json-file", topics, "--broker-list", "2,3", "--generate")
	tool(0, "The inter-broker throttle limit was set to 1000 B/s\nSuccessfully started partition reassignment for moving-0\n",
		"--reassignment-json-file", move, "--execute", "--throttle", "1000")
	tool(0, "Current partition reassignments:\nmoving-0: replicas: 3,2,1. adding: 3. removing: 1.\n", "--list")
	tool(0, "Reassignment of partition moving-0 is still in progress.", "--reassignment-json-file", move, "--verify")
	tool(1, "Cannot execute because there is an existing partition assignment.", "--reassignment-json-file", move, "--execute")
	tool(0, "Successfully cancelled partition reassignment for: moving-0\n", "--reassignment-json-file", move, "--cancel")
	tool(0, "No partition reassignments found.\n", "--list")
	m.awaitMoved([]int32{1, 2})
	tool(0, "The inter-broker throttle limit was set to 1000 B/s", "--reassignment-json-file", move, "--execute", "--throttle", "1000")
	tool(0, "The inter-broker throttle limit was set to 100000000 B/s\nSuccessfully started partition reassignment for moving-0\n",
		"--reassignment-json-file", move, "--execute", "--additional", "--throttle", "100000000")
	m.awaitMoved([]int32{3, 2})
	tool(0, `Reassignment of partition moving-0 is completed.

Clearing broker-level throttles on brokers 1,2,3
Clearing topic-level throttles on topic moving
`, "--reassignment-json-file", move, "--verify")
	tool(1, "Error: Unknown broker id 9", "--reassignment-json-file",
		file("bad.json", `{"version":1,"partitions":[{"topic":"moving","partition":0,"replicas":[9]}]}`), "--execute")
}
