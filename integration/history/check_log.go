package history

import "slices"

// compareReplicas holds all replicas to be the same.
func (c *check) compareReplicas() {
	first := c.replicas[0]
	for _, other := range c.replicas[1:] {
		for i := range max(len(first.Batches), len(other.Batches)) {
			if i >= len(first.Batches) || i >= len(other.Batches) {
				c.fail(Differ, "broker %d has %d batches up to %d, broker %d has %d up to %d",
					first.Broker, len(first.Batches), first.End(), other.Broker, len(other.Batches), other.End())
				break
			}
			if a, b := first.Batches[i], other.Batches[i]; a != b {
				c.fail(Differ, "broker %d has a batch at %d of epoch %d where broker %d has one at %d of epoch %d",
					first.Broker, a.Offset, a.Epoch, other.Broker, b.Offset, b.Epoch)
				break
			}
		}
	}
}

// compareLog holds the log to what was told, and to the producers' guarantees.
func (c *check) compareLog(log Replica) {
	places := make(map[ID]int64) // the first of each record
	end := log.End()
	var next int64
	for _, r := range log.Runs {
		if r.Offset != next {
			c.fail(Lost, "the log goes from offset %d to %d", next-1, r.Offset)
		}
		next = r.Offset + int64(r.Count)
		for i := range r.Count {
			c.place(places, ID{r.Producer, r.Sequence + i}, r.Offset+int64(i))
		}
	}
	for at, told := range c.contents {
		if !told.set {
			continue
		}
		if int64(at) >= end {
			c.fail(Lost, "offset %d was %v, the log ends at %d", at, told, end)
		}
	}
	for id, acked := range c.sent {
		if _, there := places[id]; acked && !there {
			c.fail(Lost, "%d of producer %d was acknowledged and is nowhere", id.Sequence, id.Producer)
		}
	}
	if c.highest.offset > end {
		c.fail(Back, "broker %d told %d, the log ends at %d", c.highest.leader, c.highest.offset, end)
	}
	c.order(places)
}

// place notes where a record lies, and compares that with what was told of the offset.
func (c *check) place(places map[ID]int64, id ID, at int64) {
	if at < int64(len(c.contents)) && c.contents[at].set && c.contents[at].id != id {
		c.fail(Contents, "offset %d is %v, in the log it is %d of producer %d", at, c.contents[at], id.Sequence, id.Producer)
	}
	if _, ok := c.sent[id]; !ok {
		c.fail(Foreign, "%d of producer %d at offset %d", id.Sequence, id.Producer, at)
	}
	if before, twice := places[id]; !twice {
		places[id] = at
	} else if c.guarantee(id.Producer) != Repeats {
		c.fail(Duplicate, "%d of producer %d at offsets %d and %d", id.Sequence, id.Producer, before, at)
	}
}

// order compares the places of records with their numbers: those that were acknowledged, and all of an
// idempotent producer. The first of a record that lies there several times counts.
func (c *check) order(places map[ID]int64) {
	producers := make(map[int32][]int32)
	for id, acked := range c.sent {
		if _, there := places[id]; there && (acked || c.guarantee(id.Producer) == Idempotent) {
			producers[id.Producer] = append(producers[id.Producer], id.Sequence)
		}
	}
	for producer, sequences := range producers {
		slices.Sort(sequences)
		for i := 1; i < len(sequences); i++ {
			before, after := ID{producer, sequences[i-1]}, ID{producer, sequences[i]}
			if places[before] > places[after] {
				c.fail(Order, "%d of producer %d lies at %d, %d at %d", before.Sequence, producer, places[before], after.Sequence, places[after])
			}
		}
	}
}
