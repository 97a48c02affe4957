package groups

import (
	"slices"
	"time"

	"github.com/gregor-mq/gregor/integration/history"
)

// assignments are what members of a group were assigned so far.
type assignments struct {
	owners   map[owned]string
	given    map[membership][]history.Partition
	brokers  map[membership]int32
	highest  []delivery          // each of a higher generation than the one before
	byBroker map[int32]delivery  // the highest of each broker
	statics  map[string]delivery // the last one of each instance
}

// owned is a partition in a generation.
type owned struct {
	generation int32
	part       history.Partition
}

// membership is a member in a generation.
type membership struct {
	member     string
	generation int32
}

// delivery is an assignment that a member was given.
type delivery struct {
	generation int32
	member     string
	at         time.Duration
}

func newAssignments() assignments {
	return assignments{owners: make(map[owned]string), given: make(map[membership][]history.Partition),
		brokers: make(map[membership]int32), byBroker: make(map[int32]delivery), statics: make(map[string]delivery)}
}

// assigned notes an assignment and holds it to those before.
func (c *check) assigned(e *Event) {
	m := membership{e.Member, e.Generation}
	var parts []history.Partition
	for _, p := range e.Parts {
		parts = append(parts, p.Partition)
		at := owned{e.Generation, p.Partition}
		if other, ok := c.owners[at]; ok && other != e.owner() {
			c.fail(Shared, "%v is %s's and %s's in generation %d, at %v", p.Partition, other, e.owner(), e.Generation, e.At)
		}
		c.owners[at] = e.owner()
	}
	slices.SortFunc(parts, comparePartitions)
	if before, ok := c.given[m]; ok && !slices.Equal(before, parts) {
		c.fail(Changed, "%s was given %v and %v in generation %d, at %v", e.Member, before, parts, e.Generation, e.At)
	}
	c.given[m], c.brokers[m] = parts, e.Broker
	if later := c.byBroker[e.Broker]; later.generation > e.Generation && later.at < e.Begun && e.Broker != UnknownBroker {
		c.fail(Stale, "broker %d delivered generation %d to %s, asked at %v, after generation %d to %s at %v",
			e.Broker, e.Generation, e.Member, e.Begun, later.generation, later.member, later.at)
	}
	c.deliver(e)
}

func (c *check) deliver(e *Event) {
	d := delivery{e.Generation, e.Member, e.At}
	if n := len(c.highest); n == 0 || c.highest[n-1].generation < e.Generation {
		c.highest = append(c.highest, d)
	}
	if c.byBroker[e.Broker].generation < e.Generation {
		c.byBroker[e.Broker] = d
	}
	if e.Instance != "" && c.statics[e.Instance].generation <= e.Generation {
		c.statics[e.Instance] = d
	}
}

// deliveredBefore returns the highest generation that had been delivered by then.
func (c *check) deliveredBefore(t time.Duration) (d delivery) {
	for _, h := range c.highest {
		if h.at < t {
			d = h
		}
	}
	return d
}

// replacedBefore returns the member that a static one went on as, if it had its assignment by then.
func (c *check) replacedBefore(e *Event, t time.Duration) delivery {
	now := c.statics[e.Instance]
	if e.Instance == "" || now.member == e.Member || now.generation < e.Generation || now.at >= t {
		return delivery{}
	}
	return now
}

// assigner returns the broker that assigned to the member that fetches its offsets.
func (c *check) assigner(e *Event) (int32, bool) {
	broker, ok := c.brokers[membership{e.Member, e.Generation}]
	return broker, ok
}
