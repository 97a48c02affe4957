package integration

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/broker/storage"
	snapshot "github.com/gregor-mq/gregor/broker/storage/producer"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestProducerStateOfKafka: what a Kafka broker has written about producers and transactions in a log of many segments is what Gregor
// reads, and what it makes of the records alone after a crash.
func TestProducerStateOfKafka(t *testing.T) {
	c := cluster.Start(t, 0, cluster.Props{
		"log.segment.bytes": "3000", "transaction.state.log.num.partitions": "1", "transaction.state.log.replication.factor": "1",
		"transaction.state.log.min.isr": "1", "auto.create.topics.enable": "false",
	})
	kafka := c.AddKafka(nil)
	c.CreateTopic("orders", 3, 1, nil)
	clients := []*kgo.Client{transactional(c, "a"), transactional(c, "b"), transactional(c, "c")}
	for _, client := range clients {
		transact(t, client, "v", 10)
	}
	idempotent := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i, client := range []*kgo.Client{clients[1], clients[2], idempotent} {
		if i < 2 {
			if err := client.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // what stays open when the broker stops
			if err := client.ProduceSync(deadline(t), &kgo.Record{Topic: "orders", Value: []byte("open")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Stop(kafka.ID())
	for _, crashed := range []bool{false, true} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(kafka.DataDir())); err != nil {
			t.Fatal(err)
		}
		if crashed {
			forget(t, dir)
		}
		for p := range int32(3) {
			compareProducers(t, kafka.DataDir(), dir, topic.Partition{Topic: "orders", Index: p})
		}
	}
}

// forget removes what follows from the records.
func forget(t *testing.T, dir string) {
	t.Helper()
	for _, pattern := range []string{".kafka_cleanshutdown", "*checkpoint", "*/*.snapshot", "*/*.txnindex", "*/leader-epoch-checkpoint"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// compareProducers opens and closes a copy of Kafka's directory and compares the newest snapshot and all transaction indexes.
func compareProducers(t *testing.T, kafka, copied string, p topic.Partition) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	disk, err := storage.Open(storage.Options{Dirs: []string{copied}, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	l := disk.Log(p)
	if p.Index == 0 && l.LastStableOffset() >= l.EndOffset() {
		t.Errorf("%s: stable up to its end at %d, although transactions are open", p, l.EndOffset())
	}
	states := len(l.Producers())
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	want, name := newestSnapshot(t, filepath.Join(kafka, p.String()))
	got, same := newestSnapshot(t, filepath.Join(copied, p.String()))
	if name != same || !slices.Equal(got, want) || len(want) != states || len(want) < 3 {
		t.Errorf("%s: snapshot %s of %d producers\n%+v\nKafka's is %s\n%+v", p, same, states, got, name, want)
	}
	indexes, err := filepath.Glob(filepath.Join(kafka, p.String(), "*.txnindex"))
	if err != nil || len(indexes) < 3 {
		t.Fatalf("%s: %d transaction indexes, %v", p, len(indexes), err)
	}
	for _, index := range indexes {
		want, err := os.ReadFile(index)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(copied, p.String(), filepath.Base(index)))
		if (err != nil && len(want) > 0) || !bytes.Equal(got, want) {
			t.Errorf("%s: %s is %x, %v; Kafka's is %x", p, filepath.Base(index), got, err, want)
		}
	}
}

// newestSnapshot returns the producers of a log's newest snapshot, by their ids. Kafka's come in no order.
func newestSnapshot(t *testing.T, dir string) (entries []snapshot.Entry, name string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.snapshot"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no snapshot in %s: %v", dir, err)
	}
	name = slices.Max(names)
	data, err := os.ReadFile(name)
	if err == nil {
		entries, err = snapshot.ParseSnapshot(data)
	}
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b snapshot.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return entries, filepath.Base(name)
}
