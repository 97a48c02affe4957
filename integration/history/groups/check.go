package groups

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/integration/history"
)

// Fault is a way in which a history is wrong.
type Fault string

// The ways.
const (
	// WentBack: who was assigned a partition was given less than what was committed.
	WentBack Fault = "committed offset went back"
	// Lost: who was assigned a partition was given no offset although one was committed.
	Lost Fault = "committed offset lost"
	// Invented: a member was given an offset that nobody has committed.
	Invented Fault = "offset that nobody committed"
	// Skipped: a record was not processed by any member, and will not be.
	Skipped Fault = "record skipped"
	// Shared: two members of a generation have the same partition.
	Shared Fault = "partition of two members"
	// Changed: a member was given two assignments in one generation.
	Changed Fault = "two assignments of a member"
	// Stale: an earlier generation, or a replaced static member, was served after a later one.
	Stale Fault = "earlier generation served"
)

// Violation is one thing that must not be.
type Violation struct {
	Fault  Fault
	Group  string
	Detail string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s: group %s: %s", v.Fault, v.Group, v.Detail)
}

// perFault is how many violations of one kind are told of a group: thousands say no more.
const perFault = 5

// Check returns everything that is wrong with a history.
func Check(events []Event) []Violation {
	byGroup := make(map[string][]Event)
	for _, e := range events {
		byGroup[e.Group] = append(byGroup[e.Group], e)
	}
	var all []Violation
	for _, name := range slices.Sorted(maps.Keys(byGroup)) {
		c := &check{group: name, told: make(map[Fault]int)}
		all = append(all, c.run(byGroup[name])...)
	}
	return all
}

// check looks at one group.
type check struct {
	group      string
	violations []Violation
	told       map[Fault]int

	assignments
	commits   map[history.Partition][]commit // in the order in which they were known
	processed map[history.Partition]int64    // all below was processed by somebody
}

func (c *check) fail(f Fault, format string, args ...any) {
	if c.told[f]++; c.told[f] <= perFault {
		c.violations = append(c.violations, Violation{f, c.group, fmt.Sprintf(format, args...)})
	}
}

func (c *check) run(events []Event) []Violation {
	c.assignments = newAssignments()
	c.commits = make(map[history.Partition][]commit)
	c.processed = make(map[history.Partition]int64)
	for i := range events {
		if e := &events[i]; e.Kind == Committed || e.Kind == Uncertain {
			c.noteCommit(e)
		}
	}
	for i := range events {
		switch e := &events[i]; e.Kind {
		case Assigned:
			c.assigned(e)
		case Fetched:
			c.fetched(e)
		case Processed:
			c.noteProcessed(e)
		case Committed:
			c.committed(e)
		case Uncertain:
		}
	}
	for f, n := range c.told {
		if n > perFault {
			c.violations = append(c.violations, Violation{f, c.group, fmt.Sprintf("and %d more", n-perFault)})
		}
	}
	return c.violations
}

// committed holds an acknowledged commit to be one of the generation that counts.
func (c *check) committed(e *Event) {
	if later := c.deliveredBefore(e.Begun); later.generation > e.Generation {
		c.fail(Stale, "a commit of generation %d by %s that began at %v was acknowledged; generation %d was delivered to %s at %v",
			e.Generation, e.Member, e.Begun, later.generation, later.member, later.at)
	}
	if by := c.replacedBefore(e, e.Begun); by.member != "" {
		c.fail(Stale, "a commit by %s that began at %v was acknowledged; instance %s went on as %s at %v",
			e.Member, e.Begun, e.Instance, by.member, by.at)
	}
	for _, p := range e.Parts {
		if p.Offset > c.processed[p.Partition] {
			c.fail(Skipped, "%s committed %d of %v at %v, only what is below %d was processed", e.Member, p.Offset, p.Partition, e.At, c.processed[p.Partition])
		}
	}
}

// noteProcessed moves the end of what was processed.
func (c *check) noteProcessed(e *Event) {
	for _, p := range e.Parts {
		if end := c.processed[p.Partition]; p.Offset > end {
			c.fail(Skipped, "%s went on at %d of %v at %v, only what is below %d was processed", e.Member, p.Offset, p.Partition, e.At, end)
		}
		c.processed[p.Partition] = max(c.processed[p.Partition], p.Offset+p.Count)
	}
}
