package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// inputBytes is how much real data the test moves at least.
const inputBytes = 50 << 20

// realInput returns a text of at least inputBytes that this machine has: Debian's package index or,
// where there is none as large, the sources of Go. It ends with a newline and has no line of its own
// that is empty, which kcat would leave out.
func realInput(t *testing.T) []byte {
	t.Helper()
	index, err := exec.Command("apt-cache", "dumpavail").Output()
	if err != nil || len(index) < inputBytes {
		index = append(index, goSources(t, inputBytes)...)
	}
	var text []byte
	for line := range bytes.Lines(index) {
		if len(bytes.TrimSpace(line)) > 0 && len(text) < inputBytes+1<<20 {
			text = append(text, line...)
		}
	}
	if len(text) < inputBytes {
		t.Fatalf("this machine's texts have %d bytes, %d are needed", len(text), inputBytes)
	}
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return text
}

// goSources concatenates the files of Go's library, and again from the start until there are n bytes.
func goSources(t *testing.T, n int) []byte {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for len(all) < n+n/4 { // some lines will be left out
		err := filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "testdata") {
				return err
			}
			data, err := os.ReadFile(path)
			all = append(append(all, data...), '\n')
			return err
		})
		if err != nil || len(all) == 0 {
			t.Fatalf("no Go sources: %v", err)
		}
	}
	return all
}

// TestRealInput moves a real file through the broker with every codec and several clients, kills the
// broker with SIGKILL between producing and consuming, and compares byte for byte.
func TestRealInput(t *testing.T) {
	text := realInput(t)
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c := cluster.Start(t, 1, nil)
	server := c.Bootstrap()
	topics := map[string]func(topic string){}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topics["kcat-"+codec] = func(topic string) {
			cluster.Kcat(t, nil, "-b", server, "-P", "-t", topic, "-z", codec, "-X", "acks=all", "-l", file)
		}
	}
	topics["kafka-go"] = func(topic string) { produceKafkaGo(t, c, topic, text) }
	topics["java"] = func(topic string) {
		cluster.MustTool(t, bytes.NewReader(text), "kafka-console-producer", "--bootstrap-server", server, "--topic", topic,
			"--request-required-acks", "all", "--compression-codec", "lz4")
	}
	for topic, produce := range topics {
		start := time.Now()
		produce(topic)
		t.Logf("produced %s in %v", topic, time.Since(start).Round(time.Millisecond))
	}
	c.Kill(1)
	c.Restart(1)
	for topic := range topics {
		c.AwaitTopic(topic) // kcat does not wait for a leader
		same(t, topic+" by kcat", cluster.Kcat(t, nil, "-b", server, "-C", "-t", topic, "-o", "beginning", "-e", "-q"), text)
	}
	same(t, "kafka-go by kafka-go", consumeKafkaGo(t, c, "kafka-go", len(text)), text)
	same(t, "kcat-zstd by franz-go", consumeFranzGo(t, c, "kcat-zstd", len(text)), text)
	lines := bytes.Count(text, []byte("\n"))
	out := cluster.MustTool(t, nil, "kafka-console-consumer", "--bootstrap-server", server, "--topic", "java",
		"--partition", "0", "--offset", "earliest", "--max-messages", fmt.Sprint(lines))
	same(t, "java by the Java consumer", out, text)
}

// same compares what came back with what was sent.
func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s: %d bytes came back, %d were sent; they differ from byte %d on", what, len(got), len(want), at)
}

func produceKafkaGo(t *testing.T, c *cluster.Cluster, topic string, text []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	client := &kafkago.Client{Addr: kafkago.TCP(c.Addrs()...)}
	if _, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
	}); err != nil {
		t.Fatal(err)
	}
	w := &kafkago.Writer{Addr: client.Addr, Topic: topic, RequiredAcks: kafkago.RequireAll,
		BatchSize: 10_000, BatchBytes: 900_000, BatchTimeout: 5 * time.Millisecond, MaxAttempts: 50}
	defer w.Close()
	var batch []kafkago.Message
	for line := range bytes.Lines(text) {
		if batch = append(batch, kafkago.Message{Value: bytes.TrimSuffix(line, []byte("\n"))}); len(batch) == 10_000 {
			if err := w.WriteMessages(ctx, batch...); err != nil {
				t.Fatalf("kafka-go: %v", err)
			}
			batch = batch[:0]
		}
	}
	if err := w.WriteMessages(ctx, batch...); err != nil {
		t.Fatalf("kafka-go: %v", err)
	}
}

func consumeKafkaGo(t *testing.T, c *cluster.Cluster, topic string, n int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: c.Addrs(), Topic: topic, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	text := make([]byte, 0, n)
	for len(text) < n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("kafka-go after %d bytes: %v", len(text), err)
		}
		text = append(append(text, m.Value...), '\n')
	}
	return text
}

func consumeFranzGo(t *testing.T, c *cluster.Cluster, topic string, n int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	text := make([]byte, 0, n)
	for len(text) < n {
		fetches := client.PollFetches(ctx)
		var failed error
		fetches.EachError(func(_ string, _ int32, err error) { failed = errors.Join(failed, err) })
		if failed != nil {
			t.Fatalf("franz-go after %d bytes: %v", len(text), failed)
		}
		fetches.EachRecord(func(r *kgo.Record) { text = append(append(text, r.Value...), '\n') })
	}
	return text
}
