package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Fault is a way in which a history is wrong.
type Fault string

// The ways.
const (
	// Lost: a record that was acknowledged or read is not in the log.
	Lost Fault = "record lost"
	// Contents: an offset was told, or holds, two records.
	Contents Fault = "two contents of an offset"
	// Order: acknowledged records lie in another order than they were sent in.
	Order Fault = "order broken"
	// Duplicate: a record lies there twice, of a producer that leaves no duplicates.
	Duplicate Fault = "duplicate"
	// Back: what a consumer was told to be committed was taken back.
	Back Fault = "high watermark went back"
	// Gap: a consumer was not given the offset that comes next.
	Gap Fault = "gap in what a consumer read"
	// Foreign: a record is in the log that nobody has sent.
	Foreign Fault = "record that nobody sent"
	// Differ: two replicas are not the same.
	Differ Fault = "replicas differ"
)

// Violation is one thing that must not be.
type Violation struct {
	Fault     Fault
	Partition Partition
	Detail    string
}

func (v Violation) String() string { return fmt.Sprintf("%s: %v: %s", v.Fault, v.Partition, v.Detail) }

// perFault is how many violations of one kind are told of a partition: thousands say no more.
const perFault = 5

// Guarantee is what may become of a producer's records in the log of a partition.
type Guarantee uint8

// The guarantees.
const (
	// Repeats: a producer without idempotence that sends again what had no answer. The first of its
	// acknowledged records of each number lie in order.
	Repeats Guarantee = iota
	// Once: one that never sends again. No record lies there twice, acknowledged ones lie in order; what
	// had no answer may be late.
	Once
	// Idempotent: one session of an idempotent producer, with several requests in flight that its client
	// sends again until they are answered. No record lies there twice, and all of them, acknowledged or
	// not, lie in order: a broker refuses a sequence that does not follow the one before.
	Idempotent
)

// Check returns everything that is wrong with a history, of producers with these guarantees. A partition
// without replicas, which was not looked at in the end, is checked for contradictions within the history
// alone.
func Check(events []Event, replicas []Replica, guarantee func(producer int32) Guarantee) []Violation {
	checks := make(map[Partition]*check)
	of := func(p Partition) *check {
		c := checks[p]
		if c == nil {
			c = &check{partition: p, guarantee: guarantee, told: make(map[Fault]int),
				sent: make(map[ID]bool), positions: make(map[int32]int64), marks: make(map[mark]watermark)}
			checks[p] = c
		}
		return c
	}
	for _, e := range events {
		if e.Kind != Restarted {
			of(e.Partition)
		}
	}
	for _, e := range events {
		if e.Kind != Restarted {
			checks[e.Partition].events = append(checks[e.Partition].events, e)
			continue
		}
		for _, c := range checks {
			c.events = append(c.events, e)
		}
	}
	for _, r := range replicas {
		c := of(r.Partition)
		c.replicas = append(c.replicas, r)
	}
	var all []Violation
	for _, p := range slices.SortedFunc(maps.Keys(checks), func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Index, b.Index))
	}) {
		all = append(all, checks[p].run()...)
	}
	return all
}

// check looks at one partition.
type check struct {
	partition Partition
	guarantee func(int32) Guarantee
	events    []Event
	replicas  []Replica

	violations []Violation
	told       map[Fault]int
	contents   []claim         // by offset, as far as anybody has told
	sent       map[ID]bool     // true if acknowledged
	positions  map[int32]int64 // the next offset of each consumer
	marks      map[mark]watermark
	highest    watermark // that any client was told
}

// mark is a source of high watermarks, none of which goes back.
type mark struct {
	client int32
	kind   Kind
	epoch  int32
}

// watermark is the last one of a source, and who told it.
type watermark struct {
	offset int64
	leader int32
}

// claim is a content that somebody was told.
type claim struct {
	id   ID
	by   int32 // the client
	kind Kind
	set  bool
}

func (c claim) String() string {
	return fmt.Sprintf("%d of producer %d (%v by client %d)", c.id.Sequence, c.id.Producer, c.kind, c.by)
}

func (c *check) fail(f Fault, format string, args ...any) {
	c.told[f]++
	if c.told[f] <= perFault {
		c.violations = append(c.violations, Violation{f, c.partition, fmt.Sprintf(format, args...)})
	}
}

func (c *check) run() []Violation {
	for _, e := range c.events {
		switch e.Kind {
		case Acked, Unknown:
			c.noteSent(e)
		case Polled:
			c.position(e)
			c.watermark(e)
		case Latest:
			c.watermark(e)
		case Restarted:
			maps.DeleteFunc(c.marks, func(m mark, told watermark) bool { return m.kind == Polled && told.leader == e.Leader })
		}
		if e.Kind != Unknown {
			c.claims(e)
		}
	}
	if len(c.replicas) > 0 {
		c.compareReplicas()
		c.compareLog(c.replicas[0])
	}
	for f, n := range c.told {
		if n > perFault {
			c.violations = append(c.violations, Violation{f, c.partition, fmt.Sprintf("and %d more", n-perFault)})
		}
	}
	return c.violations
}

func (c *check) noteSent(e Event) {
	for _, r := range e.Runs {
		for i := range r.Count {
			id := ID{r.Producer, r.Sequence + i}
			c.sent[id] = c.sent[id] || e.Kind == Acked
		}
	}
}

// position holds a consumer to its offsets. Its first poll says where it begins.
func (c *check) position(e Event) {
	for _, r := range e.Runs {
		next, begun := c.positions[e.Client]
		if begun && r.Offset != next {
			c.fail(Gap, "consumer %d read %d after %d at %v", e.Client, r.Offset, next-1, e.At)
		}
		c.positions[e.Client] = r.Offset + int64(r.Count)
	}
}

func (c *check) watermark(e Event) {
	m := mark{e.Client, e.Kind, e.Epoch}
	if e.Kind == Latest {
		m.epoch = 0 // KIP-207: whoever leads
	}
	before, ok := c.marks[m]
	if ok && m.epoch >= 0 && e.HighWatermark < before.offset {
		c.fail(Back, "client %d was told %d by broker %d after %d by broker %d (%v, epoch %d) at %v",
			e.Client, e.HighWatermark, e.Leader, before.offset, before.leader, e.Kind, e.Epoch, e.At)
	}
	told := watermark{e.HighWatermark, e.Leader}
	c.marks[m] = told
	if told.offset > c.highest.offset {
		c.highest = told
	}
}

// claims notes what is said to be at which offset.
func (c *check) claims(e Event) {
	for _, r := range e.Runs {
		if r.Offset < 0 {
			continue
		}
		for i := range r.Count {
			at := r.Offset + int64(i)
			for int64(len(c.contents)) <= at {
				c.contents = append(c.contents, claim{})
			}
			now := claim{id: ID{r.Producer, r.Sequence + i}, by: e.Client, kind: e.Kind, set: true}
			switch before := c.contents[at]; {
			case !before.set:
				c.contents[at] = now
			case before.id != now.id:
				c.fail(Contents, "offset %d is %v and %v at %v", at, before, now, e.At)
			}
		}
	}
}

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
