// Package assign chooses the brokers that hold the replicas of new partitions.
//
// It is Kafka's algorithm (AdminUtils.assignReplicasToBrokers), number for number: leaders go round
// robin from a random broker; the followers of each partition follow their leader at a distance
// that grows by one after every full round, so that one broker's load spreads over all others when
// it dies. If brokers have racks, the list they stand in alternates between racks, and a rack gets
// no second replica of a partition before every rack has one (KIP-36).
package assign

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
)

// MaxPartitions is the most partitions that Assign places at once. A topic is one znode, and one
// with more partitions than this would pass every limit that ZooKeeper has for its size.
const MaxPartitions = 1_000_000

// The errors of Assign wrap one of these.
var (
	// ErrPartitions reports a number of partitions that no topic can have (INVALID_PARTITIONS).
	ErrPartitions = errors.New("invalid number of partitions")
	// ErrReplicationFactor reports a replication factor that is not positive or larger than the
	// number of brokers (INVALID_REPLICATION_FACTOR).
	ErrReplicationFactor = errors.New("invalid replication factor")
	// ErrRacks reports that some brokers have a rack and others do not (UNKNOWN_SERVER_ERROR).
	ErrRacks = errors.New("not all brokers have a rack")
)

// Error is a refusal with the text that Kafka answers.
type Error struct {
	Kind    error // ErrPartitions, ErrReplicationFactor or ErrRacks
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns e.Kind.
func (e *Error) Unwrap() error { return e.Kind }

// Broker is a live broker that may get replicas.
type Broker struct {
	ID   int32
	Rack string // "": none
}

// Options say what to assign.
type Options struct {
	Partitions        int // how many, 1 to MaxPartitions
	ReplicationFactor int // 1 to the number of brokers
	// FirstPartition is the index of the first partition: 0 for a new topic, the present number of
	// partitions when some are added.
	FirstPartition int
	// Start fixes the position of the first leader and the distance of its followers, as adding
	// partitions does: see StartOf. Nil: both random and independent.
	Start *Start
}

// Start is the position of partition 0's leader in the list of brokers and the shift of its
// followers.
type Start struct{ Leader, Shift int }

// StartOf returns the start that continues a topic whose partition 0 is led by first: the position
// of the first broker, by id, whose id is not smaller, and 0 if there is none.
func StartOf(brokers []Broker, first int32) *Start {
	sorted := sortedByID(brokers)
	i, _ := slices.BinarySearchFunc(sorted, first, func(b Broker, id int32) int { return cmp.Compare(b.ID, id) })
	if i == len(sorted) {
		i = 0
	}
	return &Start{Leader: i, Shift: i}
}

// Assign returns the replicas of each partition, preferred leader first: those of partition
// opts.FirstPartition + i at index i. The order of brokers has no influence. Errors are *Error.
func Assign(brokers []Broker, opts Options) ([][]int32, error) {
	sorted := sortedByID(brokers)
	if err := check(sorted, opts); err != nil {
		return nil, err
	}
	start := opts.Start
	if start == nil {
		start = &Start{Leader: rand.IntN(len(sorted)), Shift: rand.IntN(len(sorted))}
	}
	l := layout{brokers: sorted, racks: make([]int, len(sorted)), shift: start.Shift}
	if sorted[0].Rack != "" {
		l.alternateRacks()
	}
	first := max(opts.FirstPartition, 0)
	replicas := make([]int32, 0, opts.Partitions*opts.ReplicationFactor)
	assigned := make([][]int32, opts.Partitions)
	for i := range assigned {
		p := first + i
		if p > 0 && p%len(sorted) == 0 {
			l.shift++
		}
		from := len(replicas)
		replicas = l.place(replicas, (p+start.Leader)%len(sorted), opts.ReplicationFactor)
		assigned[i] = replicas[from:len(replicas):len(replicas)]
	}
	return assigned, nil
}

func check(brokers []Broker, opts Options) error {
	switch {
	case opts.Partitions <= 0:
		return &Error{ErrPartitions, "Number of partitions must be larger than 0."}
	case opts.Partitions > MaxPartitions:
		return &Error{ErrPartitions, fmt.Sprintf("Number of partitions must not be larger than %d.", MaxPartitions)}
	case opts.ReplicationFactor <= 0:
		return &Error{ErrReplicationFactor, "Replication factor must be larger than 0."}
	case opts.ReplicationFactor > len(brokers):
		return &Error{ErrReplicationFactor, fmt.Sprintf("Replication factor: %d larger than available brokers: %d.", opts.ReplicationFactor, len(brokers))}
	}
	for _, b := range brokers {
		if (b.Rack == "") != (brokers[0].Rack == "") {
			return &Error{ErrRacks, "Not all brokers have rack information for replica rack aware assignment."}
		}
	}
	return nil
}

func sortedByID(brokers []Broker) []Broker {
	return slices.SortedFunc(slices.Values(brokers), func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) })
}

// layout is the ring of brokers that partitions are placed on.
type layout struct {
	brokers  []Broker
	racks    []int // of each position, the number of its rack
	numRacks int   // 0: brokers have no racks
	shift    int
}

// alternateRacks orders brokers, which are sorted by id, so that each round takes one of every rack
// that has any left, racks by name.
func (l *layout) alternateRacks() {
	byRack := map[string][]Broker{}
	var names []string
	for _, b := range l.brokers {
		if byRack[b.Rack] == nil {
			names = append(names, b.Rack)
		}
		byRack[b.Rack] = append(byRack[b.Rack], b)
	}
	slices.Sort(names)
	l.numRacks = len(names)
	ring := make([]Broker, 0, len(l.brokers))
	for round := 0; len(ring) < len(l.brokers); round++ {
		for rack, name := range names {
			if round < len(byRack[name]) {
				l.racks[len(ring)] = rack
				ring = append(ring, byRack[name][round])
			}
		}
	}
	l.brokers = ring
}

// place appends the replicas of a partition led by the broker at position leader.
func (l *layout) place(dst []int32, leader, replicationFactor int) []int32 {
	dst = append(dst, l.brokers[leader].ID)
	if l.numRacks == 0 {
		for j := range replicationFactor - 1 {
			dst = append(dst, l.brokers[l.follower(leader, l.shift, j)].ID)
		}
		return dst
	}
	usedRacks, usedBrokers := make([]bool, l.numRacks), make([]bool, len(l.brokers))
	racksLeft := l.numRacks - 1
	usedRacks[l.racks[leader]], usedBrokers[leader] = true, true
	// A replication factor is at most the number of brokers, so that one is always left.
	for k, placed := 0, 1; placed < replicationFactor; k++ {
		i := l.follower(leader, l.shift*l.numRacks, k)
		rack := l.racks[i]
		if usedBrokers[i] || usedRacks[rack] && racksLeft > 0 {
			continue
		}
		if !usedRacks[rack] {
			racksLeft--
		}
		usedRacks[rack], usedBrokers[i] = true, true
		dst = append(dst, l.brokers[i].ID)
		placed++
	}
	return dst
}

// follower returns the position of the j-th candidate after leader (AdminUtils.replicaIndex).
func (l *layout) follower(leader, shift, j int) int {
	n := len(l.brokers)
	return (leader + 1 + (shift+j)%(n-1)) % n
}
