package storage

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
)

// TestNobodySeesAnOpenTransactionAsStable, however long whoever asks is held up between one look and the next: some of
// many who do nothing else are, while a transaction begins. What each is told must not be beyond the beginning of the
// transaction that is open afterwards.
func TestNobodySeesAnOpenTransactionAsStable(t *testing.T) {
	l := newTestLog(t, DefaultLogConfig())
	const none = -1
	var open atomic.Int64 // where the transaction begins that is open
	open.Store(none)
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		readers.Go(func() {
			for !stop.Load() {
				stable := l.LastStableOffset()
				if first := open.Load(); first != none && stable > first {
					t.Errorf("stable up to %d, but a transaction is open from %d on", stable, first)
					return
				}
			}
		})
	}
	lead := func(data []byte, from record.Origin) (first int64) {
		a, err := l.AppendLeader(data, AppendOptions{Origin: from, Now: testNow})
		if err != nil {
			t.Error(err)
		}
		l.SetHighWatermark(a.LogEnd)
		return a.First
	}
	sequence := int32(0)
	for until := time.Now().Add(time.Second); time.Now().Before(until) && !t.Failed(); sequence += 2 {
		producer := &record.ProducerInfo{ID: 1, Sequence: sequence}
		first := lead(batch(t, batchOpts{count: 2, timestamp: testNow, txn: true, producer: producer}), record.Client)
		open.Store(first)
		runtime.Gosched() // those who ask run until they are preempted
		open.Store(none)
		lead(record.AppendMarker(nil, record.MarkerOptions{ProducerID: 1, Timestamp: testNow}), record.Coordinator)
		runtime.Gosched()
	}
	stop.Store(true)
	readers.Wait()
}
