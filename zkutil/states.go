package zkutil

import (
	"context"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
)

// PartitionResult is what came of reading or writing one partition's state.
type PartitionResult struct {
	Partition topic.Partition
	State     PartitionState // as it is in ZooKeeper now, with its Version
	Err       error
}

// PartitionStates reads the states of many partitions, in the order given. The error of a partition that
// has none wraps ErrNoNode.
func (c *Client) PartitionStates(ctx context.Context, partitions []topic.Partition) []PartitionResult {
	ops := make([]Op, len(partitions))
	for i, p := range partitions {
		ops[i] = GetOp(PartitionStatePath(p))
	}
	results := make([]PartitionResult, len(partitions))
	for i, r := range c.Do(ctx, ops...) {
		results[i] = PartitionResult{Partition: partitions[i], Err: r.Err}
		if r.Err == nil {
			results[i].State, results[i].Err = DecodePartitionState(r.Data, r.Stat)
		}
	}
	return results
}

// PartitionWrite is a state to be written. Its Version is the one that the node must have; creating
// ignores it.
type PartitionWrite struct {
	Partition topic.Partition
	State     PartitionState
}

// CreatePartitionStates makes the nodes of new partitions, parents included, on condition that f holds.
// The parents may exist, a state may not: its result then wraps ErrNodeExists. The error is that of f,
// see Fenced.
func (c *Client) CreatePartitionStates(ctx context.Context, f Fence, writes []PartitionWrite) ([]PartitionResult, error) {
	if err := c.createPartitionsNodes(ctx, f, writes); err != nil {
		results := make([]PartitionResult, len(writes))
		for i, w := range writes {
			results[i] = PartitionResult{Partition: w.Partition, Err: err}
		}
		return results, err
	}
	groups := make([][]Op, len(writes))
	for i, w := range writes {
		groups[i] = []Op{
			CreateOp(PartitionPath(w.Partition), nil),
			CreateOp(PartitionStatePath(w.Partition), w.State.Encode()),
		}
	}
	created, err := c.FencedGroups(ctx, f, groups)
	results := make([]PartitionResult, len(writes))
	for i, w := range writes {
		w.State.Version = 0
		results[i] = PartitionResult{Partition: w.Partition, State: w.State, Err: created[i][1].Err}
	}
	return results, err
}

// createPartitionsNodes makes the parents of all partitions of the topics in writes.
func (c *Client) createPartitionsNodes(ctx context.Context, f Fence, writes []PartitionWrite) error {
	var names []string
	for _, w := range writes {
		names = append(names, w.Partition.Topic)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	ops := make([]Op, len(names))
	for i, name := range names {
		ops[i] = CreateOp(PartitionsPath(name), nil)
	}
	results, err := c.Fenced(ctx, f, ops...)
	if err != nil {
		return err
	}
	for _, r := range results {
		// Without the topic's own node the partitions below will say NoNode each for itself.
		if r.Err != nil && !isNodeExists(r.Err) && !isNoNode(r.Err) {
			return r.Err
		}
	}
	return nil
}

// UpdatePartitionStates writes states, each on condition that f holds and that the node has the version
// in the state given. The result has the state with its new version. One whose version was another has an
// error that wraps ErrBadVersion: read it again. The error is that of f, see Fenced.
func (c *Client) UpdatePartitionStates(ctx context.Context, f Fence, writes []PartitionWrite) ([]PartitionResult, error) {
	ops := make([]Op, len(writes))
	for i, w := range writes {
		ops[i] = SetOp(PartitionStatePath(w.Partition), w.State.Encode(), w.State.Version)
	}
	written, err := c.Fenced(ctx, f, ops...)
	return writtenStates(writes, written), err
}

// WritePartitionStates is how leaders themselves change ISRs: unfenced, each on condition that the node has the
// version in its state. A node with another version but the same contents means that this write or one like it
// has been done before (ZkAlterPartitionManager, ReplicationUtils.updateLeaderAndIsr); other contents make
// an error that wraps ErrBadVersion. Where Kafka writes one after the other, many share a multi, as in Fenced.
func (c *Client) WritePartitionStates(ctx context.Context, writes []PartitionWrite) []PartitionResult {
	ops := make([]Op, len(writes))
	for i, w := range writes {
		ops[i] = SetOp(PartitionStatePath(w.Partition), w.State.Encode(), w.State.Version)
	}
	results := writtenStates(writes, c.unfenced(ctx, ops))
	var again []topic.Partition
	var at []int
	for i := range results {
		if isBadVersion(results[i].Err) {
			again, at = append(again, results[i].Partition), append(at, i)
		}
	}
	if len(again) == 0 {
		return results
	}
	for i, have := range c.PartitionStates(ctx, again) {
		switch r := &results[at[i]]; {
		case have.Err != nil:
			r.Err = have.Err
		case have.State.equal(writes[at[i]].State):
			*r = have
		}
	}
	return results
}

// unfenced is MultiBatch without a condition; one operation is done by itself.
func (c *Client) unfenced(ctx context.Context, ops []Op) []Result {
	if len(ops) == 1 {
		return c.Do(ctx, ops...)
	}
	results, _ := c.MultiBatch(ctx, CheckOp(TopicsPath, AnyVersion), ops) // which there always is; otherwise all have the error
	return results
}

// WritePartitionState is WritePartitionStates for one.
func (c *Client) WritePartitionState(ctx context.Context, p topic.Partition, s PartitionState) (PartitionState, error) {
	r := c.WritePartitionStates(ctx, []PartitionWrite{{Partition: p, State: s}})[0]
	if r.Err != nil {
		return PartitionState{}, r.Err
	}
	return r.State, nil
}

// equal compares all but the version.
func (s PartitionState) equal(t PartitionState) bool {
	return s.Leader == t.Leader && s.LeaderEpoch == t.LeaderEpoch && s.ControllerEpoch == t.ControllerEpoch &&
		s.Recovering == t.Recovering && slices.Equal(s.ISR, t.ISR)
}

func writtenStates(writes []PartitionWrite, written []Result) []PartitionResult {
	results := make([]PartitionResult, len(writes))
	for i, w := range writes {
		w.State.Version = written[i].Stat.Version
		results[i] = PartitionResult{Partition: w.Partition, State: w.State, Err: written[i].Err}
	}
	return results
}
