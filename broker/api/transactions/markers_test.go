package transactions

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// groups notes which transactions ended.
type groups []string

func (g *groups) EndTransaction(partition int32, producer int64, commit bool, marker int64) {
	*g = append(*g, fmt.Sprintf("partition %d, producer %d: commit %v at %d", partition, producer, commit, marker))
}

func markersOf(b *fixture.Broker, g *groups) *Markers {
	return &Markers{Replicas: b.Replicas, Groups: g, Timeout: 30 * time.Second, Logger: b.Logger}
}

func marker(id int64, epoch int16, coordinator int32, commit bool, partitions ...topic.Partition) kmsg.WriteTxnMarkersRequestMarker {
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed = id, epoch, coordinator, commit
	for _, p := range partitions {
		m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: p.Topic, Partitions: []int32{p.Index}})
	}
	return m
}

func markersRequest(version int16, markers ...kmsg.WriteTxnMarkersRequestMarker) *kmsg.WriteTxnMarkersRequest {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Version, req.Markers = version, markers
	return req
}

// results lists what was answered, as "producer topic-partition error".
func results(resp *kmsg.WriteTxnMarkersResponse) (list []string) {
	for _, m := range resp.Markers {
		for _, t := range m.Topics {
			for _, p := range t.Partitions {
				list = append(list, fmt.Sprintf("%d %s-%d %d", m.ProducerID, t.Topic, p.Partition, p.ErrorCode))
			}
		}
	}
	return list
}

func write(t *testing.T, h *Markers, req *kmsg.WriteTxnMarkersRequest) []string {
	t.Helper()
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	fixture.Do(t, request.HandlerFunc(h.WriteTxnMarkers), req, resp)
	return results(resp)
}

// begin appends records of a transaction.
func begin(t *testing.T, b *fixture.Broker, p topic.Partition, id int64, epoch int16, sequence int32) {
	t.Helper()
	local, err := b.Replicas.Partition(p)
	if err != nil {
		t.Fatal(err)
	}
	batch := fixture.Batch(t, 2, 1, record.BuilderOptions{Transactional: true, Producer: &record.ProducerInfo{ID: id, Epoch: epoch, Sequence: sequence}})
	if _, err := local.Append(batch, record.Client, false, time.Now().UnixMilli()); err != nil {
		t.Fatal(err)
	}
}

// TestWriteTxnMarkers ends transactions of three producers in several partitions, one of which does not exist, one
// of which others lead.
func TestWriteTxnMarkers(t *testing.T) {
	for version := range int16(2) {
		b := fixture.New(t)
		b.Topic(t, "orders", 3, []int32{1}, nil)
		b.Topic(t, "elsewhere", 1, []int32{2, 3}, nil)
		b.Topic(t, "followed", 1, []int32{2, 1}, nil)
		b.Topic(t, topic.ConsumerOffsets, 1, []int32{1}, nil)
		g := &groups{}
		h := markersOf(b, g)
		orders := func(i int32) topic.Partition { return topic.Partition{Topic: "orders", Index: i} }
		for i := range int32(2) {
			begin(t, b, orders(i), 7, 1, 0)
		}
		begin(t, b, orders(1), 8, 0, 0)
		offsets := topic.Partition{Topic: topic.ConsumerOffsets}
		got := write(t, h, markersRequest(version,
			marker(7, 1, 5, true, orders(0), orders(1), offsets, topic.Partition{Topic: "orders", Index: 9}),
			marker(8, 0, 5, false, orders(1), topic.Partition{Topic: "elsewhere"}, topic.Partition{Topic: "followed"}),
			marker(7, 1, 5, true, orders(2)),
			marker(6, 0, 5, true),
		))
		want := []string{
			"7 orders-0 0", "7 orders-1 0", "7 orders-9 3", "7 orders-2 0", "7 __consumer_offsets-0 0",
			"8 orders-1 0", "8 elsewhere-0 3", "8 followed-0 6",
		}
		if !slices.Equal(got, want) {
			t.Errorf("v%d: %q, want %q", version, got, want)
		}
		if want := []string{"partition 0, producer 7: commit true at 0"}; !slices.Equal(*g, want) {
			t.Errorf("v%d: groups were told %q, want %q", version, *g, want)
		}
		for i, end := range []int64{3, 6, 1} {
			log := b.Storage.Log(orders(int32(i)))
			if log.EndOffset() != end || log.LastStableOffset() != end {
				t.Errorf("v%d: partition %d ends at %d, stable up to %d, want %d", version, i, log.EndOffset(), log.LastStableOffset(), end)
			}
		}
		aborted, err := b.Storage.Log(orders(1)).AbortedTransactions(0, 1<<20, 6)
		if err != nil || !slices.Equal(aborted, []storage.AbortedTransaction{{ProducerID: 8, FirstOffset: 2}}) {
			t.Errorf("v%d: aborted %v, %v", version, aborted, err)
		}
	}
	if got := write(t, markersOf(fixture.New(t), &groups{}), markersRequest(1)); got != nil {
		t.Errorf("no markers: %q", got)
	}
}

