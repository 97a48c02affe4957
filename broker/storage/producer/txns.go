package producer

import (
	"cmp"
	"slices"
)

// CompletedTxn is a transaction that a marker has just ended.
type CompletedTxn struct {
	ProducerID  int64
	FirstOffset int64
	LastOffset  int64 // the marker's
	Aborted     bool
	// LastStableOffset is what the transaction index stores with an aborted one: the first offset of
	// the oldest other open transaction, or what follows the marker.
	LastStableOffset int64
}

// txn is an open transaction, or a closed one whose marker is not replicated yet.
type txn struct {
	producerID  int64
	firstOffset int64
	lastOffset  int64 // the marker's; none while open
}

// txnList holds transactions ordered by first offset, which is nearly the order in which they come.
type txnList []txn

func (l txnList) find(firstOffset int64) (int, bool) {
	return slices.BinarySearchFunc(l, firstOffset, func(t txn, o int64) int { return cmp.Compare(t.firstOffset, o) })
}

// put adds t, in place of one with the same first offset.
func (l *txnList) put(t txn) {
	i, found := l.find(t.firstOffset)
	if found {
		(*l)[i] = t
		return
	}
	*l = slices.Insert(*l, i, t)
}

// take removes the transaction that begins at firstOffset.
func (l *txnList) take(firstOffset int64) (txn, bool) {
	i, found := l.find(firstOffset)
	if !found {
		return txn{}, false
	}
	t := (*l)[i]
	*l = slices.Delete(*l, i, i+1)
	return t, true
}

// dropEndedBefore removes the transactions whose marker lies below offset.
func (l *txnList) dropEndedBefore(offset int64) {
	*l = slices.DeleteFunc(*l, func(t txn) bool { return t.lastOffset != none && t.lastOffset < offset })
}

// first returns the lowest first offset; false if the list is empty.
func (l txnList) first() (int64, bool) {
	if len(l) == 0 {
		return none, false
	}
	return l[0].firstOffset, true
}
