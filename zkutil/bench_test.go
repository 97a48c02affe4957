package zkutil_test

import (
	"fmt"
	"testing"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

const benchPartitions = 10_000

// benchCluster makes a topic for n partitions, and returns the writes that create their states.
func benchWrites(b *testing.B, c *zkutil.Client, name string) []zkutil.PartitionWrite {
	create(b, c, zkutil.TopicPath(name))
	writes := make([]zkutil.PartitionWrite, benchPartitions)
	for i := range writes {
		writes[i] = zkutil.PartitionWrite{
			Partition: topic.Partition{Topic: name, Index: int32(i)},
			State:     zkutil.PartitionState{Leader: 1, ISR: []int32{1, 2, 3}, ControllerEpoch: 1},
		}
	}
	return writes
}

// BenchmarkPartitions measures what a controller does with 10,000 partitions: create their nodes, three for
// each, read their states, and write them once.
func BenchmarkPartitions(b *testing.B) {
	ctx, c := within(b), connect(b)
	must(b, c.EnsurePersistentPaths(ctx))
	f := electFirst(b, c, 1)
	round := 0
	var writes []zkutil.PartitionWrite
	b.Run("create", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			round++
			writes = benchWrites(b, c, fmt.Sprint("t", round))
			b.StartTimer()
			results, err := c.CreatePartitionStates(ctx, f, writes)
			must(b, err)
			for _, r := range results {
				must(b, r.Err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		partitions := make([]topic.Partition, len(writes))
		for i, w := range writes {
			partitions[i] = w.Partition
		}
		for b.Loop() {
			for _, r := range c.PartitionStates(ctx, partitions) {
				must(b, r.Err)
			}
		}
	})
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			results, err := c.UpdatePartitionStates(ctx, f, writes)
			must(b, err)
			for i, r := range results {
				must(b, r.Err)
				writes[i].State.Version = r.State.Version
			}
		}
	})
}
