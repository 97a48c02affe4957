package producer

import (
	"iter"
	"maps"
	"slices"
)

// State is what one log knows of its producers.
//
// Invariants:
//   - each open transaction belongs to the entry whose TxnFirstOffset it begins at
//   - end is the offset after the last batch applied
//
// A State is not safe for concurrent use: the log's lock guards it. Its memory is bounded by the
// producers of the last expiry period, some 200 bytes each.
type State struct {
	partition string // for messages
	producers map[int64]*Entry
	pending   map[int64]*verification
	lastGuard Guard
	open      txnList // without a marker
	// unreplicated transactions have a marker that a majority may not have yet: consumers must not see
	// beyond their beginning until the high watermark has passed the marker.
	unreplicated txnList
	end          int64
	append       Append // the only one, reused
}

// New returns the state of an empty log; partition names it in error messages.
func New(partition string) *State {
	return &State{partition: partition, producers: map[int64]*Entry{}, pending: map[int64]*verification{}}
}

// Reset forgets everything; the next batch to apply is at offset end (truncateFullyAndStartAt).
func (s *State) Reset(end int64) {
	clear(s.producers)
	s.open, s.unreplicated = s.open[:0], s.unreplicated[:0]
	s.end = end
}

// Load starts over from a snapshot taken at offset end, dropping the producers that have expired.
func (s *State) Load(entries []Entry, end, nowMs, expiryMs int64) {
	s.Reset(end)
	for i := range entries {
		e := entries[i]
		if e.expired(nowMs, expiryMs) {
			continue
		}
		s.producers[e.ID] = &e
		if e.HasOpenTxn() {
			s.open.put(txn{producerID: e.ID, firstOffset: e.TxnFirstOffset, lastOffset: none})
		}
	}
}

// End returns the offset after the last batch applied, which is what a snapshot is named after.
func (s *State) End() int64 { return s.end }

// SetEnd notes that all batches below end are applied, be it that they had no producer.
func (s *State) SetEnd(end int64) { s.end = end }

// Len returns the number of producers known.
func (s *State) Len() int { return len(s.producers) }

// IsEmpty reports whether nothing would be lost with the state.
func (s *State) IsEmpty() bool { return len(s.producers) == 0 && len(s.unreplicated) == 0 }

// Entry returns a copy of a producer's state.
func (s *State) Entry(id int64) (Entry, bool) {
	e, ok := s.producers[id]
	if !ok {
		return Entry{}, false
	}
	return *e, true
}

// All yields copies of all producers' states, by producer id.
func (s *State) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, id := range slices.Sorted(maps.Keys(s.producers)) {
			if !yield(*s.producers[id]) {
				return
			}
		}
	}
}

// HasOpenTxn reports whether producer id has data of an undecided transaction in the log.
func (s *State) HasOpenTxn(id int64) bool {
	e, ok := s.producers[id]
	return ok && e.HasOpenTxn()
}

// FirstUnstableOffset returns the lowest offset of a transaction that is undecided, or decided by a
// marker that is not below the high watermark yet; false if there is none. The last stable offset is
// the smaller of it and the high watermark.
func (s *State) FirstUnstableOffset() (int64, bool) {
	undecided, isOpen := s.open.first()
	unreplicated, isClosed := s.unreplicated.first()
	switch {
	case isOpen && isClosed:
		return min(undecided, unreplicated), true
	case isOpen:
		return undecided, true
	}
	return unreplicated, isClosed
}

// FirstUndecidedOffset returns the lowest offset of an open transaction; false if there is none.
func (s *State) FirstUndecidedOffset() (int64, bool) { return s.open.first() }

// OldestTxnTimestamp returns the time in ms of the last write of the producer whose transaction is
// the oldest open one, and false if there is none. A transaction that stays open long after its
// timeout hangs, and is counted as late.
func (s *State) OldestTxnTimestamp() (int64, bool) {
	if len(s.open) == 0 {
		return none, false
	}
	e, ok := s.producers[s.open[0].producerID]
	if !ok {
		return none, false
	}
	return e.Timestamp, true
}

// SetHighWatermark lets go of the transactions whose marker has been replicated.
func (s *State) SetHighWatermark(offset int64) { s.unreplicated.dropEndedBefore(offset) }

// SetLogStart follows the log's first offset. Producers stay: they expire by time only.
func (s *State) SetLogStart(offset int64) {
	s.unreplicated.dropEndedBefore(offset)
	s.end = max(s.end, offset)
}

// Expire forgets the producers that have no open transaction and wrote nothing for expiryMs
// (producer.id.expiration.ms), and verifications as old.
func (s *State) Expire(nowMs, expiryMs int64) {
	maps.DeleteFunc(s.producers, func(_ int64, e *Entry) bool { return e.expired(nowMs, expiryMs) })
	maps.DeleteFunc(s.pending, func(_ int64, v *verification) bool { return nowMs-v.created >= expiryMs })
}
