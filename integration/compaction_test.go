package integration

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// quickCleaner has the cleaner look often, and clean what is little dirty.
var quickCleaner = cluster.Props{
	"log.cleaner.backoff.ms": "100", "log.cleaner.min.cleanable.ratio": "0.01", "log.initial.task.delay.ms": "0",
	"log.retention.check.interval.ms": "200",
}

// cleanedTo returns up to where a partition, "topic index", is clean, as its broker's directory says; -1: it never was.
func cleanedTo(t *testing.T, b *cluster.Broker, partition string) int64 {
	t.Helper()
	return checkpointed(t, b.DataDir(), "cleaner-offset-checkpoint", partition)
}

// checkpointed returns the offset that a checkpoint of a log directory has for a partition, "topic index"; -1: none.
func checkpointed(t *testing.T, dir, name, partition string) int64 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), partition+" "); ok {
			offset, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return offset
		}
	}
	return -1
}

// recordsOf returns the records of partition 0 of a topic, up to its end at the time of the call.
func recordsOf(t *testing.T, c *cluster.Cluster, topic string, opts ...kgo.Opt) []*kgo.Record {
	t.Helper()
	client := c.Client(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))...)
	defer client.Close()
	end := endOffset(t, client, topic)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []*kgo.Record
	for startOffset(t, client, topic) < end && (len(all) == 0 || all[len(all)-1].Offset < end-1) {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read %s: %v", topic, err)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// lastValues returns of each key the offset and value of the last record.
func lastValues(records []*kgo.Record) map[string]string {
	last := map[string]string{}
	for _, r := range records {
		last[string(r.Key)] = fmt.Sprintf("%d:%s", r.Offset, r.Value)
	}
	return last
}

// produceVersions sends n versions of each of some keys with kcat, and as many of others with kafka-go, and returns the
// last ones by key.
func produceVersions(t *testing.T, c *cluster.Cluster, topic, name string, n, keys int) {
	t.Helper()
	var lines bytes.Buffer
	var messages []kafkago.Message
	for i := range n {
		for k := range keys {
			fmt.Fprintf(&lines, "kcat-%d=%s-%d\n", k, name, i)
			messages = append(messages, kafkago.Message{Key: fmt.Appendf(nil, "go-%d", k), Value: fmt.Appendf(nil, "%s-%d", name, i)})
		}
	}
	cluster.Kcat(t, &lines, "-b", c.Bootstrap(), "-P", "-t", topic, "-K", "=", "-z", "lz4", "-X", "enable.idempotence=true")
	// The transport that all have by default remembers for seconds what a broker said while it started.
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafkago.Writer{Addr: kafkago.TCP(c.Addrs()...), Topic: topic, BatchSize: 50, BatchTimeout: 10 * time.Millisecond,
		RequiredAcks: kafkago.RequireAll, Transport: transport}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}
}

