package clients_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/gregor-mq/gregor/clients"
	"github.com/gregor-mq/gregor/integration/cluster"
)

const patience = 60 * time.Second

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func newProducer(t *testing.T, bootstrap string, more clients.Properties) *clients.Producer {
	t.Helper()
	props := clients.Properties{"bootstrap.servers": bootstrap}
	for name, value := range more {
		props[name] = value
	}
	p, err := clients.NewProducer(props)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func newAdmin(t *testing.T, bootstrap string) *clients.Admin {
	t.Helper()
	a, err := clients.NewAdmin(clients.Properties{"bootstrap.servers": bootstrap})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// Records are where their metadata says, in the order of their keys, with each way to compress them.
func TestProducedRecordsAreWhereTheirMetadataSays(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx, admin := testContext(t), newAdmin(t, c.Bootstrap())
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		topic := "orders-" + codec
		if err := admin.CreateTopics(ctx, clients.NewTopic{Name: topic, Partitions: 3, ReplicationFactor: 1}); err != nil {
			t.Fatal(err)
		}
		p := newProducer(t, c.Bootstrap(), clients.Properties{"compression.type": codec, "client.id": "test"})
		var mu sync.Mutex
		where := map[string]clients.RecordMetadata{}
		const n = 300
		for i := range n {
			value := fmt.Sprint(i)
			r := clients.Record{Topic: topic, Key: []byte(fmt.Sprint("key", i%10)), Value: []byte(value),
				Headers: []clients.Header{{Key: "h", Value: []byte("1")}, {Key: "h"}}}
			err := p.Send(ctx, r, func(m clients.RecordMetadata, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("record %s: %v", value, err)
				}
				where[value] = m
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if len(where) != n {
			t.Fatalf("%d of %d records are delivered", len(where), n)
		}
		lines := strings.Split(strings.TrimSpace(string(cluster.Kcat(t, nil, "-b", c.Bootstrap(), "-C", "-t", topic, "-e", "-q",
			"-f", "%s %p %o %k\n"))), "\n")
		if len(lines) != n {
			t.Fatalf("%s: %d records in the log", codec, len(lines))
		}
		last := map[string]int{}
		for _, line := range lines {
			var value, partition, key string
			var offset int64
			if _, err := fmt.Sscan(line, &value, &partition, &offset, &key); err != nil {
				t.Fatal(err)
			}
			m := where[value]
			if m.Topic != topic || fmt.Sprint(m.Partition) != partition || m.Offset != offset || m.SerializedKeySize != 4 {
				t.Errorf("record %s is at %s-%s, offset %d; its metadata: %+v", value, topic, partition, offset, m)
			}
			var number int
			fmt.Sscan(value, &number)
			if before, ok := last[key]; ok && number < before {
				t.Errorf("%s: record %d comes after %d", key, number, before)
			}
			last[key] = number
		}
	}
}

// Keys are on the partitions where Java's producer puts them.
func TestKeysArePlacedAsJavaPlacesThem(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"num.partitions": "7"})
	ctx := testContext(t)
	p := newProducer(t, c.Bootstrap(), nil)
	var input bytes.Buffer
	want := map[string]int{}
	for i := range 50 {
		key := fmt.Sprintf("key-%d-ä", i*i)
		m, err := p.SendSync(ctx, clients.Record{Topic: "ours", Key: []byte(key), Value: []byte("v")})
		if err != nil {
			t.Fatal(err)
		}
		want[key] = m.Partition
		fmt.Fprintf(&input, "%s|v\n", key)
	}
	cluster.MustTool(t, &input, "kafka-console-producer", "--bootstrap-server", c.Bootstrap(), "--topic", "javas",
		"--property", "parse.key=true", "--property", "key.separator=|")
	out := cluster.Kcat(t, nil, "-b", c.Bootstrap(), "-C", "-t", "javas", "-e", "-q", "-f", "%k %p\n")
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d records of Java's producer, want %d", len(lines), len(want))
	}
	for _, line := range lines {
		key, partition, _ := strings.Cut(line, " ")
		if fmt.Sprint(want[key]) != partition {
			t.Errorf("%s is on partition %d, Java puts it on %s", key, want[key], partition)
		}
	}
}

