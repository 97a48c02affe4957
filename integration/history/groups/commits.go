package groups

import (
	"time"

	"github.com/gregor-mq/gregor/integration/history"
)

// commit is what somebody tried to commit for a partition.
type commit struct {
	offset     int64
	generation int32
	broker     int32
	begun      time.Duration
	ended      time.Duration // when its outcome was known
	acked      bool
	late       bool // it may be carried out any time from begun on, as long as its generation lasts
}

func (c *check) noteCommit(e *Event) {
	acked := e.Kind == Committed
	for _, p := range e.Parts {
		c.commits[p.Partition] = append(c.commits[p.Partition], commit{offset: p.Offset, generation: e.Generation,
			broker: e.Broker, begun: e.Begun, ended: e.At, acked: acked, late: !acked || e.Repeated})
	}
}

// supersedes reports whether a cannot be what counts any more when b was acknowledged.
func (b *commit) supersedes(a *commit) bool {
	return b.generation > a.generation || !a.late && a.ended < b.begun
}

// binding returns the commits that whoever answers e must know: they were acknowledged when that was asked, and
//
//   - are of an earlier generation than e's, in which the broker has assigned to the member: those lie in the log
//     before the generation does;
//   - or were acknowledged by the same broker. Another one may have taken its place without its knowledge, and may
//     have taken commits of the same generation; and a broker that another one's member asks need not know of more.
func (c *check) binding(e *Event, part history.Partition) (known []commit) {
	assigner, ok := c.assigner(e)
	knows := !ok || assigner == e.Broker
	for _, a := range c.commits[part] {
		own := a.generation <= e.Generation && a.broker == e.Broker && e.Broker != UnknownBroker
		if a.acked && a.ended < e.Begun && (own || knows && a.generation < e.Generation) {
			known = append(known, a)
		}
	}
	return known
}

// fetched holds the offsets that a member starts from to what was committed.
func (c *check) fetched(e *Event) {
	for _, p := range e.Parts {
		if p.Offset > c.processed[p.Partition] {
			c.fail(Skipped, "%s was given %d of %v in generation %d at %v, only what is below %d was processed",
				e.Member, p.Offset, p.Partition, e.Generation, e.At, c.processed[p.Partition])
			continue
		}
		c.start(e, p, c.binding(e, p.Partition))
	}
}

// start holds an offset to be one that counts: of a commit that none of those known supersedes.
func (c *check) start(e *Event, p Part, known []commit) {
	if p.Offset < 0 {
		if len(known) > 0 {
			last := known[len(known)-1]
			c.fail(Lost, "%s was given no offset of %v in generation %d by broker %d at %v; %d was committed in generation %d by broker %d at %v",
				e.Member, p.Partition, e.Generation, e.Broker, e.At, last.offset, last.generation, last.broker, last.ended)
		}
		return
	}
	tried := false
	var by *commit
	for _, a := range c.commits[p.Partition] {
		if a.offset != p.Offset || a.begun > e.At {
			continue
		}
		tried = true
		if by = a.supersededBy(known); by == nil {
			return
		}
	}
	if !tried {
		c.fail(Invented, "%s was given %d of %v in generation %d by broker %d at %v", e.Member, p.Offset, p.Partition, e.Generation, e.Broker, e.At)
		return
	}
	c.fail(WentBack, "%s was given %d of %v in generation %d by broker %d at %v; %d was committed in generation %d by broker %d at %v",
		e.Member, p.Offset, p.Partition, e.Generation, e.Broker, e.At, by.offset, by.generation, by.broker, by.ended)
}

func (a *commit) supersededBy(known []commit) *commit {
	for i := range known {
		if known[i].supersedes(a) {
			return &known[i]
		}
	}
	return nil
}
