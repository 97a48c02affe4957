package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/zkutil"
)

// beginCopying is phase A of a reassignment: see reassignment.go.
func (c *core) beginCopying(ctx context.Context, moves []*move) error {
	if err := c.replaceRemovedLeaders(ctx, moves); err != nil {
		return err
	}
	// A partition that never had a leader fails here, though not its new replicas: one may be its first leader.
	if err := c.raiseLeaderEpochs(ctx, moves, func(m *move) []int32 { return m.Replicas }); err != nil {
		return err
	}
	// A replica may be there already, from the reassignment before or for the controller before.
	fresh := replicasIn(moves, func(m *move) []int32 {
		return keep(m.Adding, func(id int32) bool { return m.replicaState(id) == nonExistentReplica })
	})
	if len(fresh) > 0 {
		c.startReplicas(fresh)
	}
	return nil
}

// replaceRemovedLeaders elects for partitions whose leader was a replica of the reassignment before, and went with
// it. Kafka leaves them without one, from whom the new replicas could copy, until some broker dies.
func (c *core) replaceRemovedLeaders(ctx context.Context, moves []*move) error {
	ps := slices.DeleteFunc(partitionsIn(moves), func(p *partition) bool {
		return p.state != onlinePartition || p.leadership == nil || p.leadership.Leader != zkutil.NoLeader
	})
	c.markPartitions(ps, offlinePartition)
	_, err := c.bringOnline(ctx, ps, nil)
	return err
}

// raiseLeaderEpochs raises the leader epochs of partitions, whoever leads, and tells all replicas of their assignments. Of the
// ISRs those stay who are among the assigned: a leader that writes its ISR to ZooKeeper may have taken a replica of the
// reassignment before into it, after that was stopped and before the leader is told so here. Nobody could get it out again.
// With Kafka, where leaders ask the controller, their requests wait meanwhile, and are then of a leader epoch that is past.
func (c *core) raiseLeaderEpochs(ctx context.Context, moves []*move, assigned func(m *move) []int32) error {
	b := newBatch()
	for left := moves; len(left) > 0; {
		states, err := c.readStates(ctx, partitionsIn(left))
		if err != nil {
			return err
		}
		var changes []change
		for i, m := range left {
			old := states[i].leadership
			if old == nil {
				m.failed = fmt.Errorf("raise the leader epoch: %s", states[i].reason)
				continue
			}
			changes = append(changes, change{partition: m.partition, old: old, next: old.led(old.Leader, inSyncAmong(assigned(m), old), old.Recovering)})
		}
		var failed failures
		done, again, err := c.update(ctx, changes, &failed)
		if err != nil {
			return err
		}
		raised := map[*partition]bool{}
		for _, ch := range done {
			raised[ch.partition] = true
		}
		left = slices.DeleteFunc(going(left), func(m *move) bool {
			switch {
			case raised[m.partition]:
				b.lead(origin(m.Assignment), m.partition, false)
				// A new replica may be made in any log directory, though another of its broker has failed.
				b.lead(m.Adding, m.partition, true)
				return true
			case slices.Contains(again, m.partition):
				return false
			}
			m.failed = fmt.Errorf("raise the leader epoch: %s", strings.Join(failed.reasons, ", "))
			return true
		})
	}
	c.flush(b)
	return nil
}

// inSyncAmong returns those of the ISR who are among ids; all if none is.
func inSyncAmong(ids []int32, l *leadership) []int32 {
	if isr := keep(l.ISR, func(id int32) bool { return slices.Contains(ids, id) }); len(isr) > 0 {
		return isr
	}
	return l.ISR
}
