package producer

import (
	"fmt"
	"math"

	"github.com/gregor-mq/gregor/broker/record"
)

// Append collects what one append to the log will change, or several that are written together. It belongs to its State, which has only
// one, and lives from Prepare to Commit or the next Prepare.
type Append struct {
	state     *State
	origin    record.Origin
	verify    bool
	entries   []Entry // changed copies
	first     []int16 // epochs of the entries before the append that is being added
	index     map[int64]int
	started   []txn
	completed []CompletedTxn
	verified  []int64 // producers whose verification ends
}

// linear is the number of producers up to which an append's entries are searched one by one.
const linear = 8

// Prepare begins an append. verify says that the first batch of a transaction must come with the
// guard of a verification (transaction.partition.verification.enable). What an earlier Append held
// and did not commit is forgotten.
func (s *State) Prepare(origin record.Origin, verify bool) *Append {
	a := &s.append
	a.state, a.origin, a.verify = s, origin, verify
	a.entries, a.first = a.entries[:0], a.first[:0]
	a.started, a.completed, a.verified = a.started[:0], a.completed[:0], a.verified[:0]
	clear(a.index)
	return a
}

// Add checks a batch, whose offsets are assigned, and notes what it will change. Batches without a
// producer id change nothing. If a client sent one of its producer's last five batches again, dup is
// true, first is what the log knows of it, and the whole append has to be answered with that and
// not to be written. Errors are *Error, or record's if a marker cannot be read.
func (a *Append) Add(b record.Batch, guard Guard) (first Batch, dup bool, err error) {
	if b.Magic() < record.MagicV2 || !b.HasProducerID() {
		return Batch{}, false, nil
	}
	if a.origin == record.Client {
		if e, ok := a.known(b.ProducerID()); ok {
			if d, found := e.duplicate(b.ProducerEpoch(), b.BaseSequence(), b.LastSequence()); found {
				return d, true, nil
			}
		}
	}
	if err := a.checkVerified(b, guard); err != nil {
		return Batch{}, false, err
	}
	if b.IsTransactional() {
		a.verified = append(a.verified, b.ProducerID())
	}
	e, before := a.entry(b.ProducerID())
	if b.IsControl() {
		return Batch{}, false, a.addMarker(e, b)
	}
	return Batch{}, false, a.addData(e, before, b)
}

// Next ends one of several appends: for the batches of the next one, what was added before stands as if
// it were in the log.
func (a *Append) Next() {
	for i := range a.entries {
		a.first[i] = a.entries[i].Epoch
	}
}

// known returns what is known of a producer, in the log or by an append before.
func (a *Append) known(id int64) (*Entry, bool) {
	if len(a.entries) > 0 {
		if i, ok := a.lookup(id); ok {
			return &a.entries[i], true
		}
	}
	e, ok := a.state.producers[id]
	return e, ok
}

// checkVerified refuses a transactional batch whose transaction neither has data in the log nor was
// verified: it might belong to a transaction that its coordinator has ended already.
func (a *Append) checkVerified(b record.Batch, guard Guard) error {
	if !a.verify || a.origin == record.Replication || !b.IsTransactional() || b.IsControl() {
		return nil
	}
	id := b.ProducerID()
	if a.state.HasOpenTxn(id) || a.state.verified(id, guard) {
		return nil
	}
	return &Error{Err: ErrInvalidTxnState, Message: "Record was not part of an ongoing transaction"}
}

// entry returns the working copy for a producer and the epoch it had before the append.
func (a *Append) entry(id int64) (e *Entry, before int16) {
	if i, ok := a.lookup(id); ok {
		return &a.entries[i], a.first[i]
	}
	next := NewEntry(id)
	if known, ok := a.state.producers[id]; ok {
		next = *known
	}
	a.entries = append(a.entries, next)
	a.first = append(a.first, next.Epoch)
	i := len(a.entries) - 1
	if len(a.index) > 0 {
		a.index[id] = i
	}
	return &a.entries[i], next.Epoch
}

func (a *Append) lookup(id int64) (int, bool) {
	if len(a.entries) <= linear {
		for i := range a.entries {
			if a.entries[i].ID == id {
				return i, true
			}
		}
		return 0, false
	}
	if len(a.index) == 0 {
		if a.index == nil {
			a.index = make(map[int64]int, 2*linear)
		}
		for i := range a.entries {
			a.index[a.entries[i].ID] = i
		}
	}
	i, ok := a.index[id]
	return i, ok
}

