package controller

import (
	"context"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// Reassigning a partition (KIP-455, KafkaController.onPartitionReassignment) takes it from its original
// replicas to its target, by way of an assignment with both, which names those to add and to remove:
//
//	U  the topic's node gets that assignment; of a reassignment that this one replaces, replicas
//	   that are in neither are stopped and deleted
//	A  while a target replica is not in the ISR: the leader epoch rises, so that the leader takes the
//	   assignment over, and the new replicas begin to copy
//	B  when all are: one of the target leads under another epoch, the others leave the ISR, are
//	   stopped and deleted, and only then does the topic's node have the target alone
//
// A change of the ISR, the start of a target's broker and a new controller look whether B is due. What
// is in the topic's node suffices for a new controller to go on wherever the one before left off.
// A cancellation is a reassignment to the original replicas.
//
// The deletion of a topic overtakes the reassignments of its partitions: it deletes the new and the old
// replicas alike. So it is with Kafka, though there a new controller would wait for the reassignment to end, which
// may never happen, since nobody is elected any more.
//
// Kafka deletes the last replica that has all records in two cases, which are refused here: when
// a reassignment is replaced by one without any member of the ISR, and when the target's replicas leave
// the ISR at the moment in which B begins.

// origin returns the replicas that were there before the reassignment began.
func origin(a zkutil.Assignment) []int32 { return without(a.Replicas, a.Adding) }

// target returns the replicas that there will be.
func target(a zkutil.Assignment) []int32 { return without(a.Replicas, a.Removing) }

// reassignTo returns what a is while its replicas go over to those of goal.
func reassignTo(a zkutil.Assignment, goal []int32) zkutil.Assignment {
	from := origin(a)
	var all []int32
	for _, id := range slices.Concat(goal, from) {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return zkutil.Assignment{Replicas: all, Adding: without(all, from), Removing: without(all, goal)}
}

// without returns the ids that are not among others.
func without(ids, others []int32) []int32 {
	return keep(ids, func(id int32) bool { return !slices.Contains(others, id) })
}

func equalAssignments(a, b zkutil.Assignment) bool {
	return slices.Equal(a.Replicas, b.Replicas) && slices.Equal(a.Adding, b.Adding) && slices.Equal(a.Removing, b.Removing)
}

// move is a partition on its way through the phases of a reassignment.
type move struct {
	*partition
	old, to zkutil.Assignment
	failed  error // why it goes no further now
}

// going returns the moves that have not failed.
func going(moves []*move) []*move {
	return slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return m.failed != nil })
}

// partitionsIn returns the partitions of moves.
func partitionsIn(moves []*move) []*partition {
	ps := make([]*partition, len(moves))
	for i, m := range moves {
		ps[i] = m.partition
	}
	return ps
}

// replicasIn returns the replicas of each move that pick names.
func replicasIn(moves []*move, pick func(m *move) []int32) (found []replica) {
	for _, m := range moves {
		for _, id := range pick(m) {
			found = append(found, replica{m.partition, id})
		}
	}
	return found
}

// reassignAll begins, goes on with or completes the reassignments of partitions, no two of which are the same, and
// returns for each why it failed, or nil. All go through each phase together, so that it takes few rounds.
func (c *core) reassignAll(ctx context.Context, ps []*partition, to []zkutil.Assignment) ([]error, error) {
	if len(ps) == 0 {
		return nil, nil
	}
	moves := make([]*move, len(ps))
	for i, p := range ps {
		moves[i] = &move{partition: p, old: p.Assignment, to: to[i]}
	}
	if err := c.updateReassignments(ctx, moves); err != nil {
		return nil, err
	}
	complete, incomplete, err := c.splitComplete(ctx, going(moves))
	if err != nil {
		return nil, err
	}
	if err := c.beginCopying(ctx, incomplete); err != nil {
		return nil, err
	}
	if err := c.completeReassignments(ctx, complete); err != nil {
		return nil, err
	}
	failed := make([]error, len(ps))
	for i, m := range moves {
		if failed[i] = m.failed; m.failed != nil {
			c.log.WithFields(m.fields()).WithError(m.failed).Error("Error completing reassignment of partition")
		}
	}
	return failed, nil
}

