package coordinator

// txns are the transactions that have committed offsets to groups of a partition. It is guarded by partition.mu.
type txns struct {
	// groups are those that have, or may have, pending offsets of a producer.
	groups map[int64]map[*entry]struct{}
	// ended are transactions that ended while the partition was being read. Their markers may lie behind what was read.
	ended []ended
}

// ended is a transaction that has ended.
type ended struct {
	producer int64
	commit   bool
	marker   int64 // its offset
}

// addLocked notes that e may have pending offsets of a producer.
func (t *txns) addLocked(producer int64, e *entry) {
	if t.groups == nil {
		t.groups = map[int64]map[*entry]struct{}{}
	}
	if t.groups[producer] == nil {
		t.groups[producer] = map[*entry]struct{}{}
	}
	t.groups[producer][e] = struct{}{}
}

// settledLocked forgets that e may have pending offsets of a producer, if it has none: they were refused.
func (t *txns) settledLocked(producer int64, e *entry) {
	groups := t.groups[producer]
	if !e.HasTxn(producer) {
		delete(groups, e)
	}
	if len(groups) == 0 {
		delete(t.groups, producer)
	}
}

// EndTransaction makes the offsets that a producer has committed in a partition's groups before the marker count, or drops
// them. The marker is on the in-sync replicas. If this broker does not coordinate the partition, whoever does
// finds the marker in the log.
func (c *Coordinator) EndTransaction(index int32, producer int64, commit bool, marker int64) {
	p := c.partition(index)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.owner {
	case loading:
		p.txns.ended = append(p.txns.ended, ended{producer, commit, marker})
	case owned:
		p.endLocked(ended{producer, commit, marker})
	}
}

// endLocked tells the groups. It requires mu.
func (p *partition) endLocked(t ended) {
	for e := range p.txns.groups[t.producer] {
		e.EndTransaction(t.producer, t.commit, t.marker)
		p.txns.settledLocked(t.producer, e)
	}
}

// endWhatEndedLocked tells the groups, which have just been loaded, of the transactions that ended meanwhile. It requires mu.
func (p *partition) endWhatEndedLocked() {
	for _, t := range p.txns.ended {
		p.endLocked(t)
	}
	p.txns.ended = nil
}
