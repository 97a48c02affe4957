package integration

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/kafka"
)

// TestGroupKafkaGo consumes with kafka-go's Reader, which goes on where another one has stopped.
func TestGroupKafkaGo(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 3, 1, nil)
	for round := range 2 {
		produceValues(t, c, "orders", round*50, 50)
		r := kafkago.NewReader(kafkago.ReaderConfig{
			Brokers: c.Addrs(), GroupID: "kafka-go", Topic: "orders", MaxWait: 100 * time.Millisecond,
			StartOffset: kafkago.FirstOffset,
		})
		seen := &consumed{}
		for range 50 {
			m, err := r.ReadMessage(deadline(t))
			if err != nil {
				t.Fatal(err)
			}
			seen.add(string(m.Value))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for i := round * 50; i < round*50+50; i++ {
			if seen.times[fmt.Sprint(i)] != 1 {
				t.Errorf("round %d: record %d came %d times", round, i, seen.times[fmt.Sprint(i)])
			}
		}
	}
	requireCommitted(t, c, "kafka-go", "orders", 100)
}

// TestGroupTools consumes with librdkafka and with Java's consumer in one group after the other, and looks at the
// groups with Kafka's tool.
func TestGroupTools(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 2, 1, nil)
	produceValues(t, c, "orders", 0, 20)
	got := cluster.Kcat(t, nil, "-b", c.Bootstrap(), "-q", "-c", "20", "-o", "earliest", "-X", "auto.offset.reset=earliest",
		"-f", "%s\n", "-G", "rdkafka", "orders")
	if n := len(strings.Fields(string(got))); n != 20 {
		t.Errorf("kcat consumed %d records, want 20: %q", n, got)
	}
	requireCommitted(t, c, "rdkafka", "orders", 20)
	server := []string{"--bootstrap-server", c.Bootstrap()}
	run := func(tool string, args ...string) string {
		t.Helper()
		return string(cluster.MustTool(t, nil, tool, append(server, args...)...))
	}
	out := run("kafka-console-consumer", "--topic", "orders", "--group", "java", "--from-beginning", "--max-messages", "20")
	if n := len(strings.Fields(out)); n != 20 {
		t.Errorf("the console consumer printed %d records, want 20: %q", n, out)
	}
	requireCommitted(t, c, "java", "orders", 20)
	if out := run("kafka-consumer-groups", "--list"); !strings.Contains(out, "java") || !strings.Contains(out, "rdkafka") {
		t.Errorf("list printed %q", out)
	}
	out = run("kafka-consumer-groups", "--describe", "--group", "java")
	if strings.Count(out, "orders") != 2 || !strings.Contains(out, "java") {
		t.Errorf("describe printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--describe", "--group", "java", "--state"); !strings.Contains(out, "Empty") {
		t.Errorf("describe --state printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--delete-offsets", "--group", "java", "--topic", "orders:0"); !strings.Contains(out, "Successful") {
		t.Errorf("delete-offsets printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--delete", "--group", "rdkafka"); !strings.Contains(out, "was successful") {
		t.Errorf("delete printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--list"); strings.Contains(out, "rdkafka") {
		t.Errorf("the deleted group is still listed: %q", out)
	}
}

// TestOldOffsets keeps the offsets of consumers before Kafka 0.9 in ZooKeeper, where Kafka's brokers find them.
func TestOldOffsets(t *testing.T) {
	c := cluster.Start(t, 0, groupProps)
	brokers := []*cluster.Broker{c.Add(nil), c.AddKafka(nil)}
	c.AwaitBrokers()
	c.CreateTopic("orders", 1, 2, nil)
	c.AwaitTopic("orders")
	for i, b := range brokers {
		other := brokers[1-i]
		for _, offset := range []int64{5, 7} { // made, then changed
			commit := kmsg.NewPtrOffsetCommitRequest()
			part, topic := kmsg.NewOffsetCommitRequestTopicPartition(), kmsg.NewOffsetCommitRequestTopic()
			part.Offset, part.Metadata = offset, kmsg.StringPtr("")
			topic.Topic, topic.Partitions = "orders", append(topic.Partitions, part)
			commit.Group, commit.Topics = fmt.Sprint("old-", i), append(commit.Topics, topic)
			if resp := askBroker(t, b, commit, 0).(*kmsg.OffsetCommitResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Fatalf("broker %d: commit: error %d", b.ID(), resp.Topics[0].Partitions[0].ErrorCode)
			}
			fetch := kmsg.NewPtrOffsetFetchRequest()
			fetch.Group, fetch.Topics = commit.Group, []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{0}}}
			p := askBroker(t, other, fetch, 0).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.Offset != offset {
				t.Errorf("broker %d found offset %d, error %d, want %d", other.ID(), p.Offset, p.ErrorCode, offset)
			}
		}
	}
}

// askBroker sends a broker a request in the given version of its API.
func askBroker(t *testing.T, b *cluster.Broker, req kmsg.Request, version int16) kmsg.Response {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(req.Key(), version)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	resp, err := client.SeedBrokers()[0].RetriableRequest(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// saramaHandler marks what it sees; sarama commits it.
type saramaHandler struct{ seen *consumed }

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		h.seen.add(string(m.Value))
		s.MarkMessage(m, "")
	}
	return nil
}

// TestGroupSarama shares a topic between two members of sarama's, of which one leaves.
func TestGroupSarama(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 4, 1, nil)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	seen := &consumed{}
	start := func() (stop func()) {
		g, err := sarama.NewConsumerGroup(c.Addrs(), "sarama", cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			for ctx.Err() == nil {
				if err := g.Consume(ctx, []string{"orders"}, saramaHandler{seen}); err != nil {
					return // the group is closed
				}
			}
		})
		return sync.OnceFunc(func() {
			cancel()
			running.Wait()
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	first := start()
	defer first()
	second := start()
	defer second()
	produceValues(t, c, "orders", 0, 500)
	await(t, "two members have all", func() bool { return seen.len() == 500 })
	first()
	produceValues(t, c, "orders", 500, 500)
	await(t, "the other has all", func() bool { return seen.len() == 1000 })
	requireCommitted(t, c, "sarama", "orders", 1000)
}

// TestGroupJavaCooperative shares a topic between two consumers of Java's that rebalance cooperatively.
func TestGroupJavaCooperative(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 4, 1, nil)
	produceValues(t, c, "orders", 0, 200)
	seen := &consumed{}
	var stops []func()
	for range 2 {
		stops = append(stops, startConsoleConsumer(t, seen, "--bootstrap-server", c.Bootstrap(), "--topic", "orders", "--group", "java", "--from-beginning",
			"--consumer-property", "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor"))
	}
	admin := kadm.NewClient(c.Client())
	await(t, "there are two members", func() bool {
		groups, err := admin.DescribeGroups(deadline(t), "java")
		return err == nil && len(groups["java"].Members) == 2
	})
	await(t, "the members have all", func() bool { return seen.len() == 200 })
	produceValues(t, c, "orders", 200, 200)
	await(t, "the members have all that came later", func() bool { return seen.len() == 400 })
	for _, stop := range stops {
		stop()
	}
	requireCommitted(t, c, "java", "orders", 400)
}

// startConsoleConsumer runs Kafka's console consumer until it is told to stop, and notes what it prints.
func startConsoleConsumer(t *testing.T, seen *consumed, args ...string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd, err := kafka.Command(ctx, kafka.Options{TempDir: t.TempDir()}, "kafka-console-consumer", args...)
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			seen.add(lines.Text())
		}
		cmd.Wait() // which a JVM that was told to stop does not end well
	})
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}