// fields names p in the log.
func (p *partition) fields() map[string]any {
	return map[string]any{"topic": p.Topic, "partition": p.Index}
}

// updateReassignments is phase U.
func (c *core) updateReassignments(ctx context.Context, moves []*move) error {
	changed := slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return equalAssignments(m.old, m.to) })
	unneeded := func(m *move) []int32 { return without(m.old.Replicas, m.to.Replicas) }
	if err := c.checkRemovals(ctx, changed, unneeded); err != nil {
		return err
	}
	if err := c.writeAssignments(ctx, going(changed), func(m *move) zkutil.Assignment { return m.to }); err != nil {
		return err
	}
	changed = going(changed)
	for _, m := range changed {
		m.Assignment = m.to
	}
	kept, err := c.deleteReplicas(ctx, replicasIn(changed, unneeded))
	if err != nil {
		return err
	}
	for _, m := range changed {
		if kept[m.partition] { // the others have left the ISR after the check
			if err := c.restoreReplicas(ctx, m, unneeded(m)); err != nil {
				return err
			}
		}
	}
	for _, m := range going(moves) {
		c.reassigning[m.partition] = true
	}
	return nil
}

// checkRemovals refuses to remove replicas if nobody else is in the ISR (as Kafka does without ZooKeeper).
func (c *core) checkRemovals(ctx context.Context, moves []*move, unneeded func(m *move) []int32) error {
	moves = slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return len(unneeded(m)) == 0 })
	found, err := c.storedStates(ctx, moves)
	if err != nil {
		return err
	}
	for i, m := range moves {
		if l := found[i]; l != nil && len(without(l.ISR, unneeded(m))) == 0 {
			m.failed = wouldBeUnclean(m.partition)
		}
	}
	return nil
}

// storedStates reads the state znodes of moves; nil where there is none.
func (c *core) storedStates(ctx context.Context, moves []*move) ([]*leadership, error) {
	if len(moves) == 0 {
		return nil, nil
	}
	paths := make([]string, len(moves))
	for i, m := range moves {
		paths[i] = zkutil.PartitionStatePath(m.Partition)
	}
	nodes, err := c.zk.Get(ctx, false, paths...)
	if err != nil {
		return nil, err
	}
	found := make([]*leadership, len(moves))
	for i := range nodes {
		found[i] = decodeState(&nodes[i])
	}
	return found, nil
}

func wouldBeUnclean(p *partition) error {
	return InvalidReplicas(fmt.Sprintf(
		"Unable to revert partition assignment for %s:%d because it would require an unclean leader election.", p.Topic, p.Index))
}

// restoreReplicas takes back that m has left its old assignment, with the replicas ids, which were stopped.
func (c *core) restoreReplicas(ctx context.Context, m *move, ids []int32) error {
	if err := c.writeAssignments(ctx, []*move{m}, func(m *move) zkutil.Assignment { return m.old }); err != nil || m.failed != nil {
		return err
	}
	m.Assignment = m.old
	for _, id := range c.onlineOf(ids, m.partition) {
		c.bringReplicasOnline([]replica{{m.partition, id}})
	}
	c.markPartitions([]*partition{m.partition}, offlinePartition)
	m.failed = wouldBeUnclean(m.partition)
	_, err := c.bringOnline(ctx, []*partition{m.partition}, nil)
	return err
}

// splitComplete tells apart the moves whose target replicas are all in the ISR.
func (c *core) splitComplete(ctx context.Context, moves []*move) (complete, incomplete []*move, err error) {
	found, err := c.storedStates(ctx, moves)
	if err != nil {
		return nil, nil, err
	}
	for i, m := range moves {
		if l := found[i]; !m.Reassigning() || l != nil && len(without(target(m.Assignment), l.ISR)) == 0 {
			complete = append(complete, m)
		} else {
			incomplete = append(incomplete, m)
		}
	}
	return complete, incomplete, nil
}