func (a *Append) addData(e *Entry, before int16, b record.Batch) error {
	offset := b.BaseOffset()
	if err := a.checkEpoch(e, b.ProducerEpoch(), offset); err != nil {
		return err
	}
	if a.origin == record.Client {
		if err := a.checkSequence(e, before, b); err != nil {
			return err
		}
	}
	e.addBatch(b.ProducerEpoch(), Batch{
		LastSequence: b.LastSequence(),
		Delta:        int32(b.LastOffset() - offset),
		LastOffset:   b.LastOffset(),
		Timestamp:    b.MaxTimestamp(),
	})
	switch {
	case e.HasOpenTxn() && !b.IsTransactional():
		return &Error{Err: ErrInvalidTxnState, Message: fmt.Sprintf(
			"Expected transactional write from producer %d at offset %d in partition %s", e.ID, offset, a.state.partition)}
	case !e.HasOpenTxn() && b.IsTransactional():
		e.TxnFirstOffset = offset
		a.started = append(a.started, txn{producerID: e.ID, firstOffset: offset, lastOffset: none})
	}
	return nil
}

func (a *Append) checkEpoch(e *Entry, epoch int16, offset int64) error {
	if epoch >= e.Epoch || a.origin == record.Replication {
		return nil
	}
	return &Error{Err: ErrInvalidEpoch, Message: fmt.Sprintf(
		"Epoch of producer %d at offset %d in %s is %d, which is smaller than the last seen epoch %d",
		e.ID, offset, a.state.partition, epoch, e.Epoch)}
}

func (a *Append) checkSequence(e *Entry, before int16, b record.Batch) error {
	seq, epoch := b.BaseSequence(), b.ProducerEpoch()
	if v, ok := a.state.pending[e.ID]; ok && seq > v.lowest {
		return a.outOfOrder(b, fmt.Sprintf("%d (incoming seq. number), %d (earliest seen sequence)", seq, v.lowest))
	}
	if epoch != e.Epoch {
		if seq == 0 || e.Epoch == none {
			return nil
		}
		return &Error{Err: ErrOutOfOrderSequence, Message: fmt.Sprintf(
			"Invalid sequence number for new epoch of producer %d at offset %d in partition %s: "+
				"%d (request epoch), %d (seq. number), %d (current producer epoch)",
			e.ID, b.BaseOffset(), a.state.partition, epoch, seq, e.Epoch)}
	}
	// Nothing is known of the producer, perhaps because its records were deleted: any number is taken.
	if last := e.LastSequence(); before != none && !follows(last, seq) {
		return a.outOfOrder(b, fmt.Sprintf("%d (incoming seq. number), %d (current end sequence number)", seq, last))
	}
	return nil
}

func follows(last, next int32) bool {
	return last == math.MaxInt32 && next == 0 || int64(next) == int64(last)+1
}

func (a *Append) outOfOrder(b record.Batch, detail string) error {
	return &Error{Err: ErrOutOfOrderSequence, Message: fmt.Sprintf(
		"Out of order sequence number for producer %d at offset %d in partition %s: %s",
		b.ProducerID(), b.BaseOffset(), a.state.partition, detail)}
}

// addMarker ends a transaction. A transaction without data in this log leaves nothing to complete.
func (a *Append) addMarker(e *Entry, b record.Batch) error {
	if b.Count() == 0 {
		return nil // compaction removed the marker, as nothing of its transaction is left
	}
	m, ok, err := b.Marker()
	if err != nil || !ok {
		return err
	}
	offset := b.BaseOffset()
	if err := a.checkEpoch(e, b.ProducerEpoch(), offset); err != nil {
		return err
	}
	if e.CoordinatorEpoch > m.CoordinatorEpoch && a.origin != record.Replication {
		return &Error{Err: ErrCoordinatorFenced, Message: fmt.Sprintf(
			"Invalid coordinator epoch for producerId %d at offset %d in partition %s: %d (zombie), %d (current)",
			e.ID, offset, a.state.partition, m.CoordinatorEpoch, e.CoordinatorEpoch)}
	}
	if e.HasOpenTxn() {
		a.completed = append(a.completed, CompletedTxn{
			ProducerID: e.ID, FirstOffset: e.TxnFirstOffset, LastOffset: offset, Aborted: !m.Commit,
		})
	}
	// The only record of a marker's batch carries the batch's largest timestamp.
	e.endTxn(b.ProducerEpoch(), m.CoordinatorEpoch, b.MaxTimestamp())
	return nil
}
