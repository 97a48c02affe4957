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
	// Stale: an older version of a key is the last one.
	Stale Fault = "key went back to an older version"
	// Undead: a key has a record that is older than its tombstone.
	Undead Fault = "deleted key came back"
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

// Rules are what topics and producers promise.
type Rules struct {
	Guarantee func(producer int32) Guarantee
	Compacted func(topic string) bool // nil: none is
}

// Check returns everything that is wrong with a history. A partition without replicas, which was not looked at in the
// end, is checked for contradictions within the history alone.
func Check(events []Event, replicas []Replica, rules Rules) []Violation {
	checks := make(map[Partition]*check)
	of := func(p Partition) *check {
		c := checks[p]
		if c == nil {
			c = &check{partition: p, guarantee: rules.Guarantee, compacted: rules.Compacted != nil && rules.Compacted(p.Topic), told: make(map[Fault]int),
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
	compacted bool
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
	switch {
	case len(c.replicas) == 0:
	case c.compacted:
		c.compareCompacted()
	default:
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

// position holds a consumer to its offsets. Its first poll says where it begins. Compaction leaves gaps.
func (c *check) position(e Event) {
	for _, r := range e.Runs {
		next, begun := c.positions[e.Client]
		if begun && (r.Offset < next || r.Offset > next && !c.compacted) {
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
