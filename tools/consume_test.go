package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// startConsumers starts a broker for groups of consumers, with a topic of so many partitions.
func startConsumers(t *testing.T, partitions int32) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs ZooKeeper and a broker")
	}
	c := cluster.Start(t, 1, groupsProps)
	c.CreateTopic("orders", partitions, 1, nil)
	return c
}

// send produces values to a partition.
func send(t *testing.T, c *cluster.Cluster, partition int32, values ...string) {
	t.Helper()
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	var records []*kgo.Record
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: "orders", Partition: partition, Value: []byte(v)})
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// committed returns the offsets of a group, as "partition:offset" in the order of partitions, or the error.
func committed(t *testing.T, c *cluster.Cluster, group string) string {
	t.Helper()
	client := c.Client()
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), group)
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, o := range offsets.Sorted() {
		all = append(all, fmt.Sprintf("%d:%d", o.Partition, o.At))
	}
	return strings.Join(all, " ")
}

// TestConsumeCommitsPositions checks what a group has committed once the tool has ended: the positions in all
// partitions, also in those of which nothing was printed.
func TestConsumeCommitsPositions(t *testing.T) {
	c := startConsumers(t, 2)
	consume := func(args ...string) string {
		t.Helper()
		stdout, stderr, status := execute(t, "", append([]string{"kafka-console-consumer", "--bootstrap-server", c.Bootstrap(), "--topic", "orders"}, args...)...)
		if status != 0 {
			t.Fatalf("ended with %d\n%s", status, stderr)
		}
		return strings.Join(strings.Fields(stdout), " ")
	}
	send(t, c, 0, "a", "b", "c")

	if got := consume("--group", "late", "--timeout-ms", "5000"); got != "" { // it joins within that time
		t.Errorf("a new group has read %q", got)
	}
	if got := committed(t, c, "late"); got != "0:3 1:0" {
		t.Errorf("the group that has read nothing committed %q", got)
	}
	if got := consume("--group", "early", "--from-beginning", "--max-messages", "2"); got != "a b" || committed(t, c, "early") != "0:2 1:0" {
		t.Errorf("read %q and committed %q", got, committed(t, c, "early"))
	}
	if got := consume("--group", "silent", "--from-beginning", "--max-messages", "2", "--consumer-property", "enable.auto.commit=false"); got != "a b" || committed(t, c, "silent") != "" {
		t.Errorf("read %q and committed %q", got, committed(t, c, "silent"))
	}
	send(t, c, 1, "x")
	if got := consume("--group", "late", "--max-messages", "1"); got != "x" {
		t.Errorf("the group goes on with %q", got)
	}
	if got := consume("--group", "early", "--max-messages", "2"); len(got) != 3 || !strings.Contains(got, "x") || !strings.Contains(got, "c") {
		t.Errorf("the other group goes on with %q", got)
	}
}

// TestConsumeCommitsWhileItWaits checks that positions are committed while the tool runs, though there is nothing to
// print.
func TestConsumeCommitsWhileItWaits(t *testing.T) {
	c := startConsumers(t, 1)
	send(t, c, 0, "a", "b")
	stop := startConsume(t, c, &lockedBuffer{}, "--group", "idle", "--consumer-property", "auto.commit.interval.ms=200")
	c.Await("the commit", func() bool { return committed(t, c, "idle") == "0:2" })
	stop()
}

// startConsume runs the tool until stop, which ends it as a signal does.
func startConsume(t *testing.T, c *cluster.Cluster, out *lockedBuffer, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var errs lockedBuffer
	var wg sync.WaitGroup
	wg.Go(func() {
		env := &tool.Env{Stdin: strings.NewReader(""), Stdout: out, Stderr: &errs, Now: time.Now}
		run(ctx, env, append([]string{"kafka-console-consumer", "--bootstrap-server", c.Bootstrap(), "--topic", "orders"}, args...))
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// TestConsumersShareATopic lets consumers come and go under load. All of them leave in order; so each record is
// printed, and none twice.
func TestConsumersShareATopic(t *testing.T) {
	c := startConsumers(t, 4)
	var out lockedBuffer
	start := func() func() { return startConsume(t, c, &out, "--group", "shared", "--from-beginning") }
	lines := func() int { return strings.Count(out.String(), "\n") }
	const rounds, each = 8, 60 // records of each round, in each partition
	var stops []func()
	for round := range rounds {
		for p := range int32(4) {
			var values []string
			for i := range each {
				values = append(values, fmt.Sprintf("r%d-p%d-%d", round, p, i))
			}
			send(t, c, p, values...)
		}
		if round%2 == 0 {
			stops = append(stops, start())
		} else if round > 1 {
			stops[0]()
			stops = stops[1:]
		}
		c.Await("records of the round", func() bool { return lines() >= (round+1)*each*4/2 })
	}
	c.Await("all records", func() bool { return lines() >= rounds*each*4 })
	for _, stop := range stops {
		stop()
	}
	times := map[string]int{}
	for line := range strings.Lines(out.String()) {
		times[line]++
	}
	for line, n := range times {
		if n != 1 {
			t.Errorf("%q was printed %d times", line, n)
		}
	}
	if want := rounds * each * 4; len(times) != want {
		t.Errorf("%d records were printed, want %d", len(times), want)
	}
}

// TestNewGroupProtocol checks that the group protocol of KIP-848 is refused, and that nothing joins.
func TestNewGroupProtocol(t *testing.T) {
	c := startConsumers(t, 1)
	stdout, stderr, status := execute(t, "", "kafka-console-consumer", "--bootstrap-server", c.Bootstrap(), "--topic", "orders", "--group", "new",
		"--timeout-ms", "5000", "--consumer-property", "group.protocol=consumer")
	if status != 1 || stdout != "" || !strings.Contains(stderr, "UnsupportedVersionException: The version of API is not supported.") {
		t.Errorf("ended with %d\n%s%s", status, stdout, stderr)
	}
	stdout, _, _ = execute(t, "", "kafka-consumer-groups", "--bootstrap-server", c.Bootstrap(), "--describe", "--group", "new", "--state")
	if !strings.Contains(stdout, "Consumer group 'new' does not exist.") {
		t.Errorf("a group was made\n%s", stdout)
	}
}