// roll sends records of two other keys until all before them are in segments that may be cleaned.
func roll(t *testing.T, c *cluster.Cluster, topic string) {
	t.Helper()
	client := c.Client(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer client.Close()
	for i := range 12 {
		r := &kgo.Record{Key: fmt.Appendf(nil, "filler-%d", i%2), Value: bytes.Repeat([]byte("x"), 1000)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// dumpLogs has Kafka's tool look at all logs of a partition, and at their indexes.
func dumpLogs(t *testing.T, dir string) {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*.log", "*.index", "*.timeindex", "*.txnindex", "*.snapshot"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	out := string(cluster.MustTool(t, nil, "kafka-dump-log", "--deep-iteration", "--files", strings.Join(names, ",")))
	for _, complaint := range []string{"mismatch", "invalid", "Non-", "corrupt", "isvalid: false"} {
		if strings.Contains(out, complaint) {
			t.Errorf("kafka-dump-log says %q of %s:\n%.4000s", complaint, dir, out)
		}
	}
	if !strings.Contains(out, "baseOffset") {
		t.Errorf("kafka-dump-log shows nothing:\n%.2000s", out)
	}
}

// TestCompaction: a compacted topic keeps the last record of each key at its offset, and forgets keys that were deleted.
// Kafka's tools find its files in order, and a Kafka broker goes on with them where Gregor was, and the other way round.
func TestCompaction(t *testing.T) {
	c := cluster.Start(t, 1, quickCleaner)
	b := c.Broker(1)
	c.CreateTopic("accounts", 1, 1, cluster.Props{"cleanup.policy": "compact", "segment.bytes": "6000", "delete.retention.ms": "3000"})
	awaitCleaned := func() {
		t.Helper()
		end := endOffset(t, c.Client(), "accounts")
		roll(t, c, "accounts")
		c.Await("compaction", func() bool { return cleanedTo(t, b, "accounts 0") >= end })
	}
	produceVersions(t, c, "accounts", "first", 40, 10)
	want := lastValues(recordsOf(t, c, "accounts"))
	awaitCleaned()
	require := func(who string) {
		t.Helper()
		got := recordsOf(t, c, "accounts")
		seen := map[string]int{}
		for _, r := range got {
			seen[string(r.Key)]++
		}
		last := lastValues(got)
		for key, value := range want {
			if last[key] != value || seen[key] != 1 {
				t.Errorf("%s: %s is %q, with %d records; want %q alone", who, key, last[key], seen[key], value)
			}
		}
	}
	require("Gregor")
	if n := len(want); n != 20 {
		t.Fatalf("%d keys", n)
	}

	cluster.Kcat(t, strings.NewReader("kcat-0=\ngo-0=\n"), "-b", c.Bootstrap(), "-P", "-t", "accounts", "-K", "=", "-Z")
	delete(want, "kcat-0")
	delete(want, "go-0")
	c.Await("tombstones that go", func() bool {
		roll(t, c, "accounts")
		last := lastValues(recordsOf(t, c, "accounts"))
		return last["kcat-0"] == "" && last["go-0"] == ""
	})
	require("Gregor, after deletions")
	c.Stop(1)
	dumpLogs(t, filepath.Join(b.DataDir(), "accounts-0"))

	for _, kafka := range []bool{true, false} {
		who := map[bool]string{true: "Kafka", false: "Gregor again"}[kafka]
		b.SetKafka(kafka)
		c.Restart(1)
		c.AwaitTopic("accounts")
		require(who)
		produceVersions(t, c, "accounts", "then by "+who, 40, 5)
		maps.Copy(want, lastValues(recordsOf(t, c, "accounts")))
		maps.DeleteFunc(want, func(key, _ string) bool { return strings.HasPrefix(key, "filler") })
		awaitCleaned()
		require(who + ", after it has cleaned")
		c.Kill(1)
	}
	c.Restart(1)
	c.AwaitTopic("accounts")
	require("Gregor, killed")
}

// TestOffsetsAreCompacted: __consumer_offsets stays small, and no group loses what it has committed.
func TestOffsetsAreCompacted(t *testing.T) {
	props := maps.Clone(quickCleaner)
	maps.Copy(props, groupProps)
	props["offsets.topic.num.partitions"], props["offsets.topic.segment.bytes"] = "1", "5000"
	c := cluster.Start(t, 1, props)
	c.CreateTopic("orders", 1, 1, nil)
	admin := kadm.NewClient(c.Client())
	commit := func(group string, at int64) {
		t.Helper()
		var offsets kadm.Offsets
		offsets.Add(kadm.Offset{Topic: "orders", Partition: 0, At: at, LeaderEpoch: -1})
		await(t, "group "+group+" commits", func() bool {
			return admin.CommitAllOffsets(deadline(t), group, offsets) == nil
		})
	}
	commit("early", 7)
	commit("gone", 8)
	if _, err := admin.DeleteGroups(deadline(t), "gone"); err != nil {
		t.Fatal(err)
	}
	for i := range int64(400) {
		commit("busy", i)
	}
	b := c.Broker(1)
	c.Await("compaction of the offsets", func() bool { return cleanedTo(t, b, "__consumer_offsets 0") > 300 })
	if n := len(recordsOf(t, c, "__consumer_offsets")); n > 200 {
		t.Errorf("%d records are left of 400 versions", n)
	}
	check := func(when string) {
		t.Helper()
		for group, want := range map[string]int64{"early": 7, "busy": 399, "gone": -1} {
			offsets, err := admin.FetchOffsets(deadline(t), group)
			o, ok := offsets.Lookup("orders", 0)
			if got := o.At; err != nil || ok != (want >= 0) || ok && got != want {
				t.Errorf("%s: %s has committed %d, %v (%v)", when, group, got, ok, err)
			}
		}
	}
	check("before")
	c.Kill(1)
	c.Restart(1)
	await(t, "the coordinator is there", func() bool { return admin.FindGroupCoordinators(deadline(t), "busy")["busy"].Err == nil })
	check("after a restart")
	out := string(cluster.MustTool(t, nil, "kafka-consumer-groups", "--bootstrap-server", c.Bootstrap(), "--describe", "--group", "early"))
	if !slices.Contains(strings.Fields(out), "7") {
		t.Errorf("kafka-consumer-groups: %s", out)
	}
}
