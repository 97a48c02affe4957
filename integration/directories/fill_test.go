package directories

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// brokerProps are those of all brokers. The start offsets that fillCut waits for are written early and often; by default the
// first time comes half a minute after a start. No session times out however busy the machine is: who is killed has it ended.
var brokerProps = cluster.Props{
	"auto.create.topics.enable": "false", "log.cleaner.backoff.ms": "100", "group.initial.rebalance.delay.ms": "0",
	"offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1",
	"transaction.state.log.num.partitions": "1", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
	"transaction.partition.verification.enable": "false",
	"log.initial.task.delay.ms":                 "0", "log.flush.start.offset.checkpoint.interval.ms": "100",
	"zookeeper.session.timeout.ms": "60000",
}

// topics are those that fill writes to, with their properties. Their segments are small, so that there are many.
var topics = map[string]cluster.Props{
	"codecs":      {"segment.bytes": "30000", "index.interval.bytes": "500"},
	"stamped":     {"message.timestamp.type": "LogAppendTime", "compression.type": "lz4", "index.interval.bytes": "0"},
	"compacted":   {"cleanup.policy": "compact", "segment.bytes": "20000", "min.cleanable.dirty.ratio": "0.01", "index.interval.bytes": "500"},
	"transacted":  {"segment.bytes": "5000", "index.interval.bytes": "200"},
	"idempotent":  {"index.interval.bytes": "0"},
	"cut":         {"segment.bytes": "2000"},
	"stream":      nil,
	"large":       {"segment.bytes": "3000000", "max.message.bytes": "2000000"},
	"with.dots_1": nil,
}

func createTopics(c *cluster.Cluster) {
	for name, props := range topics {
		c.CreateTopic(name, 1, 1, props)
	}
}

// fill writes to all topics but those of transactions and of the idempotent producer. round makes it other records each time.
func fill(t *testing.T, c *cluster.Cluster, round int) {
	t.Helper()
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(),
		kgo.ZstdCompression()} {
		client := newClient(c, codec)
		produce(t, client, codecRecords(round, i)...)
		produce(t, client, &kgo.Record{Topic: "stamped", Value: fmt.Appendf(nil, "round %d, codec %d", round, i)},
			&kgo.Record{Topic: "large", Value: bytes.Repeat([]byte{byte('a' + i)}, 900_000)})
		client.Close()
	}
	client := newClient(c, kgo.NoCompression())
	defer client.Close()
	produce(t, client, &kgo.Record{Topic: "with.dots_1", Key: []byte("só"), Value: []byte{0xff, 0, 0xe2, 0x82}})
	fillCompacted(t, c, round)
	fillCut(t, c, client)
}

// newClient returns a client that compresses what it produces.
func newClient(c *cluster.Cluster, codec kgo.CompressionCodec) *kgo.Client {
	return c.Client(kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(1_900_000), kgo.DisableIdempotentWrite(),
		kgo.RequiredAcks(kgo.LeaderAck()), kgo.ManualFlushing())
}

// lastStamp is the largest timestamp of a record.
var lastStamp time.Time

// produce writes records, those of one topic in a batch. Each batch is later than what was written before, by the clock of the
// file system too: where all that a segment had is deleted or compacted away, Kafka finds nothing for a timestamp that is not.
func produce(t *testing.T, client *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	lastStamp = latest(time.Now(), lastStamp).Add(2 * time.Millisecond)
	var produced kgo.FirstErrPromise
	for _, r := range records {
		r.Timestamp = lastStamp
		client.Produce(deadline(t), r, produced.Promise())
	}
	if err := errors.Join(client.Flush(deadline(t)), produced.Err()); err != nil {
		t.Fatal(err)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// codecRecords are records with and without keys, values and headers.
func codecRecords(round, codec int) (records []*kgo.Record) {
	for i := range 100 {
		r := &kgo.Record{Topic: "codecs", Value: fmt.Appendf(nil, "round %d, codec %d, record %d", round, codec, i)}
		switch i % 4 {
		case 0:
			r.Key = fmt.Appendf(nil, "key %d", i)
		case 1:
			r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("x")}, {Key: "null"}, {Key: "h", Value: []byte{}}}
		case 2:
			r.Key, r.Value = []byte{}, nil
		}
		records = append(records, r)
	}
	return records
}

// fillCompacted writes keys again and again, some deleted in the end, and waits until all but the last segment is clean.
func fillCompacted(t *testing.T, c *cluster.Cluster, round int) {
	t.Helper()
	var clients []*kgo.Client
	for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.ZstdCompression()} {
		client := newClient(c, codec)
		defer client.Close()
		clients = append(clients, client)
	}
	for batch := range 40 {
		var records []*kgo.Record
		for i := range 25 {
			r := &kgo.Record{Topic: "compacted", Key: fmt.Appendf(nil, "key %d", (batch*25+i)%37), Value: fmt.Appendf(nil, "round %d, batch %d, record %d", round, batch, i)}
			if batch > 20 && i%5 == round%5 {
				r.Value = nil
			}
			records = append(records, r)
		}
		produce(t, clients[batch%3], records...)
	}
	awaitClean(t, c, topic.Partition{Topic: "compacted"})
}

// awaitClean waits until the cleaner's checkpoint has reached the active segment of a partition.
func awaitClean(t *testing.T, c *cluster.Cluster, p topic.Partition) {
	t.Helper()
	dir := c.Broker(1).DataDir()
	c.Await(p.String()+" to be clean", func() bool {
		clean, err := checkpoint.ReadOffsets(vfs.OS, filepath.Join(dir, "cleaner-offset-checkpoint"))
		return err == nil && clean[p] > 0 && clean[p] == activeSegment(t, filepath.Join(dir, p.String()))
	})
}

// activeSegment returns the base offset of a partition's last segment.
func activeSegment(t *testing.T, dir string) (last int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if base, ext, suffix, ok := segment.ParseFileName(e.Name()); ok && ext == segment.LogExt && suffix == "" {
			last = max(last, base)
		}
	}
	return last
}

// fillCut writes to a topic, deletes half of it, and waits until a broker that is killed will know.
func fillCut(t *testing.T, c *cluster.Cluster, client *kgo.Client) {
	t.Helper()
	for range 50 {
		produce(t, client, &kgo.Record{Topic: "cut", Value: bytes.Repeat([]byte("c"), 100)})
	}
	admin := kadm.NewClient(client)
	ends, err := admin.ListEndOffsets(deadline(t), "cut")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("cut", 0)
	to := kadm.Offsets{}
	to.AddOffset("cut", 0, end.Offset-25, -1)
	if deleted, err := admin.DeleteRecords(deadline(t), to); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	c.Await("the log start offset to be on disk", func() bool {
		starts, err := checkpoint.ReadOffsets(vfs.OS, filepath.Join(c.Broker(1).DataDir(), "log-start-offset-checkpoint"))
		return err == nil && starts[topic.Partition{Topic: "cut"}] == end.Offset-25
	})
}
