package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestOldFormatsAsKafka sends the same records to Gregor and to Apache Kafka, in the versions of Produce and in the
// message formats of old clients, and reads them in all versions of Fetch: records, timestamps, errors and sizes are
// the same.
func TestOldFormatsAsKafka(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	c.AddKafka(nil)
	c.AwaitBrokers()
	for i, s := range formatScenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			var answers [2][]string
			for at, b := range c.Brokers() {
				topic := fmt.Sprintf("old-%d-%d", i, b.ID())
				createAt(t, c, b, topic, s.configs)
				for _, p := range s.produced {
					answers[at] = append(answers[at], produceOld(t, b, topic, p))
				}
				if s.then != nil {
					s.then(t, c, topic)
				}
				for _, f := range s.fetches {
					answers[at] = append(answers[at], f.String()+": "+fetchOld(t, b, topic, f))
				}
			}
			for j := range answers[0] {
				if got, want := answers[0][j], answers[1][j]; got != want {
					at := max(0, diverge(got, want)-300)
					t.Errorf("%.60s\nGregor: ...%.800s\nKafka: ...%.800s", want, got[at:], want[at:])
				}
			}
		})
	}
}

// formatScenario is what is done to a topic.
type formatScenario struct {
	name     string
	configs  map[string]string
	produced []producedOld
	then     func(t *testing.T, c *cluster.Cluster, topic string)
	fetches  []fetchedOld
}

type producedOld struct {
	version int16
	records []byte
}

type fetchedOld struct {
	version int16
	offset  int64
	max     int32
}

func (f fetchedOld) String() string {
	return fmt.Sprintf("Fetch v%d from %d, at most %d bytes", f.version, f.offset, f.max)
}

// Timestamps of the records, ms.
const oldTime = int64(1_700_000_000_000)

// oldRecords builds n records of a format in one batch, or in as many messages.
func oldRecords(t *testing.T, magic int8, codec record.Codec, n, size int, change func(*record.BuilderOptions)) []byte {
	t.Helper()
	opts := record.BuilderOptions{Codec: codec}
	if change != nil {
		change(&opts)
	}
	b := record.NewBuilder(magic, opts)
	for i := range n {
		r := record.Record{Timestamp: oldTime + int64(i), Key: []byte(fmt.Sprint("key ", i)), Value: bytes.Repeat([]byte{byte('a' + i%26)}, size)}
		if i%3 == 1 {
			r.Key = nil
		}
		if magic == record.MagicV0 {
			r.Timestamp = record.NoTimestamp
		}
		if magic == record.MagicV2 {
			r.Headers = record.MakeHeaders(record.Header{Key: "h", Value: []byte("v")})
		}
		if err := b.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	out, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// everyFetch asks in all versions that convert, and in one that does not.
func everyFetch(offsets ...int64) (fetches []fetchedOld) {
	for _, version := range []int16{0, 1, 2, 3, 4, 9, 10, 11} {
		for _, offset := range offsets {
			fetches = append(fetches, fetchedOld{version, offset, 1 << 20})
		}
	}
	return fetches
}

func formatScenarios(t *testing.T) (scenarios []formatScenario) {
	for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4} {
		for magic := record.MagicV0; magic <= record.MagicV2; magic++ {
			version := map[int8]int16{0: 1, 1: 2, 2: 3}[magic]
			for _, timestamps := range []string{"CreateTime", "LogAppendTime"} {
				scenarios = append(scenarios, formatScenario{
					name:     fmt.Sprintf("v%d %s %s", magic, codec, timestamps),
					configs:  map[string]string{"message.timestamp.type": timestamps},
					produced: []producedOld{{version, oldRecords(t, magic, codec, 5, 300, nil)}, {version, oldRecords(t, magic, codec, 7, 300, nil)}},
					fetches:  everyFetch(0, 3, 8, 12, 13),
				})
			}
		}
	}
	for _, target := range []string{"uncompressed", "gzip", "snappy", "lz4", "zstd"} {
		var produced []producedOld
		for _, codec := range []record.Codec{record.None, record.Gzip, record.Snappy, record.LZ4} {
			produced = append(produced, producedOld{1, oldRecords(t, 0, codec, 3, 300, nil)}, producedOld{2, oldRecords(t, 1, codec, 3, 300, nil)},
				producedOld{3, oldRecords(t, 2, codec, 3, 300, nil)})
		}
		produced = append(produced, producedOld{7, oldRecords(t, 2, record.Zstd, 3, 300, nil)}, producedOld{6, oldRecords(t, 2, record.Zstd, 3, 300, nil)})
		scenarios = append(scenarios, formatScenario{
			name: "compression.type=" + target, configs: map[string]string{"compression.type": target}, produced: produced, fetches: everyFetch(0, 20),
		})
	}
	plain, zstd := oldRecords(t, 2, record.None, 5, 300, nil), oldRecords(t, 2, record.Zstd, 5, 300, nil)
	transactional := func(opts *record.BuilderOptions) {
		opts.Producer, opts.Transactional = &record.ProducerInfo{ID: 1 << 40, Epoch: 0}, true
	}
	return append(scenarios,
		formatScenario{name: "empty", fetches: everyFetch(0, 1)},
		formatScenario{name: "zstd behind others", produced: []producedOld{{7, plain}, {7, zstd}, {7, plain}}, fetches: everyFetch(0, 4, 5, 9, 10)},
		formatScenario{name: "transactional", produced: []producedOld{{7, oldRecords(t, 2, record.None, 3, 10, transactional)}}, fetches: everyFetch(0, 2)},
		formatScenario{name: "limits", produced: []producedOld{{7, plain}, {7, plain}, {7, plain}}, fetches: []fetchedOld{
			{0, 0, 10}, {0, 0, 100}, {0, 0, 2000}, {0, 0, 3000}, {1, 7, 100}, {1, 7, 2500}, {2, 0, 100}, {2, 0, 2500}, {3, 0, 0}, {3, 0, 10}, {3, 2, 100}, {3, 0, 2500}, {3, 0, 4000}, {3, 3, 4000},
		}},
		formatScenario{
			name: "many small", produced: []producedOld{{3, oldRecords(t, 2, record.None, 20_000, 0, nil)}, {3, oldRecords(t, 2, record.None, 20_000, 0, nil)}},
			fetches: []fetchedOld{{0, 0, 4 << 20}, {2, 0, 4 << 20}, {3, 19_990, 4 << 20}, {3, 30_000, 4 << 20}, {3, 30_000, 1000}},
		},
		formatScenario{
			name: "not converted", configs: map[string]string{"message.downconversion.enable": "false"},
			produced: []producedOld{{2, oldRecords(t, 1, record.None, 3, 10, nil)}}, fetches: everyFetch(0, 3, 4),
		},
		formatScenario{
			name: "compression.type=zstd, offsets out of range", configs: map[string]string{"compression.type": "zstd"}, fetches: everyFetch(0, 4),
		},
	)
}

// diverge returns where two texts begin to differ.
func diverge(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// createAt makes a topic of one partition on a broker.
func createAt(t *testing.T, c *cluster.Cluster, b *cluster.Broker, topic string, configs map[string]string) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = topic, -1, -1
	asked.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: []int32{b.ID()}}}
	never := "-1" // the records are old
	asked.Configs = []kmsg.CreateTopicsRequestTopicConfig{{Name: "retention.ms", Value: &never}}
	for name, value := range configs {
		asked.Configs = append(asked.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
	}
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(deadline(t), c.Client())
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create %s: %v, %+v", topic, err, resp)
	}
	c.AwaitTopic(topic)
}

