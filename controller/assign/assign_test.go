package assign

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func brokers(n int) (all []Broker) {
	for id := range n {
		all = append(all, Broker{ID: int32(id)})
	}
	return all
}

// racked are brokers 0 to 5 with the racks of the class comment of Kafka's AdminUtils.
var racked = []Broker{{0, "rack1"}, {1, "rack3"}, {2, "rack3"}, {3, "rack2"}, {4, "rack2"}, {5, "rack1"}}

// The expectations come from Kafka's class, run with the same fixed start.
func TestAssign(t *testing.T) {
	tests := []struct {
		name    string
		brokers []Broker
		opts    Options
		want    [][]int32 // from partition opts.FirstPartition on
	}{
		{"no racks", brokers(6), Options{Partitions: 10, ReplicationFactor: 3, Start: &Start{}},
			[][]int32{{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {4, 5, 0}, {5, 0, 1}, {0, 2, 3}, {1, 3, 4}, {2, 4, 5}, {3, 5, 0}}},
		{"racks", racked, Options{Partitions: 10, ReplicationFactor: 3, Start: &Start{}},
			[][]int32{{0, 3, 1}, {3, 1, 5}, {1, 5, 4}, {5, 4, 2}, {4, 2, 0}, {2, 0, 3}, {0, 4, 2}, {3, 2, 0}, {1, 0, 3}, {5, 3, 1}}},
		{"start 2, shift 4", brokers(6), Options{Partitions: 7, ReplicationFactor: 3, Start: &Start{2, 4}},
			[][]int32{{2, 1, 3}, {3, 2, 4}, {4, 3, 5}, {5, 4, 0}, {0, 5, 1}, {1, 0, 2}, {2, 3, 4}}},
		{"three more partitions, the first led by 2", brokers(6), Options{Partitions: 3, ReplicationFactor: 3, FirstPartition: 4, Start: StartOf(brokers(6), 2)},
			[][]int32{{0, 3, 4}, {1, 4, 5}, {2, 0, 1}}},
		{"one broker", brokers(1), Options{Partitions: 3, ReplicationFactor: 1}, [][]int32{{0}, {0}, {0}}},
		{"one rack for all", []Broker{{1, "a"}, {2, "a"}}, Options{Partitions: 2, ReplicationFactor: 2, Start: &Start{}}, [][]int32{{1, 2}, {2, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			shuffled := slices.Clone(tt.brokers)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			got, err := Assign(shuffled, tt.opts)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("Assign: %v (-want +got)\n%s", err, diff)
			}
		})
	}
}

func TestStartOf(t *testing.T) {
	some := []Broker{{ID: 30}, {ID: 10}, {ID: 20}}
	for first, want := range map[int32]int{10: 0, 11: 1, 20: 1, 30: 2, 31: 0} {
		if got := *StartOf(some, first); got != (Start{want, want}) {
			t.Errorf("StartOf(%d) = %v, want %d twice", first, got, want)
		}
	}
}

func TestAssignRefuses(t *testing.T) {
	tests := []struct {
		brokers []Broker
		opts    Options
		kind    error
		want    string
	}{
		{brokers(3), Options{0, 1, 0, nil}, ErrPartitions, "Number of partitions must be larger than 0."},
		{brokers(3), Options{1 << 40, 1, 0, nil}, ErrPartitions, "Number of partitions must not be larger than 1000000."},
		{brokers(3), Options{1, 0, 0, nil}, ErrReplicationFactor, "Replication factor must be larger than 0."},
		{brokers(3), Options{1, 4, 0, nil}, ErrReplicationFactor, "Replication factor: 4 larger than available brokers: 3."},
		{nil, Options{1, 1, 0, nil}, ErrReplicationFactor, "Replication factor: 1 larger than available brokers: 0."},
		{[]Broker{{1, ""}, {2, "r"}}, Options{1, 1, 0, nil}, ErrRacks, "Not all brokers have rack information for replica rack aware assignment."},
	}
	for _, tt := range tests {
		if _, err := Assign(tt.brokers, tt.opts); !errors.Is(err, tt.kind) || err.Error() != tt.want {
			t.Errorf("Assign(%v, %v) = %v, want %q", tt.brokers, tt.opts, err, tt.want)
		}
	}
}

// TestAssignIsFair checks, for random clusters, what any assignment must be: replicas are distinct,
// racks are used before one is used twice, and with full rounds all brokers lead equally often.
func TestAssignIsFair(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		n := 1 + r.IntN(12)
		cluster, racks := brokers(n), map[string]bool{}
		if r.IntN(2) == 0 {
			for i := range cluster {
				cluster[i].Rack = fmt.Sprint("r", r.IntN(4))
				racks[cluster[i].Rack] = true
			}
		}
		rf := 1 + r.IntN(n)
		got, err := Assign(cluster, Options{Partitions: 2 * n, ReplicationFactor: rf})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		leads := map[int32]int{}
		for p, replicas := range got {
			leads[replicas[0]]++
			used := map[string]bool{}
			for _, id := range replicas {
				used[cluster[id].Rack] = true
			}
			if distinct := slices.Compact(slices.Sorted(slices.Values(replicas))); len(distinct) != rf {
				t.Errorf("seed %d: partition %d has replicas %v, want %d", seed, p, replicas, rf)
			}
			if len(racks) > 0 && len(used) != min(rf, len(racks)) {
				t.Errorf("seed %d: partition %d is in %d of %d racks with %d replicas", seed, p, len(used), len(racks), rf)
			}
		}
		for id := range cluster {
			if leads[int32(id)] != 2 {
				t.Errorf("seed %d: broker %d leads %d partitions, want 2", seed, id, leads[int32(id)])
			}
		}
	}
}
