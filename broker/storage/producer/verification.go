package producer

// Guard identifies a transaction that is being verified with its coordinator (KIP-890). A new one is
// made for each verification, so that an answer that comes late, after the transaction was aborted
// and another one begun, is recognised. The zero Guard verifies nothing.
type Guard uint64

// verification is what is known of a transaction between the question to the coordinator and the
// first append.
type verification struct {
	guard   Guard
	created int64 // ms
	// lowest is the lowest sequence number that asked for verification. A higher one must not be
	// written first: the lower one could never follow.
	lowest int32
	epoch  int16
}

// StartVerification returns the guard with which the first batch of a transaction must come, or zero
// if the producer's transaction has data in the log already and needs no verification.
func (s *State) StartVerification(id int64, sequence int32, epoch int16, nowMs int64) Guard {
	if s.HasOpenTxn(id) {
		return 0
	}
	v, ok := s.pending[id]
	if !ok {
		s.lastGuard++
		v = &verification{guard: s.lastGuard, created: nowMs, lowest: sequence, epoch: epoch}
		s.pending[id] = v
	}
	switch {
	case epoch > v.epoch:
		v.epoch, v.lowest = epoch, sequence
	case epoch == v.epoch:
		v.lowest = min(v.lowest, sequence)
	}
	return v.guard
}

// verified reports whether guard is the one that was given out for producer id.
func (s *State) verified(id int64, guard Guard) bool {
	v, ok := s.pending[id]
	return ok && guard != 0 && v.guard == guard
}
