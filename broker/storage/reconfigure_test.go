package storage

import (
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// TestReconfigure: all logs of a topic, and no others, work by the new configuration from then on.
func TestReconfigure(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.NewMem(), "/a", "/b"))
	var logs []*Log
	for i := range 4 {
		logs = append(logs, mustCreate(t, m, partition(i), DefaultLogConfig()))
	}
	to := map[string]string{"/a": "/b", "/b": "/a"}[logs[0].Dir()]
	future, err := m.CreateFuture(partition(0), to)
	if err != nil {
		t.Fatal(err)
	}
	logs = append(logs, future)
	other := mustCreate(t, m, topic.Partition{Topic: "other"}, DefaultLogConfig())
	c := DefaultLogConfig()
	c.Compact, c.Delete, c.SegmentBytes = true, false, 100
	n := m.Reconfigure(func(topic string) (LogConfig, bool) { return c, topic == "orders" })
	if n != len(logs) || other.Config().SegmentBytes == 100 {
		t.Errorf("%d logs have another configuration, want %d", n, len(logs))
	}
	for i, l := range logs {
		got := l.Config()
		if got.SegmentBytes != 100 || !got.Policy.Compacted || got.Policy.Partition != partition(i%4).String() {
			t.Errorf("%s: %+v", l.Partition(), got)
		}
	}
	for range 5 { // more than half a segment each
		appendRecords(t, logs[0], 0, 1)
	}
	if n := len(*logs[0].segments.Load()); n < 3 {
		t.Errorf("%d segments of at most 100 bytes", n)
	}
}

// TestProducerExpiryChanges: what a later check forgets follows the change.
func TestProducerExpiryChanges(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.NewMem(), "/a"))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	records := batch(t, batchOpts{timestamp: testNow, producer: &record.ProducerInfo{ID: 1}})
	if _, err := l.AppendLeader(records, AppendOptions{Now: testNow}); err != nil {
		t.Fatal(err)
	}
	l.expireProducers(testNow + 61_000)
	if len(l.Producers()) != 1 {
		t.Error("expired too early")
	}
	m.SetProducerExpiry(time.Minute)
	l.expireProducers(testNow + 61_000)
	if len(l.Producers()) != 0 {
		t.Error("not expired")
	}
}