// TestFencedMarkers: of coordinators and of epochs that are past.
func TestFencedMarkers(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	h := markersOf(b, &groups{})
	p := topic.Partition{Topic: "orders"}
	begin(t, b, p, 7, 3, 0)
	for _, tt := range []struct {
		name        string
		epoch       int16
		coordinator int32
		want        int16
	}{
		{"an epoch that is past", 2, 5, 47},
		{"the epoch", 3, 5, 0},
		{"a coordinator that is past", 3, 4, 52},
		{"the same once more", 3, 5, 0},
		{"the next epoch, of a coordinator that fences", 4, 5, 0},
		{"the epoch before", 3, 5, 47},
	} {
		if got, want := write(t, h, markersRequest(1, marker(7, tt.epoch, tt.coordinator, false, p))), fmt.Sprintf("7 orders-0 %d", tt.want); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", tt.name, got, want)
		}
	}
}

// TestMarkersOfOneProducer: they are answered together, in the order in which they came, and of two results for a partition the
// later counts.
func TestMarkersOfOneProducer(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	p := topic.Partition{Topic: "orders"}
	begin(t, b, p, 7, 0, 0)
	past := marker(7, 0, 4, true, p)
	const many = 1000
	for i := range int32(many) {
		past.Topics[0].Partitions = append(past.Topics[0].Partitions, i+1)
	}
	got := write(t, markersOf(b, &groups{}), markersRequest(1, marker(7, 0, 5, true, p), past))
	if len(got) != many+1 || got[0] != "7 orders-0 52" || got[many] != fmt.Sprintf("7 orders-%d 3", many) {
		t.Errorf("%d results, from %q to %q", len(got), got[0], got[len(got)-1])
	}
}

// TestMarkerNamedTwice: a partition that is named twice for a marker gets it once.
func TestMarkerNamedTwice(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	p := topic.Partition{Topic: "orders"}
	begin(t, b, p, 7, 0, 0)
	twice := marker(7, 0, 0, true, p, p)
	twice.Topics[0].Partitions = []int32{0, 0}
	if got, want := write(t, markersOf(b, &groups{}), markersRequest(1, twice)), []string{"7 orders-0 0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if end := b.Storage.Log(p).EndOffset(); end != 3 {
		t.Errorf("the log ends at %d, want 3: two records and one marker", end)
	}
}

// TestMarkersOfNoProducer: nothing of a request with such a marker is written.
func TestMarkersOfNoProducer(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	p, absent := topic.Partition{Topic: "orders"}, topic.Partition{Topic: "absent"}
	h := markersOf(b, &groups{})
	for _, bad := range []kmsg.WriteTxnMarkersRequestMarker{marker(-1, 0, 0, true, p), marker(8, -1, 0, true, p)} {
		got := write(t, h, markersRequest(1, marker(7, 0, 0, true, p, absent), bad))
		want := []string{"7 orders-0 -1", "7 absent-0 -1", fmt.Sprintf("%d orders-0 -1", bad.ProducerID)}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, want := write(t, h, markersRequest(1, marker(-1, 0, 0, true, absent), marker(7, 0, 0, true, p))), []string{"-1 absent-0 3", "7 orders-0 0"}; !slices.Equal(got, want) {
		t.Errorf("of no producer in no partition: %q, want %q", got, want)
	}
	if end := b.Storage.Log(p).EndOffset(); end != 1 {
		t.Errorf("the log ends at %d, want 1", end)
	}
}

// TestLastMarkerOfFailedRequest: of several markers of one producer only the last is answered then, be it for no partition.
func TestLastMarkerOfFailedRequest(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1}, nil)
	req := markersRequest(1, marker(-1, 0, 0, true, topic.Partition{Topic: "orders"}), marker(7, 0, 0, true, topic.Partition{Topic: "absent"}), marker(-1, 0, 0, true))
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	fixture.Do(t, request.HandlerFunc(markersOf(b, &groups{}).WriteTxnMarkers), req, resp)
	if got, want := results(resp), []string{"7 absent-0 -1"}; !slices.Equal(got, want) || len(resp.Markers) != 2 {
		t.Errorf("%q of %d producers, want %q of 2", got, len(resp.Markers), want)
	}
}

