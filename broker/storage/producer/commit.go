package producer

// Commit applies a after its batches were written, and calls completed for each transaction that
// ended, in the order of the markers, before the transaction is closed: an error ends Commit, and
// stands for a log that can no longer be written. nil takes no calls. The caller sets the end
// offset (SetEnd).
func (s *State) Commit(a *Append, completed func(CompletedTxn) error) error {
	for i := range a.entries {
		if known, ok := s.producers[a.entries[i].ID]; ok {
			*known = a.entries[i]
			continue
		}
		e := a.entries[i]
		s.producers[e.ID] = &e
	}
	for _, id := range a.verified {
		delete(s.pending, id)
	}
	for _, t := range a.started {
		s.open.put(t)
	}
	for _, c := range a.completed {
		c.LastStableOffset = s.stableBeside(c)
		if completed != nil {
			if err := completed(c); err != nil {
				return err
			}
		}
		s.complete(c)
	}
	a.entries = a.entries[:0] // committing twice changes nothing
	a.started, a.completed, a.verified = a.started[:0], a.completed[:0], a.verified[:0]
	return nil
}

// stableBeside returns the last stable offset once c is complete.
func (s *State) stableBeside(c CompletedTxn) int64 {
	for _, t := range s.open {
		if t.producerID != c.ProducerID {
			return t.firstOffset
		}
	}
	return c.LastOffset + 1
}

func (s *State) complete(c CompletedTxn) {
	if t, ok := s.open.take(c.FirstOffset); ok {
		t.lastOffset = c.LastOffset
		s.unreplicated.put(t)
	}
}