func TestPartitionAndAcksOfARecord(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"num.partitions": "3"})
	ctx, two := testContext(t), 2
	for _, acks := range []string{"all", "1", "0"} {
		p := newProducer(t, c.Bootstrap(), clients.Properties{"acks": acks})
		m, err := p.SendSync(ctx, clients.Record{Topic: "orders", Partition: &two, Value: []byte("v")})
		if err != nil || m.Partition != 2 || (m.Offset < 0) != (acks == "0") {
			t.Errorf("acks=%s: %+v, %v", acks, m, err)
		}
	}
}

// A producer that nobody takes records from blocks when its buffer is full, for max.block.ms.
func TestFullBufferBlocks(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx := testContext(t)
	p := newProducer(t, c.Bootstrap(), clients.Properties{"buffer.memory": "1000", "max.block.ms": "2000", "linger.ms": "0"})
	if _, err := p.SendSync(ctx, clients.Record{Topic: "orders", Value: make([]byte, 600)}); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx, clients.Record{Topic: "orders", Value: make([]byte, 1001)}, nil); !errors.Is(err, clients.ErrRecordTooLarge) {
		t.Errorf("a record larger than the buffer: %v", err)
	}
	c.Pause(1)
	delivered := make(chan error, 1)
	if err := p.Send(ctx, clients.Record{Topic: "orders", Value: make([]byte, 600)}, func(_ clients.RecordMetadata, err error) { delivered <- err }); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := p.Send(ctx, clients.Record{Topic: "orders", Value: make([]byte, 600)}, nil); !errors.Is(err, clients.ErrBufferExhausted) || time.Since(start) < 2*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	c.Resume(1)
	if err := <-delivered; err != nil {
		t.Errorf("the record before: %v", err)
	}
	if err := p.Send(ctx, clients.Record{Topic: "orders", Value: make([]byte, 600)}, nil); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	c.Pause(1)
	defer c.Resume(1)
	sent, err := 0, error(nil)
	for ; err == nil && sent <= 1000; sent++ {
		err = p.Send(ctx, clients.Record{Topic: "orders"}, nil)
	}
	if !errors.Is(err, clients.ErrBufferExhausted) || sent < 2 {
		t.Errorf("%d records of nothing: %v", sent, err)
	}
}

