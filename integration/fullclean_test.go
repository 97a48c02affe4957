package integration

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestCleanerMeetsFullDisk: a log is cleaned on a disk without space, which nobody else writes to. The directory is
// offline, as after any failed write; its logs are cleaned once there is space, and keep the last version of each key.
func TestCleanerMeetsFullDisk(t *testing.T) {
	disk := newDisk(t)
	const partitions = 4
	props := maps.Clone(quickCleaner)
	props["replica.high.watermark.checkpoint.interval.ms"] = "200"
	props["log.cleaner.dedupe.buffer.size"] = "4194304"
	c := cluster.Start(t, 2, props)
	good, bad := filepath.Join(t.TempDir(), "good"), filepath.Join(disk.Path(), "logs")
	c.Add(cluster.Props{"log.dirs": good + "," + bad})
	c.CreateTopic("orders", partitions, 3, cluster.Props{"min.insync.replicas": "2", "cleanup.policy": "compact",
		"segment.bytes": "262144", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "3600000"})
	awaitISR(c, "orders", partitions, 3)
	want, ends := map[string]string{}, map[int32]int64{}
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for version := range 20 {
		var records []*kgo.Record
		for key := range 40 {
			r := kgo.KeyStringRecord(fmt.Sprint(key), fmt.Sprintf("%d %01000d", version, key))
			r.Topic, r.Partition = "orders", int32(key%partitions)
			want[string(r.Key)] = string(r.Value)
			records = append(records, r, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: fmt.Append(nil, key, version), Value: make([]byte, 4000)})
		}
		if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			ends[r.Partition] = max(ends[r.Partition], r.Offset+1)
		}
	}
	lost := inDir(t, bad, "orders")
	for _, p := range lost {
		c.Await("everything that is written without a cleaning", func() bool {
			small, err := filepath.Glob(filepath.Join(bad, fmt.Sprintf("orders-%d", p), "[lp]*[ta]")) // leader-epoch-checkpoint, partition.metadata
			return err == nil && len(small) == 2 && checkpointed(t, bad, "replication-offset-checkpoint", fmt.Sprintf("orders %d", p)) == ends[p]
		})
	}
	if err := disk.FillBut(256 << 10); err != nil { // what is flushed before a cleaning has room, what is left after it has not
		t.Fatal(err)
	}
	if failed := dirsOf(t, c, "orders")["failed"]; len(failed) != 0 {
		t.Fatalf("failed before the cleaner has written: %v", failed)
	}
	cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", c.Bootstrap(), "--alter", "--entity-type", "topics", "--entity-name", "orders",
		"--add-config", "min.compaction.lag.ms=0")
	requireFailed(t, c, partitions, lost)
	if log := c.Broker(3).LogSince(0); !strings.Contains(log, ".cleaned: no space left on device") {
		t.Error("the directory has not failed for want of space for the cleaner")
	}
	if err := disk.Free(); err != nil {
		t.Fatal(err)
	}
	c.Restart(3)
	awaitISR(c, "orders", partitions, 3)
	for _, p := range lost {
		c.Await(fmt.Sprintf("orders-%d to be cleaned on broker 3", p), func() bool {
			return checkpointed(t, bad, "cleaner-offset-checkpoint", fmt.Sprintf("orders %d", p)) > 0
		})
	}
	for _, id := range []int32{1, 2} { // broker 3 has it all
		c.Kill(id)
	}
	c.Restart(1)
	c.Restart(2)
	requireLast(t, c, "orders", want)
}

// requireLast reads a topic until the last record of each key is what it should be.
func requireLast(t *testing.T, c *cluster.Cluster, topic string, want map[string]string) {
	t.Helper()
	client := c.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AlwaysRetryEOF())
	ctx, last := deadline(t), map[string]string{}
	for missing := want; len(missing) > 0; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d keys of %s do not end as they should: %v", len(missing), topic, missing)
		}
		fetches.EachRecord(func(r *kgo.Record) { last[string(r.Key)] = string(r.Value) })
		missing = maps.Clone(want)
		maps.DeleteFunc(missing, func(key, value string) bool { return last[key] == value })
	}
}
