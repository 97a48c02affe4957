package history

// spot is where a record lies.
type spot struct {
	id     ID
	offset int64
}

// A keyCheck looks at a partition of a compacted topic.
type keyCheck struct {
	*check
	last    map[string]spot // of each key, the last record that anybody was told of
	told    map[ID]int64    // the offset of every record that anybody was told of
	deletes map[string][]ID // tombstones that may lie anywhere, as nobody was told where
}

// compareCompacted holds each replica of a compacted log to what was told, and the replicas to each other.
func (c *check) compareCompacted() {
	k := keyCheck{c, make(map[string]spot), make(map[ID]int64), make(map[string][]ID)}
	for at, told := range c.contents {
		if told.set {
			k.last[Key(told.id)] = spot{told.id, int64(at)}
			k.told[told.id] = int64(at)
		}
	}
	for id := range c.sent {
		if _, told := k.told[id]; !told && Deletes(id) {
			k.deletes[Key(id)] = append(k.deletes[Key(id)], id)
		}
	}
	var first map[string]spot
	for i, r := range c.replicas {
		last := k.survivors(r)
		k.versions(r, last)
		k.end(r)
		if i == 0 {
			first = last
			continue
		}
		k.compareHoldings(c.replicas[0], r)
		k.compareLast(r.Broker, first, last)
		k.compareLast(c.replicas[0].Broker, last, first)
	}
}

// survivors holds the records that compaction has left to their places, and returns the last one of each key.
func (k keyCheck) survivors(log Replica) map[string]spot {
	last := make(map[string]spot)
	places := make(map[ID]int64)
	newest := make(map[int32]int32) // by producer
	var next int64
	for _, r := range log.Runs {
		if r.Offset < next {
			k.fail(Order, "broker %d has offset %d after %d", log.Broker, r.Offset, next-1)
		}
		next = r.Offset + int64(r.Count)
		for i := range r.Count {
			id, at := ID{r.Producer, r.Sequence + i}, r.Offset+int64(i)
			k.place(places, id, at)
			if told, ok := k.told[id]; ok && told != at && k.guarantee(id.Producer) != Repeats {
				k.fail(Duplicate, "%d of producer %d at offset %d of broker %d, and told to be at %d", id.Sequence, id.Producer, at, log.Broker, told)
			}
			if before, ok := newest[id.Producer]; ok && before > id.Sequence && k.guarantee(id.Producer) == Idempotent {
				k.fail(Order, "broker %d has %d of producer %d after %d", log.Broker, id.Sequence, id.Producer, before)
			}
			newest[id.Producer] = id.Sequence
			last[Key(id)] = spot{id, at}
		}
	}
	return last
}

// versions holds the last record of each key to the last one that anybody was told of.
func (k keyCheck) versions(log Replica, last map[string]spot) {
	for key, told := range k.last {
		found, there := last[key]
		switch {
		case there && found.offset >= told.offset:
		case there && Deletes(told.id):
			k.fail(Undead, "%s was deleted at %d, on broker %d the last record is at %d", key, told.offset, log.Broker, found.offset)
		case there:
			k.fail(Stale, "%s was at %d, on broker %d the last record is at %d", key, told.offset, log.Broker, found.offset)
		case !Deletes(told.id) && !k.mayDelete(told.id):
			k.fail(Lost, "%s was at %d, broker %d has no record of it", key, told.offset, log.Broker)
		}
	}
	for id, acked := range k.sent {
		if _, told := k.told[id]; !acked || told {
			continue
		}
		found, there := last[Key(id)]
		switch {
		case there && found.id.Producer == id.Producer && found.id.Sequence < id.Sequence:
			k.fail(Stale, "%d of producer %d was acknowledged, on broker %d %s ends with %d", id.Sequence, id.Producer, log.Broker, Key(id), found.id.Sequence)
		case !there && !Deletes(id) && !k.deletedLater(id):
			k.fail(Lost, "%d of producer %d was acknowledged, broker %d has no record of %s", id.Sequence, id.Producer, log.Broker, Key(id))
		}
	}
}

// mayDelete reports whether a tombstone of which nobody was told where it lies may have come after a record.
func (k keyCheck) mayDelete(id ID) bool {
	for _, tombstone := range k.deletes[Key(id)] {
		if tombstone.Producer != id.Producer || tombstone.Sequence > id.Sequence {
			return true
		}
	}
	return false
}

// deletedLater is mayDelete for a record of which nobody was told where it lies.
func (k keyCheck) deletedLater(id ID) bool {
	last, told := k.last[Key(id)]
	return told && Deletes(last.id) || k.mayDelete(id)
}

// end holds the end of a replica to what was told.
func (k keyCheck) end(log Replica) {
	if end := log.End(); int64(len(k.contents)) > end {
		k.fail(Lost, "offset %d was told, the log of broker %d ends at %d", len(k.contents)-1, log.Broker, end)
	} else if k.highest.offset > end {
		k.fail(Back, "broker %d told %d, the log of broker %d ends at %d", k.highest.leader, k.highest.offset, log.Broker, end)
	}
}

// compareHoldings compares what two replicas have at the same offsets, and where they end.
func (k keyCheck) compareHoldings(a, b Replica) {
	if a.End() != b.End() {
		k.fail(Differ, "broker %d ends at %d, broker %d at %d", a.Broker, a.End(), b.Broker, b.End())
	}
	ids := make(map[int64]ID)
	for _, r := range a.Runs {
		for i := range r.Count {
			ids[r.Offset+int64(i)] = ID{r.Producer, r.Sequence + i}
		}
	}
	for _, r := range b.Runs {
		for i := range r.Count {
			at, id := r.Offset+int64(i), ID{r.Producer, r.Sequence + i}
			if other, both := ids[at]; both && other != id {
				k.fail(Differ, "at %d broker %d has %v, broker %d %v", at, a.Broker, other, b.Broker, id)
			}
		}
	}
	epochs := make(map[int64]int32)
	for _, batch := range a.Batches {
		epochs[batch.Offset] = batch.Epoch
	}
	for _, batch := range b.Batches {
		if other, both := epochs[batch.Offset]; both && other != batch.Epoch {
			k.fail(Differ, "the batch at %d is of epoch %d on broker %d, of epoch %d on broker %d", batch.Offset, other, a.Broker, batch.Epoch, b.Broker)
		}
	}
}

// compareLast finds the keys that end elsewhere on a broker. Where a tombstone is gone, nothing is left.
func (k keyCheck) compareLast(broker int32, want, got map[string]spot) {
	for key, w := range want {
		if g, there := got[key]; there && g != w && g.offset <= w.offset || !there && !Deletes(w.id) {
			k.fail(Differ, "%s ends at %d with %v elsewhere, on broker %d with %v at %d", key, w.offset, w.id, broker, g.id, g.offset)
		}
	}
}
