package coordinator

import (
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// commitTxn commits an offset of partition 0 in a producer's transaction.
func (w *world) commitTxn(groupID string, producer, offset int64, guard uint64) int16 {
	w.t.Helper()
	done := make(chan int16, 1)
	w.CommitTxn(groupID, &group.Commit{Generation: -1, Txn: &group.Txn{ProducerID: producer, Guard: guard}, Offsets: []group.PartitionOffset{{
		Partition: topic.Partition{Topic: "t"},
		Offset:    group.Offset{Offset: offset, LeaderEpoch: -1, CommitTimestamp: time.Now().UnixMilli(), ExpireTimestamp: -1},
	}}}, func(codes []int16) { done <- codes[0] })
	return <-done
}

// mark appends a transaction marker and returns its offset.
func (w *world) mark(producer int64, commit bool) int64 {
	w.t.Helper()
	p, err := w.replicas.Partition(topic.Partition{Topic: topic.ConsumerOffsets})
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now().UnixMilli()
	done, err := p.Append(record.AppendMarker(nil, record.MarkerOptions{
		Marker: record.Marker{Commit: commit}, ProducerID: producer, Timestamp: now,
	}), record.Coordinator, true, now)
	if err != nil {
		w.t.Fatal(err)
	}
	return done.First
}

func (w *world) expectOffset(name, groupID string, want int64, unstable bool) {
	w.t.Helper()
	if got := w.offset(groupID, 0); got != want {
		w.t.Errorf("%s: offset %d, want %d", name, got, want)
	}
	_, list := w.Fetch(groupID, []topic.Partition{{Topic: "t"}}, true)
	if got := list[0].Code == 88; got != unstable {
		w.t.Errorf("%s: error %d, want it to be unstable: %v", name, list[0].Code, unstable)
	}
}

// TestTransactionalCommits follow the markers in the log, here and after every reload.
func TestTransactionalCommits(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	reload := func() {
		w.become(2, 2)
		w.become(1, 1)
		w.awaitLoaded()
	}
	for _, g := range []string{"g", "h"} {
		if code := w.commitTxn(g, 7, 5, 0); code != 0 {
			t.Fatalf("commit: error %d", code)
		}
	}
	w.expectOffset("pending", "g", -1, true)
	reload()
	w.expectOffset("pending after a reload", "g", -1, true)
	w.EndTransaction(0, 7, true, w.mark(7, true))
	w.expectOffset("committed", "g", 5, false)
	w.expectOffset("committed in the other group", "h", 5, false)
	reload()
	w.expectOffset("committed, after a reload", "g", 5, false)
	if code := w.commitTxn("g", 7, 6, 0); code != 0 {
		t.Fatalf("commit: error %d", code)
	}
	w.EndTransaction(0, 7, false, w.mark(7, false))
	w.expectOffset("aborted", "g", 5, false)
	reload()
	w.expectOffset("aborted, after a reload", "g", 5, false)
	if n := len(w.partitions[0].txns.groups); n != 0 {
		t.Errorf("%d producers are remembered", n)
	}
}

// TestTransactionThatEndsWhileItsGroupIsLoaded: its marker may lie behind what was read.
func TestTransactionThatEndsWhileItsGroupIsLoaded(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	if code := w.commitTxn("g", 7, 5, 0); code != 0 {
		t.Fatalf("commit: error %d", code)
	}
	w.become(2, 2)
	for range loadsAtOnce {
		w.loads <- struct{}{}
	}
	w.become(1, 1)
	if code, _ := w.Fetch("g", nil, true); code != 14 {
		t.Fatalf("fetch while it waits to be loaded: error %d, want 14", code)
	}
	w.EndTransaction(0, 7, true, 1<<20)
	for range loadsAtOnce {
		<-w.loads
	}
	w.awaitLoaded()
	w.expectOffset("committed", "g", 5, false)
}

// TestUnverifiedCommit: the log takes no offsets of a transaction that was not verified (KIP-890).
func TestUnverifiedCommit(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Verifying = func() bool { return true } })
	w.become(1, 1)
	w.awaitLoaded()
	if code := w.commitTxn("g", 7, 5, 0); code != 48 {
		t.Errorf("without a verification: error %d, want INVALID_TXN_STATE", code)
	}
	p, err := w.replicas.Partition(topic.Partition{Topic: topic.ConsumerOffsets})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := p.StartVerification(7, -1, 0, time.Now().UnixMilli())
	if err != nil || guard == 0 {
		t.Fatalf("guard %d, %v", guard, err)
	}
	for _, guard := range []uint64{uint64(guard), 0} { // the second time the transaction is known to be open
		if code := w.commitTxn("g", 7, 6, guard); code != 0 {
			t.Errorf("commit with guard %d: error %d", guard, code)
		}
	}
	if code := w.CheckTxn(""); code == nil || code.Code != 24 {
		t.Errorf("a group without a name: %v, want INVALID_GROUP_ID", code)
	}
}

// TestRefusedCommit: offsets that the log does not take are not pending, and no transaction brings them.
func TestRefusedCommit(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	p, err := w.replicas.Partition(topic.Partition{Topic: topic.ConsumerOffsets})
	if err != nil {
		t.Fatal(err)
	}
	c := *p.Log().Config()
	c.MinInSyncReplicas = 2
	p.Log().SetConfig(c)
	if code := w.commitTxn("g", 7, 5, 0); code != 15 {
		t.Errorf("with too few replicas in sync: error %d, want COORDINATOR_NOT_AVAILABLE", code)
	}
	w.expectOffset("refused", "g", -1, false)
	if n := len(w.partitions[0].txns.groups); n != 0 {
		t.Errorf("%d producers are remembered", n)
	}
	w.EndTransaction(0, 7, true, 1<<20)
	w.expectOffset("refused, and its transaction committed", "g", -1, false)
}

// TestBatchOfATransaction looks like Kafka's.
func TestBatchOfATransaction(t *testing.T) {
	w := newWorld(t, nil)
	w.become(1, 1)
	w.awaitLoaded()
	if code := w.commitTxn("g", 7, 5, 0); code != 0 {
		t.Fatalf("commit: error %d", code)
	}
	p, err := w.replicas.Partition(topic.Partition{Topic: topic.ConsumerOffsets})
	if err != nil {
		t.Fatal(err)
	}
	read, err := p.ReadAll(0, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	b := batchOf(t, read)
	if !b.IsTransactional() || b.IsControl() || b.ProducerID() != 7 || b.ProducerEpoch() != 0 || b.BaseSequence() != 0 {
		t.Errorf("batch: transactional %v, control %v, producer %d/%d, sequence %d",
			b.IsTransactional(), b.IsControl(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
	}
	if got := p.Log().LastStableOffset(); got != 0 {
		t.Errorf("last stable offset %d, want 0", got)
	}
}

func batchOf(t *testing.T, read storage.ReadResult) record.Batch {
	t.Helper()
	defer read.Section.Release()
	data := make([]byte, read.Section.Size())
	if _, err := read.Section.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	b, _, err := record.Next(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
