package fetch

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/topic"
)

// writer appends transactions to orders-0.
type writer struct {
	t        *testing.T
	b        *fixture.Broker
	sequence map[int64]int32
}

func (w *writer) append(batch []byte, origin record.Origin) {
	w.t.Helper()
	p, err := w.b.Replicas.Partition(topic.Partition{Topic: "orders"})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := p.Append(batch, origin, false, time.Now().UnixMilli()); err != nil {
		w.t.Fatal(err)
	}
	w.b.Replicas.Appended(p.Partition)
}

// records appends two records of a producer's transaction.
func (w *writer) records(producer int64) {
	w.t.Helper()
	w.append(fixture.Batch(w.t, 2, 10, record.BuilderOptions{
		Transactional: true, Producer: &record.ProducerInfo{ID: producer, Sequence: w.sequence[producer]},
	}), record.Client)
	w.sequence[producer] += 2
}

func (w *writer) end(producer int64, commit bool) {
	w.t.Helper()
	w.append(record.AppendMarker(nil, record.MarkerOptions{
		Marker: record.Marker{Commit: commit}, ProducerID: producer, Timestamp: 1000,
	}), record.Coordinator)
}

// TestReadCommitted: offsets 0-1 committed by 7, 2-3 aborted by 8 (5), 6-7 open by 7, 8-9 aborted by 8 (10).
func TestReadCommitted(t *testing.T) {
	b := fixture.New(t)
	id := b.Topic(t, "orders", 1, []int32{1}, nil)
	h, w := handler(t, b), &writer{t: t, b: b, sequence: map[int64]int32{}}
	w.records(7)
	w.records(8)
	w.end(7, true)
	w.end(8, false)
	w.records(7)
	w.records(8)
	w.end(8, false)
	read := func(version int16, offset int64, committed bool) kmsg.FetchResponseTopicPartition {
		req := fetchRequest(version, "orders", id, offset, 0)
		if committed {
			req.IsolationLevel = 1
		}
		return fetch(t, h, req).Topics[0].Partitions[0]
	}
	last := func(p kmsg.FetchResponseTopicPartition) (last int64) {
		_ = record.Each(p.RecordBatches, func(b record.Batch) error { last = b.LastOffset(); return nil })
		return last
	}
	type aborted = kmsg.FetchResponseTopicPartitionAbortedTransaction
	for version := int16(4); version <= 17; version++ {
		got := read(version, 0, true)
		if got.ErrorCode != 0 || got.HighWatermark != 11 || got.LastStableOffset != 6 || last(got) != 5 ||
			!slices.EqualFunc(got.AbortedTransactions, []aborted{{ProducerID: 8, FirstOffset: 2}}, func(a, b aborted) bool {
				return a.ProducerID == b.ProducerID && a.FirstOffset == b.FirstOffset
			}) {
			t.Errorf("v%d: error %d, high watermark %d, stable %d, last %d, aborted %+v", version, got.ErrorCode, got.HighWatermark, got.LastStableOffset, last(got), got.AbortedTransactions)
		}
		if got := read(version, 6, true); len(got.RecordBatches) != 0 || got.AbortedTransactions == nil || len(got.AbortedTransactions) != 0 || got.ErrorCode != 0 {
			t.Errorf("v%d at the open transaction: %d bytes, aborted %v, error %d", version, len(got.RecordBatches), got.AbortedTransactions, got.ErrorCode)
		}
		if got := read(version, 0, false); last(got) != 10 || got.AbortedTransactions != nil || got.LastStableOffset != 6 {
			t.Errorf("v%d, uncommitted: last %d, aborted %v, stable %d", version, last(got), got.AbortedTransactions, got.LastStableOffset)
		}
	}
	w.end(7, true)
	got := read(12, 2, true)
	if got.LastStableOffset != 12 || last(got) != 11 || len(got.AbortedTransactions) != 2 {
		t.Errorf("once all is decided: stable %d, last %d, aborted %v", got.LastStableOffset, last(got), got.AbortedTransactions)
	}
}

// TestWaitForATransaction: a consumer of what is committed waits while records of a transaction come, and not longer than to its end.
func TestWaitForATransaction(t *testing.T) {
	for _, commit := range []bool{true, false} {
		b := fixture.New(t)
		id := b.Topic(t, "orders", 1, []int32{1}, nil)
		h, w := handler(t, b), &writer{t: t, b: b, sequence: map[int64]int32{}}
		req := fetchRequest(12, "orders", id, 0, 0)
		req.IsolationLevel, req.MaxWaitMillis = 1, 60_000
		waiting := fixture.Send(h, req, "c")
		w.records(7)
		w.records(7)
		if !waiting.Pending() {
			t.Fatal("answered although nothing is decided")
		}
		w.end(7, commit)
		resp := kmsg.NewPtrFetchResponse()
		waiting.Wait(t, 12, resp)
		got := resp.Topics[0].Partitions[0]
		if got.ErrorCode != 0 || got.LastStableOffset != 5 || len(got.RecordBatches) == 0 || (len(got.AbortedTransactions) == 0) != commit {
			t.Errorf("commit %v: error %d, stable %d, %d bytes, aborted %v", commit, got.ErrorCode, got.LastStableOffset, len(got.RecordBatches), got.AbortedTransactions)
		}
	}
}
