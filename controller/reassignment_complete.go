package controller

import (
	"context"
	"errors"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// completeReassignments is phase B of a reassignment: see reassignment.go.
func (c *core) completeReassignments(ctx context.Context, moves []*move) error {
	for _, m := range moves {
		for _, id := range m.Adding {
			if m.replicaState(id) == nonExistentReplica { // it was in the ISR before it was assigned
				m.setReplicaState(id, newReplica)
			}
		}
	}
	c.bringReplicasOnline(replicasIn(moves, func(m *move) []int32 { return m.Adding }))
	for _, m := range moves {
		m.old = m.Assignment
		m.to = zkutil.Assignment{Replicas: target(m.old)}
		m.Assignment = m.to
	}
	if err := c.moveLeaders(ctx, moves); err != nil {
		return err
	}
	moves = slices.DeleteFunc(slices.Clone(moves), func(m *move) bool {
		moved := m.failed == nil && slices.Contains(m.to.Replicas, m.leadership.Leader)
		if !moved {
			m.Assignment = m.old // until the ISR changes, or the target's brokers start
		}
		return !moved
	})
	// The leaders stay in the ISRs, so that nothing is kept.
	if _, err := c.deleteReplicas(ctx, replicasIn(moves, func(m *move) []int32 { return m.old.Removing })); err != nil {
		return err
	}
	if err := c.writeAssignments(ctx, moves, func(m *move) zkutil.Assignment { return m.to }); err != nil {
		return err
	}
	if moves = going(moves); len(moves) == 0 {
		return nil
	}
	done := map[topic.Partition][]int32{}
	for _, m := range moves {
		done[m.Partition] = m.to.Replicas
	}
	if err := c.withdrawWishes(ctx, func(w zkutil.Reassignment) bool {
		replicas, ok := done[w.Partition]
		return ok && slices.Equal(w.Replicas, replicas)
	}); err != nil {
		return err
	}
	for _, m := range moves {
		delete(c.reassigning, m.partition)
	}
	c.sendMetadata(c.brokerIDs(), partitionsIn(moves))
	return nil
}

// moveLeaders lets one of the replicas of each move, which are the target's now, lead it under another epoch.
func (c *core) moveLeaders(ctx context.Context, moves []*move) error {
	var stay, change []*move
	for _, m := range moves {
		switch {
		case m.leadership == nil:
			m.failed = errors.New("nothing is known of its leader")
		case slices.Contains(m.Replicas, m.leadership.Leader) && c.online(m.leadership.Leader, m.partition):
			stay = append(stay, m)
		default:
			change = append(change, m)
		}
	}
	assigned := func(m *move) []int32 { return m.old.Replicas }
	if err := c.raiseLeaderEpochs(ctx, stay, assigned); err != nil {
		return err
	}
	before := map[*partition][]int32{}
	for _, m := range change {
		before[m.partition] = assigned(m)
	}
	_, err := c.bringOnline(ctx, partitionsIn(change), electReassigned(before))
	return err
}

// electReassigned is the strategy for partitions whose leader has no place in the target, or is offline: the
// first replica of the target that is online and in the ISR. That stays as it is, with those who were assigned before.
func electReassigned(before map[*partition][]int32) strategy {
	return func(p *partition, old *leadership, online func(int32) bool) (*leadership, []int32, bool) {
		replicas := target(p.Assignment)
		for _, id := range replicas {
			if online(id) && slices.Contains(old.ISR, id) {
				return old.led(id, inSyncAmong(before[p], old), old.Recovering), replicas, true
			}
		}
		return nil, replicas, false
	}
}

// deleteReplicas takes replicas out of the ISRs and has their brokers delete them. Whether they do, is not waited
// for: a broker that is dead now keeps its files, as with Kafka, and so does one that this controller has no time left to
// tell, of which the next one knows nothing. Those of partitions where nobody else is in the ISR are kept, and only stopped.
func (c *core) deleteReplicas(ctx context.Context, gone []replica) (kept map[*partition]bool, err error) {
	if len(gone) == 0 {
		return nil, nil
	}
	if err := c.takeReplicasOffline(ctx, gone, nil); err != nil {
		return nil, err
	}
	leaving := map[*partition][]int32{}
	for _, r := range gone {
		leaving[r.partition] = append(leaving[r.partition], r.broker)
	}
	kept = map[*partition]bool{}
	for p, ids := range leaving {
		kept[p] = p.leadership != nil && len(without(p.leadership.ISR, ids)) == 0
	}
	gone = slices.DeleteFunc(slices.Clone(gone), func(r replica) bool { return kept[r.partition] })
	if len(gone) > 0 {
		c.startDeletion(gone)
		c.markReplicas(gone, replicaDeletionSuccessful)
		c.forgetReplicas(gone)
	}
	return kept, nil
}
