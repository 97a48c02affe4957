// Package groups says whether consumer groups kept what they promise, from what their members were told.
//
// Members commit after each batch that they have processed. A Recorder notes what every member was assigned,
// which offsets it was given, what it processed and what became of its commits; Check compares.
//
// What must hold, whatever happens to members and coordinators:
//
//   - An acknowledged commit counts: whoever is assigned the partition in the same or a later generation
//     starts there or above (WentBack, Lost), and at an offset that somebody has committed (Invented).
//   - No record is skipped: nobody starts, or commits, above a record that no member has processed yet.
//   - A partition belongs to one member of a generation (Shared), and a member has one assignment in it.
//   - One generation at a time: once an assignment of a later generation was delivered, no commit of an
//     earlier one that begins then is acknowledged, nor one of a static member that was replaced, and no
//     broker goes back to an earlier generation that has delivered a later one (Stale).
//
// What a Kafka cluster does not promise, and so is not asked for:
//
//   - A commit that had no answer is carried out, or not, and may be late: a request that waits in a socket
//     of a frozen broker, or is sent again by TCP after a link is back, may come after a later one of the
//     same member on another connection, and takes the offset back to its own. It may not come after a commit
//     of a later generation.
//   - A broker that has lost its leadership and does not know it yet still answers heartbeats, offset fetches
//     and SyncGroups from memory; what it says is what it knew. So what it gives a member is held to the
//     generations before that in which it has assigned to the member, and to its own acknowledgements.
package groups

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/integration/history"
)

// Kind is what an Event says.
type Kind uint8

const (
	// Assigned is a member's assignment in a generation: all its partitions.
	Assigned Kind = iota
	// Fetched are the committed offsets that a member was given, or that somebody outside of the group has
	// asked for when all is well.
	Fetched
	// Processed are records that a member has processed.
	Processed
	// Committed are offsets whose commit was acknowledged.
	Committed
	// Uncertain are offsets whose commit failed, or had no answer.
	Uncertain
)

var kindNames = [...]string{"assigned", "fetched", "processed", "committed", "uncertain"}

func (k Kind) String() string { return kindNames[k] }

// Outside is the generation of somebody who is no member, and asks when all generations are known.
const Outside = math.MaxInt32

// UnknownBroker is the broker of a client that does not tell who answers; it asks the broker that assigned.
const UnknownBroker = -1

// Event is something that a member was told or did.
type Event struct {
	At         time.Duration // since the history began: when it was known
	Begun      time.Duration // when it was asked for, or a little earlier
	Kind       Kind
	Group      string
	Member     string // its member id
	Instance   string // of a static member
	Generation int32
	Broker     int32 // that answered, or UnknownBroker
	Parts      []Part
	// Repeated says of Committed that the client has sent it more than once, and that an earlier one has had
	// no answer: it may be carried out late.
	Repeated bool
}

// Part is what an event says of a partition.
type Part struct {
	history.Partition
	Offset int64 // committed: -1 if none is; or that of the first record processed
	Count  int64 // of records processed
}

// owner is who holds partitions: a static member goes on under another member id.
func (e *Event) owner() string { return cmp.Or(e.Instance, e.Member) }

// String returns the event as a line of a log.
func (e Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%10.3f %10.3f %s %v %s generation=%d broker=%d", e.Begun.Seconds(), e.At.Seconds(), e.Group, e.Kind,
		strings.TrimPrefix(e.Instance+" "+e.Member, " "), e.Generation, e.Broker)
	if e.Repeated {
		b.WriteString(" repeated")
	}
	slices.SortFunc(e.Parts, func(a, b Part) int { return comparePartitions(a.Partition, b.Partition) })
	for _, p := range e.Parts {
		fmt.Fprintf(&b, " %v", p.Partition)
		switch e.Kind {
		case Assigned:
		case Processed:
			fmt.Fprintf(&b, ":%d+%d", p.Offset, p.Count)
		default:
			fmt.Fprintf(&b, ":%d", p.Offset)
		}
	}
	return b.String()
}

func comparePartitions(a, b history.Partition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Index, b.Index))
}
