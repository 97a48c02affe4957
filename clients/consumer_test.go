package clients_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gregor-mq/gregor/clients"
	"github.com/gregor-mq/gregor/integration/cluster"
)

func newConsumer(t *testing.T, bootstrap string, more clients.Properties, topics ...string) *clients.Consumer {
	t.Helper()
	props := clients.Properties{"bootstrap.servers": bootstrap, "group.id": "readers", "auto.offset.reset": "earliest"}
	maps.Copy(props, more)
	c, err := clients.NewConsumer(testContext(t), props, topics...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// readN polls until n records have come.
func readN(t *testing.T, c *clients.Consumer, n int) (records []clients.Record) {
	t.Helper()
	for ctx := testContext(t); len(records) < n; {
		some, err := c.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if records = append(records, some...); ctx.Err() != nil {
			t.Fatalf("%d of %d records have come", len(records), n)
		}
	}
	return records
}

func closeNow(t *testing.T, c *clients.Consumer) {
	t.Helper()
	if err := c.Close(testContext(t)); err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, bootstrap, topic string, from, to int) {
	t.Helper()
	ctx, p := testContext(t), newProducer(t, bootstrap, clients.Properties{"linger.ms": "1"})
	for i := from; i < to; i++ {
		if err := p.Send(ctx, clients.Record{Topic: topic, Key: []byte(fmt.Sprint(i)), Value: []byte(fmt.Sprint(i))}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// A group goes on where it has committed, whoever its members are.
func TestGroupGoesOnWhereItHasCommitted(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"num.partitions": "3", "group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	fill(t, c.Bootstrap(), "orders", 0, 100)
	manual := clients.Properties{"enable.auto.commit": "false", "max.poll.records": "10"}

	first := newConsumer(t, c.Bootstrap(), manual, "orders")
	records := readN(t, first, 40)
	if err := first.CommitSync(testContext(t)); err != nil {
		t.Fatal(err)
	}
	readN(t, first, 10) // not committed
	closeNow(t, first)

	seen := map[string]bool{}
	for _, r := range records {
		seen[string(r.Value)] = true
	}
	second := newConsumer(t, c.Bootstrap(), manual, "orders")
	for _, r := range readN(t, second, 100-len(records)) {
		if seen[string(r.Value)] {
			t.Errorf("record %s has come again, though it was committed", r.Value)
		}
		seen[string(r.Value)] = true
	}
	done := make(chan error, 1)
	second.CommitAsync(testContext(t), func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	closeNow(t, second)
	if len(seen) != 100 {
		t.Errorf("%d records have come, want 100", len(seen))
	}
	offsets, err := newAdmin(t, c.Bootstrap()).CommittedOffsets(testContext(t), "readers", "orders")
	total := int64(0)
	for _, offset := range offsets {
		total += offset
	}
	if err != nil || total != 100 {
		t.Errorf("committed %v, %v", offsets, err)
	}
}

// With enable.auto.commit, what was polled is committed by the end.
func TestAutoCommit(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	fill(t, c.Bootstrap(), "orders", 0, 10)
	first := newConsumer(t, c.Bootstrap(), nil, "orders")
	readN(t, first, 10)
	closeNow(t, first)
	fill(t, c.Bootstrap(), "orders", 10, 11)
	second := newConsumer(t, c.Bootstrap(), nil, "orders")
	defer closeNow(t, second)
	if r := readN(t, second, 1)[0]; r.Offset != 10 {
		t.Errorf("goes on at offset %d, want 10", r.Offset)
	}
}

func TestWhereAGroupBegins(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	fill(t, c.Bootstrap(), "orders", 0, 3)
	_, err := clients.NewConsumer(testContext(t), clients.Properties{
		"bootstrap.servers": c.Bootstrap(), "group.id": "strict", "auto.offset.reset": "none"}, "orders")
	if !errors.Is(err, clients.ErrNoOffset) {
		t.Errorf("auto.offset.reset=none without an offset: %v", err)
	}
	committing := newConsumer(t, c.Bootstrap(), clients.Properties{"group.id": "strict"}, "orders")
	readN(t, committing, 3)
	closeNow(t, committing)
	strict := newConsumer(t, c.Bootstrap(), clients.Properties{"group.id": "strict", "auto.offset.reset": "none"}, "orders")
	defer closeNow(t, strict)
	fill(t, c.Bootstrap(), "orders", 3, 4)
	if r := readN(t, strict, 1)[0]; r.Offset != 3 {
		t.Errorf("auto.offset.reset=none begins at %d, want 3", r.Offset)
	}
}

// With auto.offset.reset=none no consumer is made whose group has committed an offset that the log has lost.
func TestCommittedOffsetsMustBeInTheLog(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	fill(t, c.Bootstrap(), "orders", 0, 9)
	admin := kadm.NewClient(c.Client())
	make := func(group string, committed int64) error {
		offsets := kadm.Offsets{}
		offsets.AddOffset("orders", 0, committed, -1)
		if err := admin.CommitAllOffsets(testContext(t), group, offsets); err != nil {
			t.Fatal(err)
		}
		strict, err := clients.NewConsumer(testContext(t), clients.Properties{
			"bootstrap.servers": c.Bootstrap(), "group.id": group, "auto.offset.reset": "none"}, "orders")
		if err == nil {
			closeNow(t, strict)
		}
		return err
	}
	first := kadm.Offsets{}
	first.AddOffset("orders", 0, 4, -1)
	if _, err := admin.DeleteRecords(testContext(t), first); err != nil {
		t.Fatal(err)
	}
	for group, tt := range map[string]struct {
		committed int64
		fails     bool
	}{"deleted": {3, true}, "first": {4, false}, "end": {9, false}, "beyond": {10, true}} {
		if err := make(group, tt.committed); errors.Is(err, clients.ErrNoOffset) != tt.fails || !tt.fails && err != nil {
			t.Errorf("group %s, which has committed %d: %v", group, tt.committed, err)
		}
	}
}

func TestPollEndsWithItsDeadline(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"offsets.topic.replication.factor": "1"})
	if err := newAdmin(t, c.Bootstrap()).CreateTopics(testContext(t), clients.NewTopic{Name: "orders", Partitions: 1, ReplicationFactor: 1}); err != nil {
		t.Fatal(err)
	}
	consumer := newConsumer(t, c.Bootstrap(), nil, "orders")
	defer closeNow(t, consumer)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if records, err := consumer.Poll(ctx); len(records) != 0 || err != nil {
		t.Errorf("%v, %v", records, err)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := consumer.Poll(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("a Poll that was stopped: %v", err)
	}
}

// A consumer that was closed returns nothing any more, whatever it has read ahead.
func TestNothingIsPolledAfterClose(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"group.initial.rebalance.delay.ms": "0", "offsets.topic.replication.factor": "1"})
	fill(t, c.Bootstrap(), "orders", 0, 100)
	consumer := newConsumer(t, c.Bootstrap(), clients.Properties{"max.poll.records": "1"}, "orders")
	readN(t, consumer, 1)
	closeNow(t, consumer)
	for range 20 {
		if records, err := consumer.Poll(testContext(t)); !errors.Is(err, clients.ErrClosed) {
			t.Fatalf("%d records, %v", len(records), err)
		}
	}
}
