package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// dirsOf returns where kafka-log-dirs finds the partitions of a topic: by partition, the directories of each
// broker's replica; a future replica has a "+" behind.
func dirsOf(t *testing.T, c *cluster.Cluster, topic string) map[string][]string {
	t.Helper()
	out := string(cluster.MustTool(t, nil, "kafka-log-dirs", "--bootstrap-server", c.Bootstrap(), "--describe", "--topic-list", topic))
	var shown struct {
		Brokers []struct {
			Broker  int32
			LogDirs []struct {
				LogDir     string
				Error      *string
				Partitions []struct {
					Partition string
					IsFuture  bool
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out[strings.Index(out, "{"):]), &shown); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	found := map[string][]string{}
	for _, b := range shown.Brokers {
		for _, d := range b.LogDirs {
			if d.Error != nil {
				found["failed"] = append(found["failed"], d.LogDir)
			}
			for _, p := range d.Partitions {
				if p.IsFuture {
					d.LogDir += "+"
				}
				found[p.Partition] = append(found[p.Partition], d.LogDir)
			}
		}
	}
	return found
}

// TestReplicasMoveBetweenDirectories: kafka-reassign-partitions moves replicas to other directories while records
// come in; kafka-log-dirs shows where they are; all records are there afterwards, and after a restart.
func TestReplicasMoveBetweenDirectories(t *testing.T) {
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	c := cluster.Start(t, 1, cluster.Props{"log.dirs": a + "," + b, "log.segment.bytes": "100000"})
	c.CreateTopic("orders", 4, 1, nil)
	acked := c.Produce("orders", 20_000, everywhere)
	before := dirsOf(t, c, "orders")
	wanted := map[string]string{}
	var parts []string
	for i := range 4 {
		name := fmt.Sprintf("orders-%d", i)
		wanted[name] = map[string]string{a: b, b: a}[before[name][0]]
		parts = append(parts, fmt.Sprintf(`{"topic":"orders","partition":%d,"replicas":[1],"log_dirs":[%q]}`, i, wanted[name]))
	}
	plan := filepath.Join(base, "plan.json")
	if err := os.WriteFile(plan, []byte(`{"version":1,"partitions":[`+strings.Join(parts, ",")+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster.MustTool(t, nil, "kafka-reassign-partitions", "--bootstrap-server", c.Bootstrap(), "--reassignment-json-file", plan, "--execute")
	for at, value := range c.Produce("orders", 5000, everywhere) {
		acked[at] = value
	}
	moved := func() bool {
		found := dirsOf(t, c, "orders")
		for name, dir := range wanted {
			if len(found[name]) != 1 || found[name][0] != dir {
				return false
			}
		}
		return true
	}
	c.Await("all replicas in their new directories", moved)
	out := cluster.MustTool(t, nil, "kafka-reassign-partitions", "--bootstrap-server", c.Bootstrap(), "--reassignment-json-file", plan, "--verify")
	if n := strings.Count(string(out), "completed successfully"); n != 4 {
		t.Errorf("verified %d moves:\n%s", n, out)
	}
	c.RequireReadable("orders", acked, patience)
	c.Kill(1)
	c.Restart(1)
	if !moved() {
		t.Errorf("after a restart: %v", dirsOf(t, c, "orders"))
	}
	c.RequireReadable("orders", acked, patience)
}

// TestKilledWhileMoving: a move goes on after SIGKILL, however often.
func TestKilledWhileMoving(t *testing.T) {
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	c := cluster.Start(t, 1, cluster.Props{"log.dirs": a + "," + b, "log.segment.bytes": "5000000"}) // each takes some syncs
	c.CreateTopic("orders", 1, 1, nil)
	acked := c.Produce("orders", 5000)
	fill(t, c, "orders", 2000, 50_000)
	admin := kadm.NewClient(c.Client())
	for range 4 {
		from := dirsOf(t, c, "orders")["orders-0"]
		to := map[string]string{a: b, b: a}[from[0]]
		var req kadm.AlterReplicaLogDirsReq
		req.Add(to, kadm.TopicsSet{"orders": {0: {}}})
		resp, err := admin.AlterBrokerReplicaLogDirs(deadline(t), 1, req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Each(func(r kadm.AlterReplicaLogDirsResponse) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		})
		c.Kill(1)
		c.Restart(1)
		c.AwaitTopic("orders")
		c.Await("the replica in its new directory", func() bool {
			found := dirsOf(t, c, "orders")["orders-0"]
			return len(found) == 1 && found[0] == to
		})
		c.RequireReadable("orders", acked, patience)
	}
}
