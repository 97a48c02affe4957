// Package history says whether what clients of a cluster were told is true of its logs in the end.
//
// Producers number their records, per partition from 0 on without a gap, and the records carry these
// numbers (Value, Parse). A Recorder notes what became of each record and what consumers saw; Read gets
// each replica's log from its files, once the faults are over and all have caught up; Check compares.
//
//	producers, consumers -> Recorder -> []Event  \
//	log directories -> Read -> []Replica          > Check -> []Violation
//
// What must hold (topics without retention and transactions; acks=all):
//
//   - An acknowledged record is in the log, at the offset that was told. So is a record that was read.
//   - An offset has one content, whoever tells it.
//   - Acknowledged records of one producer lie in the order of their numbers. A record without an answer may
//     be there or not, and may be late: what waited in a socket is taken when its broker goes on. A producer
//     without idempotence may have duplicates; one session of an idempotent producer leaves none, whatever its
//     client has sent again across changes of leaders, and all its records lie in order (Guarantee).
//   - A consumer reads offset after offset. The high watermark in the replies to its fetches does not go
//     back within a leader epoch and one life of the leader: a new leader, or one that was killed with all
//     the others and still leads, begins with an older one, as in Kafka, and hides what lies above. The
//     latest offset that a consumer asks for never goes back (KIP-207). A reply may hold records above the
//     high watermark it tells, which is looked at first.
//   - Nothing is in a log that nobody has sent, and the replicas of a partition are the same, byte for byte.
//
// Compaction takes records away, in each replica at its own time: of a compacted topic less is promised in the end, of
// each replica's log and of what a reader from the beginning is given.
//
//   - The last record of a key is the last one that was acknowledged or read (Stale), or a later one without an answer.
//     If that is a tombstone, it may be gone, but nothing older may be there (Undead); otherwise the key must be
//     there (Lost).
//   - What is there lies where it was told, once, and the records of a session of an idempotent producer in order.
//   - Replicas end at one offset. What two of them have at an offset is the same record, of the same leader epoch; the
//     last record of a key is the same, but for tombstones that one of them has dropped already.
//
// That a deleted key stays deleted holds only while replicas that lag come back within the topic's delete.retention.ms:
// one that was away for longer does not see the tombstone any more, in Kafka as well.
package history

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Partition names a partition.
type Partition struct {
	Topic string
	Index int32
}

func (p Partition) String() string { return p.Topic + "-" + strconv.Itoa(int(p.Index)) }

// ID identifies a record within its partition.
type ID struct {
	Producer int32
	Sequence int32 // the producer's records of the partition, numbered from 0
}

// Run is records of one producer that follow each other in sequence and in offset.
type Run struct {
	ID
	Offset int64 // of the first; -1 if a broker has not told
	Count  int32
}

// Kind is what an Event says.
type Kind uint8

const (
	// Acked are records that were acknowledged.
	Acked Kind = iota
	// Unknown are records whose fate the producer does not know, or believes to know that they are not
	// in the log.
	Unknown
	// Polled is the reply to a fetch: records, and the high watermark.
	Polled
	// Latest is the end of a partition as ListOffsets tells it.
	Latest
	// Processed are records that a member of a consumer group has processed, which begins anywhere, and
	// may begin again. Package groups checks what of them must be there.
	Processed
	// Restarted is a broker, the Leader, that begins a new life. It is of no partition.
	Restarted
)

func (k Kind) String() string {
	return [...]string{"acked", "unknown", "polled", "latest", "processed", "restarted"}[k]
}

// Event is something that a client was told.
type Event struct {
	At        time.Duration // since the history began
	Kind      Kind
	Client    int32 // a producer or a consumer; one that consumes has one position in each partition
	Partition Partition
	Runs      []Run
	// HighWatermark comes with Polled and Latest.
	HighWatermark int64
	// Epoch is the leader epoch that Leader was asked under and agreed to, -1 if none was named.
	Epoch  int32
	Leader int32
}

// String returns the event as a line of a log.
func (e Event) String() string {
	var b strings.Builder
	if e.Kind == Restarted {
		return fmt.Sprintf("%10.3f restarted broker %d", e.At.Seconds(), e.Leader)
	}
	fmt.Fprintf(&b, "%10.3f %s client=%d %v", e.At.Seconds(), e.Kind, e.Client, e.Partition)
	if e.Kind == Polled || e.Kind == Latest {
		fmt.Fprintf(&b, " hw=%d epoch=%d leader=%d", e.HighWatermark, e.Epoch, e.Leader)
	}
	for _, r := range e.Runs {
		fmt.Fprintf(&b, " %d+%d@%d", r.Sequence, r.Count, r.Offset)
		if r.Producer != e.Client || e.Kind == Polled || e.Kind == Processed {
			fmt.Fprintf(&b, "(producer %d)", r.Producer)
		}
	}
	return b.String()
}

// Value returns the value of a record, of about size bytes.
func Value(p Partition, id ID, size int) []byte {
	value := make([]byte, 0, max(size, 48))
	value = fmt.Appendf(value, "%s %d %d %d ", p.Topic, p.Index, id.Producer, id.Sequence)
	for len(value) < size {
		value = append(value, 'a'+byte((int(id.Sequence)+len(value))%26))
	}
	return value
}

// Parse returns what Value was given.
func Parse(value []byte) (Partition, ID, error) {
	var p Partition
	var id ID
	fields := strings.SplitN(string(value), " ", 5)
	if len(fields) != 5 {
		return p, id, fmt.Errorf("no record of ours: %.80q", value)
	}
	p.Topic = fields[0]
	for i, to := range []*int32{&p.Index, &id.Producer, &id.Sequence} {
		n, err := strconv.ParseInt(fields[i+1], 10, 32)
		if err != nil || n < 0 {
			return p, id, fmt.Errorf("no record of ours: %.80q", value)
		}
		*to = int32(n)
	}
	return p, id, nil
}