// produceOld returns the answer to one produce.
func produceOld(t *testing.T, b *cluster.Broker, topic string, p producedOld) string {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = slices.Clone(p.records)
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	answer := askBroker(t, b, req, p.version).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return fmt.Sprintf("Produce v%d: error %d, offset %d, append time %v", p.version, answer.ErrorCode, answer.BaseOffset, answer.LogAppendTime > 0)
}

// fetchOld returns what a client makes of fetches from an offset on: records, errors, and how many bytes they are where
// that does not depend on a compressor. Where it does, it goes on behind what was cut off.
func fetchOld(t *testing.T, b *cluster.Broker, topic string, f fetchedOld) string {
	t.Helper()
	answer := askOld(t, b, topic, f)
	var out strings.Builder
	fmt.Fprintf(&out, "error %d, high watermark %d", answer.ErrorCode, answer.HighWatermark)
	compressed := false
	for {
		before := f.offset
		rest := answer.RecordBatches
		for {
			batch, behind, err := record.Next(rest)
			if err != nil {
				break
			}
			rest = behind
			compressed = compressed || batch.Codec() != record.None
			f.offset = batch.LastOffset() + 1
			showBatch(&out, batch)
		}
		if !compressed && f.version < 4 {
			fmt.Fprintf(&out, "\n  %d bytes in all", len(answer.RecordBatches))
			if len(rest) >= record.OverheadSize {
				fmt.Fprintf(&out, "\n  at the end offset %d, size %d", int64(binary.BigEndian.Uint64(rest)), binary.BigEndian.Uint32(rest[8:]))
			}
		}
		if !compressed || f.offset == before || f.offset >= answer.HighWatermark {
			return out.String()
		}
		answer = askOld(t, b, topic, f)
	}
}

// showBatch writes a batch and its records.
func showBatch(out *strings.Builder, batch record.Batch) {
	fmt.Fprintf(out, "\n  v%d %s %s:", batch.Magic(), batch.Codec(), batch.TimestampType())
	if err := batch.Check(); err != nil {
		fmt.Fprintf(out, " %v", err)
	}
	for r, err := range batch.Records() {
		at := fmt.Sprint(r.Timestamp - oldTime)
		if age := time.Now().UnixMilli() - r.Timestamp; age >= 0 && age < (24*time.Hour).Milliseconds() {
			at = "now"
		}
		fmt.Fprintf(out, " %d@%s %q=%d bytes,%d headers", r.Offset, at, r.Key, len(r.Value), r.Headers.Len())
		if err != nil {
			fmt.Fprintf(out, " %v", err)
		}
	}
}

// askOld sends one fetch.
func askOld(t *testing.T, b *cluster.Broker, topic string, f fetchedOld) kmsg.FetchResponseTopicPartition {
	t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 50<<20, -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.FetchOffset, part.PartitionMaxBytes = f.offset, f.max
	req.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{part}}}
	return askBroker(t, b, req, f.version).(*kmsg.FetchResponse).Topics[0].Partitions[0]
}