// TestMarkersWaitForReplicas, as for acks=all, up to a limit.
func TestMarkersWaitForReplicas(t *testing.T) {
	b := fixture.New(t)
	b.Topic(t, "orders", 1, []int32{1, 2}, nil)
	b.Topic(t, topic.ConsumerOffsets, 1, []int32{1}, nil)
	g := &groups{}
	h := markersOf(b, g)
	p, offsets := topic.Partition{Topic: "orders"}, topic.Partition{Topic: topic.ConsumerOffsets}
	begin(t, b, p, 7, 0, 0)
	call := fixture.Send(request.HandlerFunc(h.WriteTxnMarkers), markersRequest(1, marker(7, 0, 0, true, p), marker(7, 0, 0, true, offsets)), "coordinator")
	if !call.Pending() {
		t.Fatal("answered before the follower has the marker")
	}
	if len(*g) != 1 {
		t.Errorf("groups were told %q, although their marker waits for nobody", *g)
	}
	for _, offset := range []int64{0, 3} {
		b.Follow(t, p, offset, 0)
	}
	resp := kmsg.NewPtrWriteTxnMarkersResponse()
	call.Wait(t, 1, resp)
	if got, want := results(resp), []string{"7 orders-0 0", "7 __consumer_offsets-0 0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	h.Timeout = 10 * time.Millisecond
	if got, want := write(t, h, markersRequest(1, marker(7, 0, 0, true, p))), []string{"7 orders-0 7"}; !slices.Equal(got, want) {
		t.Errorf("without the follower: %q, want %q", got, want)
	}
}

// TestMarkersNeedMinISR: a marker that may be lost ends nothing.
func TestMarkersNeedMinISR(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1, 2}, func(c *storage.LogConfig) { c.MinInSyncReplicas = 2 })
	p := topic.Partition{Topic: "orders"}
	begin(t, b, p, 7, 0, 0)
	b.Lead(t, id, replica.PartitionState{
		Partition: p, Leader: 1, LeaderEpoch: 1, PartitionEpoch: 1, ISR: []int32{1}, Replicas: []int32{1, 2},
	})
	if got, want := write(t, markersOf(b, &groups{}), markersRequest(1, marker(7, 0, 0, true, p))), []string{"7 orders-0 19"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if end := b.Storage.Log(p).EndOffset(); end != 2 {
		t.Errorf("the log ends at %d: the marker was written", end)
	}
}

// TestTransactionsOfOthers: this broker coordinates none.
func TestTransactionsOfOthers(t *testing.T) {
	h := &Handlers{}
	for version := range int16(2) {
		req := kmsg.NewPtrListTransactionsRequest()
		req.Version, req.StateFilters = version, []string{"Ongoing", "Nonsense", "PrepareEpochFence", "Nonsense"}
		resp := kmsg.NewPtrListTransactionsResponse()
		fixture.Do(t, request.HandlerFunc(h.ListTransactions), req, resp)
		if resp.ErrorCode != 0 || len(resp.TransactionStates) != 0 || !slices.Equal(resp.UnknownStateFilters, []string{"Nonsense"}) {
			t.Errorf("list v%d: %+v", version, resp)
		}
	}
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{"tx", ""}
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	fixture.Do(t, request.HandlerFunc(h.DescribeTransactions), req, resp)
	if s := resp.TransactionStates; len(s) != 2 || s[0].ErrorCode != 16 || s[0].TransactionalID != "tx" || s[1].ErrorCode != 42 {
		t.Errorf("describe: %+v, want errors 16 and 42", s)
	}
}