// A broker that is killed and comes back costs no record: they are sent again.
func TestRecordsAreSentAgain(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx := testContext(t)
	p := newProducer(t, c.Bootstrap(), clients.Properties{"retries": "100", "request.timeout.ms": "5000"})
	if _, err := p.SendSync(ctx, clients.Record{Topic: "orders", Value: []byte("first")}); err != nil {
		t.Fatal(err)
	}
	c.Kill(1)
	delivered := make(chan error, 1)
	if err := p.Send(ctx, clients.Record{Topic: "orders", Value: []byte("second")}, func(_ clients.RecordMetadata, err error) { delivered <- err }); err != nil {
		t.Fatal(err)
	}
	c.Restart(1)
	if err := <-delivered; err != nil {
		t.Fatal(err)
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Send(ctx, clients.Record{Topic: "orders"}, nil); !errors.Is(err, clients.ErrClosed) {
		t.Errorf("Send after Close: %v", err)
	}
	for goroutines := new(bytes.Buffer); ; goroutines.Reset() {
		if pprof.Lookup("goroutine").WriteTo(goroutines, 1); !strings.Contains(goroutines.String(), "kafka-go.(*connPool)") {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("connections outlive Close")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// The first record of a topic waits for a broker, at most for max.block.ms.
func TestFirstRecordWaitsForABroker(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx := testContext(t)
	c.Kill(1)
	hasty := newProducer(t, c.Bootstrap(), clients.Properties{"max.block.ms": "1000"})
	if err := hasty.Send(ctx, clients.Record{Topic: "orders"}, nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after max.block.ms: %v", err)
	}
	patient, delivered := newProducer(t, c.Bootstrap(), nil), make(chan error, 1)
	go func() {
		_, err := patient.SendSync(ctx, clients.Record{Topic: "orders"})
		delivered <- err
	}()
	c.Restart(1)
	if err := <-delivered; err != nil {
		t.Error(err)
	}
	if err := patient.Send(ctx, clients.Record{}, nil); err == nil {
		t.Error("a record without a topic is taken")
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := patient.Send(ended, clients.Record{Topic: "orders"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("with a ctx that has ended: %v", err)
	}
}

// An Admin knows what the cluster is like when it is asked, whatever it has seen and used before.
func TestAdminAsksAnew(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	ctx, admin := testContext(t), newAdmin(t, c.Bootstrap())
	if err := admin.CreateTopics(ctx, clients.NewTopic{Name: "orders", Partitions: 1, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DescribeTopics(ctx); err != nil {
		t.Fatal(err)
	}
	c.Kill(1)
	if topics, err := admin.DescribeTopics(ctx); err == nil {
		t.Errorf("without a broker: %v", topics)
	}
	c.Restart(1)
	c.AwaitTopic("orders")
	if offsets, err := admin.ListOffsets(ctx, "orders"); err != nil || len(offsets) != 1 {
		t.Errorf("offsets %v, %v", offsets, err)
	}
}

func TestAdmin(t *testing.T) {
	c := cluster.Start(t, 2, nil)
	ctx, admin := testContext(t), newAdmin(t, c.Bootstrap())
	topic := clients.NewTopic{Name: "orders", Partitions: 2, ReplicationFactor: 2, Configs: map[string]string{"retention.ms": "60000"}}
	if err := admin.CreateTopics(ctx, topic); err != nil {
		t.Fatal(err)
	}
	if err := admin.CreateTopics(ctx, topic); !errors.Is(err, kafka.TopicAlreadyExists) {
		t.Errorf("a topic that exists: %v", err)
	}
	if err := admin.CreatePartitions(ctx, "orders", 3); err != nil {
		t.Fatal(err)
	}
	cluster.Await(t, patience, "three partitions with leaders", func() bool {
		topics, err := admin.DescribeTopics(ctx, "orders")
		if err != nil || len(topics) != 1 || len(topics[0].Partitions) != 3 {
			return false
		}
		for i, p := range topics[0].Partitions {
			if p.Partition != i || p.Leader < 1 || len(p.Replicas) != 2 || len(p.ISR) != 2 {
				return false
			}
		}
		return true
	})
	week := "604800000"
	if err := admin.AlterTopicConfigs(ctx, "orders", map[string]*string{"retention.ms": nil, "segment.ms": &week}); err != nil {
		t.Fatal(err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, "orders")
	if err != nil || configs["retention.ms"] != week || configs["segment.ms"] != week {
		t.Errorf("retention.ms is %s, segment.ms %s, %v", configs["retention.ms"], configs["segment.ms"], err)
	}
	p := newProducer(t, c.Bootstrap(), nil)
	if _, err := p.SendSync(ctx, clients.Record{Topic: "orders", Partition: new(int), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	offsets, err := admin.ListOffsets(ctx, "orders")
	if err != nil || len(offsets) != 3 || offsets[clients.TopicPartition{Topic: "orders"}] != (clients.Offsets{First: 0, End: 1}) {
		t.Errorf("offsets %v, %v", offsets, err)
	}
	if err := admin.DeleteTopics(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := admin.DeleteTopics(ctx, "orders"); !errors.Is(err, kafka.UnknownTopicOrPartition) {
		t.Errorf("a topic that is gone: %v", err)
	}
}
