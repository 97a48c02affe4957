package producer

import (
	"slices"

	"github.com/gregor-mq/gregor/broker/record"
)

// window is how many batches of a producer are remembered, which is how many a producer may have in
// flight (NUM_BATCHES_TO_RETAIN).
const window = 5

// none stands for an absent offset, epoch, sequence or timestamp.
const none = -1

// Batch is what is remembered of an appended batch.
type Batch struct {
	LastSequence int32
	Delta        int32 // last offset - first offset
	LastOffset   int64
	Timestamp    int64 // largest of its records, ms
}

// FirstSequence returns the sequence number of the batch's first record.
func (b Batch) FirstSequence() int32 { return record.DecrementSequence(b.LastSequence, b.Delta) }

// FirstOffset returns the offset of the batch's first record.
func (b Batch) FirstOffset() int64 { return b.LastOffset - int64(b.Delta) }

// Entry is the state of one producer id. It has a fixed size and is copied freely.
type Entry struct {
	ID               int64
	Timestamp        int64 // of the last batch or marker, ms; -1: none
	TxnFirstOffset   int64 // where the open transaction begins; -1: none is open
	CoordinatorEpoch int32 // of the last marker; -1: none seen
	Epoch            int16 // -1: nothing known
	count            uint8 // batches in use
	batches          [window]Batch
}

// NewEntry returns the state of a producer of which nothing is known.
func NewEntry(id int64) Entry {
	return Entry{ID: id, Timestamp: none, TxnFirstOffset: none, CoordinatorEpoch: none, Epoch: none}
}

// Batches returns the remembered batches, oldest first, at most five.
func (e *Entry) Batches() []Batch { return e.batches[:e.count] }

// LastBatch returns the newest batch; false if only markers are known.
func (e *Entry) LastBatch() (Batch, bool) {
	if e.count == 0 {
		return Batch{LastSequence: none, LastOffset: none}, false
	}
	return e.batches[e.count-1], true
}

// LastSequence returns the newest batch's last sequence number, -1 if there is no batch.
func (e *Entry) LastSequence() int32 {
	b, _ := e.LastBatch()
	return b.LastSequence
}

// LastDataOffset returns the newest batch's last offset, -1 if there is no batch.
func (e *Entry) LastDataOffset() int64 {
	b, _ := e.LastBatch()
	return b.LastOffset
}

// LastDataOffsetBelow returns the last offset of the newest batch below end, and of the newest one if none is known to be
// below. Compaction keeps the batch at that offset, if need be without its records.
func (e *Entry) LastDataOffsetBelow(end int64) int64 {
	for _, b := range slices.Backward(e.Batches()) {
		if b.LastOffset < end {
			return b.LastOffset
		}
	}
	return e.LastDataOffset()
}

// HasOpenTxn reports whether the producer has a transaction with data and without a marker.
func (e *Entry) HasOpenTxn() bool { return e.TxnFirstOffset >= 0 }

// duplicate returns the remembered batch with exactly these sequence numbers.
func (e *Entry) duplicate(epoch int16, first, last int32) (Batch, bool) {
	if epoch != e.Epoch {
		return Batch{}, false
	}
	for _, b := range e.Batches() {
		if b.LastSequence == last && b.FirstSequence() == first {
			return b, true
		}
	}
	return Batch{}, false
}

// setEpoch moves to an epoch; another epoch's batches say nothing about it.
func (e *Entry) setEpoch(epoch int16) {
	if e.Epoch != epoch {
		e.Epoch, e.count = epoch, 0
	}
}

func (e *Entry) addBatch(epoch int16, b Batch) {
	e.setEpoch(epoch)
	if e.count == window {
		copy(e.batches[:], e.batches[1:])
		e.count--
	}
	e.batches[e.count] = b
	e.count++
	e.Timestamp = b.Timestamp
}

func (e *Entry) endTxn(epoch int16, coordinatorEpoch int32, timestamp int64) {
	e.setEpoch(epoch)
	e.CoordinatorEpoch, e.Timestamp, e.TxnFirstOffset = coordinatorEpoch, timestamp, none
}

func (e *Entry) expired(nowMs, expiryMs int64) bool {
	return !e.HasOpenTxn() && nowMs-e.Timestamp >= expiryMs
}
