package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// startWithFew starts a broker that may have few files and sockets open.
func startWithFew(t *testing.T, files int) (*cluster.Cluster, *cluster.Broker) {
	t.Helper()
	c := cluster.Start(t, 1, nil)
	b := c.Broker(1)
	b.LimitFiles(files)
	c.Restart(1)
	return c, b
}

// TestFetchOfMorePartitionsThanFilesMayBeOpen: what one request asks for, and what slow clients leave in the sockets, opens
// no more files than the process may have, and takes no log directory offline.
func TestFetchOfMorePartitionsThanFilesMayBeOpen(t *testing.T) {
	const files, partitions, clients = 128, 400, 4
	c, b := startWithFew(t, files)
	c.CreateTopic("orders", partitions, 1, nil)
	value := strings.Repeat("v", 30_000) // too much to be copied from the file
	producer := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	var records []*kgo.Record
	for p := range int32(partitions) {
		records = append(records, &kgo.Record{Topic: "orders", Partition: p, Value: []byte(value)})
	}
	if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	byName := kversion.Stable()
	byName.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	for range clients { // each asks for everything, and reads nothing
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(kmsg.NewRequestFormatter().AppendRequest(nil, fetchOfAll(partitions), 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil { // the answer has begun
			t.Fatal(err)
		}
	}
	resp, err := fetchOfAll(partitions).RequestWith(t.Context(), c.Client(kgo.MaxVersions(byName)))
	if err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, p := range resp.Topics[0].Partitions {
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			t.Fatalf("partition %d: %v", p.Partition, err)
		}
		if len(p.RecordBatches) > len(value) {
			full++
		}
	}
	if full != partitions {
		t.Errorf("%d partitions have records, want %d", full, partitions)
	}
	if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if strings.Contains(b.LogSince(0), "Log directory failed") {
		t.Error("a log directory went offline")
	}
}

// fetchOfAll returns a Fetch of each partition of "orders" from its beginning.
func fetchOfAll(partitions int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.MaxBytes, req.MinBytes, req.MaxWaitMillis = 12, 50<<20, 1, 1000
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "orders"
	for p := range partitions {
		partition := kmsg.NewFetchRequestTopicPartition()
		partition.Partition, partition.PartitionMaxBytes = p, 1<<20
		topic.Partitions = append(topic.Partitions, partition)
	}
	req.Topics = append(req.Topics, topic)
	return req
}

// TestMoreConnectionsThanFilesMayBeOpen: as many clients as ulimit -n allows, and more, leave those who are connected
// served, and files can be opened; one line says why others wait.
func TestMoreConnectionsThanFilesMayBeOpen(t *testing.T) {
	const files = 128
	c, b := startWithFew(t, files)
	c.CreateTopic("orders", 10, 1, nil)
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	client := c.Client()
	produce := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		return client.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("v")}).FirstErr()
	}
	if err := produce(); err != nil {
		t.Fatal(err)
	}
	for range files { // the system takes those that the broker does not
		conn, err := net.DialTimeout("tcp", b.Addr(), 10*time.Second)
		if err != nil {
			break // the queue is full
		}
		conns = append(conns, conn)
	}
	const line = "Connections wait to be accepted"
	c.Await("the broker to say that it has too many connections", func() bool { return strings.Contains(b.LogSince(0), line) })
	if err := produce(); err != nil {
		t.Errorf("a client that was connected before: %v", err)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if len(open) >= files {
		t.Errorf("%d of %d descriptors are open", len(open), files)
	}
	for _, conn := range conns {
		conn.Close()
	}
	if err := c.Client().Ping(t.Context()); err != nil {
		t.Errorf("a new client, when the others are gone: %v", err)
	}
	if n := strings.Count(b.LogSince(0), line); n != 1 {
		t.Errorf("%d lines say %q, want 1", n, line)
	}
}
