package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// patience bounds what a client is waited for, on a slow machine too.
const patience = 2 * time.Minute

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestKafkaGo creates a topic, produces with each codec and acks, and consumes with kafka-go.
func TestKafkaGo(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx := deadline(t)
	client := &kafkago.Client{Addr: kafkago.TCP(c.Addrs()...)}
	created, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: "orders", NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err := errors.Join(err, created.Errors["orders"]); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, codec := range []kafkago.Compression{0, kafkago.Gzip, kafkago.Snappy, kafkago.Lz4, kafkago.Zstd} {
		for _, acks := range []kafkago.RequiredAcks{kafkago.RequireOne, kafkago.RequireAll} {
			w := &kafkago.Writer{Addr: client.Addr, Topic: "orders", Compression: codec, RequiredAcks: acks, BatchTimeout: time.Millisecond}
			var messages []kafkago.Message
			for i := range 100 {
				value := fmt.Sprintf("%v-%v-%d", codec, acks, i)
				want = append(want, value)
				messages = append(messages, kafkago.Message{Key: []byte("k"), Value: []byte(value), Headers: []kafkago.Header{{Key: "h", Value: []byte{1}}}})
			}
			if err := w.WriteMessages(ctx, messages...); err != nil {
				t.Fatalf("codec %v, acks %v: %v", codec, acks, err)
			}
			w.Close()
		}
	}
	r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: c.Addrs(), Topic: "orders", MaxWait: 100 * time.Millisecond})
	defer r.Close()
	for i, value := range want {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if string(m.Value) != value || m.Offset != int64(i) || string(m.Headers[0].Key) != "h" {
			t.Fatalf("message %d is %q at offset %d, want %q", i, m.Value, m.Offset, value)
		}
	}
}

// TestFranzGo produces idempotently, as is franz-go's default, and consumes and administrates.
func TestFranzGo(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx := deadline(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumeTopics("orders"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 4, 1, map[string]*string{"retention.ms": kadm.StringPtr("3600000")}, "orders"); err != nil {
		t.Fatal(err)
	}
	const n = 5000
	for i := range n {
		client.Produce(ctx, &kgo.Record{Topic: "orders", Key: []byte(fmt.Sprint(i)), Value: []byte(fmt.Sprint(i))}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce %d: %v", i, err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for len(seen) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(seen), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if seen[string(r.Value)] {
				t.Errorf("record %s came twice", r.Value)
			}
			seen[string(r.Value)] = true
		})
	}
	ends, err := admin.ListEndOffsets(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	ends.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != n {
		t.Errorf("partitions end at %d in all, want %d", total, n)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "orders")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range configs[0].Configs {
		if e.Key == "retention.ms" && e.MaybeValue() != "3600000" {
			t.Errorf("retention.ms is described as %s", e.MaybeValue())
		}
	}
	if _, err := admin.CreatePartitions(ctx, 2, "orders"); err != nil {
		t.Fatal(err)
	}
	deleted, err := admin.DeleteTopics(ctx, "orders")
	if err := errors.Join(err, deleted["orders"].Err); err != nil {
		t.Fatal(err)
	}
}

// TestSarama uses the client that most Go programs of the field grew up with.
func TestSarama(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Producer.Idempotent, cfg.Producer.RequiredAcks, cfg.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	cfg.Producer.Return.Successes = true
	cfg.Metadata.Retry.Max, cfg.Producer.Retry.Max = 100, 100 // the topic is yet to be made
	p, err := sarama.NewSyncProducer(c.Addrs(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range 20 {
		if _, offset, err := p.SendMessage(&sarama.ProducerMessage{Topic: "auto", Value: sarama.StringEncoder(fmt.Sprint(i))}); err != nil || offset != int64(i) {
			t.Fatalf("message %d: offset %d, %v", i, offset, err)
		}
	}
	consumer, err := sarama.NewConsumer(c.Addrs(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	part, err := consumer.ConsumePartition("auto", 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()
	for i := range 20 {
		select {
		case m := <-part.Messages():
			if string(m.Value) != fmt.Sprint(i) {
				t.Fatalf("message %d is %q", i, m.Value)
			}
		case <-deadline(t).Done():
			t.Fatalf("message %d did not come", i)
		}
	}
}

// TestKcat uses librdkafka, with the protocol versions of today and of old.
func TestKcat(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	for _, flags := range [][]string{
		nil,
		{"-X", "enable.idempotence=true"},
		{"-X", "acks=1"},
		{"-X", "api.version.request=false", "-X", "broker.version.fallback=0.10.0"},
		{"-X", "api.version.request=false", "-X", "broker.version.fallback=0.9.0"},
	} {
		name := fmt.Sprintf("t%d", len(strings.Join(flags, "")))
		args := append([]string{"-b", c.Bootstrap(), "-t", name}, flags...)
		cluster.Kcat(t, strings.NewReader("k1:one\nk2:two\n"), append(args, "-P", "-K", ":")...)
		got := cluster.Kcat(t, nil, append(args, "-C", "-o", "beginning", "-e", "-q", "-f", "%o %k=%s\n")...)
		if want := "0 k1=one\n1 k2=two\n"; string(got) != want {
			t.Errorf("%v: consumed %q, want %q", flags, got, want)
		}
	}
}

// TestJavaTools uses Kafka's own tools as an operator would.
func TestJavaTools(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	server := []string{"--bootstrap-server", c.Bootstrap()}
	run := func(stdin, tool string, args ...string) string {
		t.Helper()
		return string(cluster.MustTool(t, strings.NewReader(stdin), tool, append(server, args...)...))
	}
	if got := run("", "kafka-topics", "--create", "--topic", "orders", "--partitions", "2", "--replication-factor", "1"); !strings.Contains(got, "Created topic orders.") {
		t.Errorf("create printed %q", got)
	}
	if got := run("", "kafka-topics", "--describe", "--topic", "orders"); !strings.Contains(got, "PartitionCount: 2") || !strings.Contains(got, "Leader: 1") {
		t.Errorf("describe printed %q", got)
	}
	run("a:1\nb:2\nc:3\n", "kafka-console-producer", "--topic", "orders", "--property", "parse.key=true", "--property", "key.separator=:")
	ends := run("", "kafka-get-offsets", "--topic", "orders", "--time", "-1")
	var values []string
	for partition := range 2 {
		_, after, found := strings.Cut(ends, fmt.Sprintf("orders:%d:", partition))
		end, _, _ := strings.Cut(after, "\n")
		if !found {
			t.Errorf("get-offsets printed %q", ends)
		}
		if end == "0" {
			continue
		}
		out := run("", "kafka-console-consumer", "--topic", "orders", "--partition", fmt.Sprint(partition), "--offset", "earliest", "--max-messages", end)
		values = append(values, strings.Fields(out)...)
	}
	if len(values) != 3 {
		t.Errorf("consumed %v, want the values 1, 2 and 3", values)
	}
	run("", "kafka-topics", "--alter", "--topic", "orders", "--partitions", "3")
	run("", "kafka-topics", "--delete", "--topic", "orders")
	if got := run("", "kafka-topics", "--list"); strings.Contains(got, "orders") {
		t.Errorf("the deleted topic is still listed: %q", got)
	}
}
