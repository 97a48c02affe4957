package compact

import (
	"cmp"
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// txns follows the transactions of a log from batch to batch (CleanedTransactionMetadata).
type txns struct {
	upcoming  []segment.AbortedTxn // aborted ones that the walk has not reached, by first offset
	aborted   map[int64]abortedTxn // by producer id: those that it is in
	committed map[int64]struct{}   // producers of which it has seen records of a committed one
}

// abortedTxn is an aborted transaction that has begun and whose marker is to come.
type abortedTxn struct {
	segment.AbortedTxn
	seen bool // a batch of it was there
}

func newTxns() txns {
	return txns{aborted: map[int64]abortedTxn{}, committed: map[int64]struct{}{}}
}

// add announces aborted transactions. Those that are known already do not matter.
func (t *txns) add(aborted []segment.AbortedTxn) {
	t.upcoming = append(t.upcoming, aborted...)
	slices.SortStableFunc(t.upcoming, func(a, b segment.AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
}

// advance notes that the walk has reached offset.
func (t *txns) advance(offset int64) {
	n := 0
	for ; n < len(t.upcoming) && t.upcoming[n].FirstOffset <= offset; n++ {
		next := t.upcoming[n]
		if _, ok := t.aborted[next.ProducerID]; !ok {
			t.aborted[next.ProducerID] = abortedTxn{AbortedTxn: next}
		}
	}
	if n > 0 {
		t.upcoming = slices.Delete(t.upcoming, 0, n)
	}
}

// data takes note of a batch that is no control batch, and reports whether its transaction was aborted.
func (t *txns) data(b record.Batch) (aborted bool) {
	t.advance(b.LastOffset())
	if !b.IsTransactional() {
		return false
	}
	id := b.ProducerID()
	txn, ok := t.aborted[id]
	if !ok {
		t.committed[id] = struct{}{}
		return false
	}
	if !txn.seen {
		txn.seen = true
		t.aborted[id] = txn
	}
	return true
}

// control takes note of a control batch, and reports whether nothing needs it any more: it is the marker of a
// transaction of which no batch was there. If it is the marker of an aborted one of which batches were
// there, that is returned: readers have to know it still.
func (t *txns) control(b record.Batch) (discardable bool, still *segment.AbortedTxn, err error) {
	t.advance(b.LastOffset())
	marker, ok, err := b.Marker() // an empty batch has none; nothing is left of it to discard
	if err != nil || !ok {
		return false, nil, err
	}
	id := b.ProducerID()
	if marker.Commit {
		_, seen := t.committed[id]
		delete(t.committed, id)
		return !seen, nil, nil
	}
	txn, ok := t.aborted[id]
	delete(t.aborted, id)
	if ok && txn.seen {
		return false, &txn.AbortedTxn, nil
	}
	return true, nil, nil
}
