package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

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

// reassignFailure is why one partition is not reassigned, while the controller goes on.
type reassignFailure struct{ error }

func failReassigning(format string, args ...any) error {
	return reassignFailure{fmt.Errorf(format, args...)}
}

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

// reassignAll reassigns partitions of which it is known that they exist, one after the other, and
// returns for each why it failed, or nil.
func (c *core) reassignAll(ctx context.Context, ps []*partition, to []zkutil.Assignment) ([]error, error) {
	failed := make([]error, len(ps))
	for i, p := range ps {
		err := c.reassign(ctx, p, to[i])
		if f, ok := errors.AsType[reassignFailure](err); ok {
			c.log.WithFields(p.fields()).WithError(err).Error("Error completing reassignment of partition")
			failed[i] = f
		} else if err != nil {
			return nil, err
		}
	}
	return failed, nil
}

// fields names p in the log.
func (p *partition) fields() map[string]any {
	return map[string]any{"topic": p.Topic, "partition": p.Index}
}

// reassign begins, goes on with or completes the reassignment to of p.
func (c *core) reassign(ctx context.Context, p *partition, to zkutil.Assignment) error {
	if err := c.updateReassignment(ctx, p, to); err != nil {
		return err
	}
	complete, err := c.reassignmentComplete(ctx, p)
	switch {
	case err != nil:
		return err
	case complete:
		return c.completeReassignment(ctx, p)
	}
	// A partition that never had a leader fails here, though not its new replicas: one may be its first leader.
	err = c.raiseLeaderEpoch(ctx, p)
	if _, ok := errors.AsType[reassignFailure](err); err != nil && !ok {
		return err
	}
	for _, id := range to.Adding {
		// A replica may be there already, from the reassignment before or for the controller before.
		if p.replicaState(id) == nonExistentReplica {
			c.startReplicas([]replica{{p, id}})
		}
	}
	return err
}

// updateReassignment is phase U.
func (c *core) updateReassignment(ctx context.Context, p *partition, to zkutil.Assignment) error {
	if old := p.Assignment; !equalAssignments(old, to) {
		unneeded := without(old.Replicas, to.Replicas)
		if len(unneeded) > 0 {
			if err := c.checkRemoval(ctx, p, unneeded); err != nil {
				return err
			}
		}
		if err := c.writeAssignment(ctx, p, to); err != nil {
			return err
		}
		p.Assignment = to
		deleted, err := c.deleteReplicas(ctx, p, unneeded)
		if err != nil {
			return err
		}
		if !deleted { // the others have left the ISR after the check
			return c.restoreReplicas(ctx, p, old, unneeded)
		}
	}
	c.reassigning[p] = true
	return nil
}

// checkRemoval refuses to remove replicas of p if nobody else is in the ISR (as Kafka does without ZooKeeper).
func (c *core) checkRemoval(ctx context.Context, p *partition, ids []int32) error {
	found, err := c.zk.Get(ctx, false, zkutil.PartitionStatePath(p.Partition))
	if err != nil {
		return err
	}
	if l := decodeState(&found[0]); l != nil && len(without(l.ISR, ids)) == 0 {
		return wouldBeUnclean(p)
	}
	return nil
}

func wouldBeUnclean(p *partition) error {
	return reassignFailure{InvalidReplicas(fmt.Sprintf(
		"Unable to revert partition assignment for %s:%d because it would require an unclean leader election.", p.Topic, p.Index))}
}

// restoreReplicas takes back that p left the assignment old, with the replicas ids, which were stopped.
func (c *core) restoreReplicas(ctx context.Context, p *partition, old zkutil.Assignment, ids []int32) error {
	if err := c.writeAssignment(ctx, p, old); err != nil {
		return err
	}
	p.Assignment = old
	for _, id := range c.onlineOf(ids, p) {
		c.bringReplicasOnline([]replica{{p, id}})
	}
	c.markPartitions([]*partition{p}, offlinePartition)
	if _, err := c.bringOnline(ctx, []*partition{p}, nil); err != nil {
		return err
	}
	return wouldBeUnclean(p)
}

// writeAssignment writes a into the node of p's topic. What the node says of partitions that this
// controller does not know yet, because they were added a moment ago, stays.
func (c *core) writeAssignment(ctx context.Context, p *partition, a zkutil.Assignment) error {
	path := zkutil.TopicPath(p.Topic)
	for {
		found, err := c.zk.Get(ctx, false, path)
		if err != nil {
			return err
		}
		if found[0].err != nil {
			return failReassigning("read the topic's assignment: %w", found[0].err)
		}
		node, err := zkutil.DecodeTopic(p.Topic, found[0].data, found[0].stat)
		if err != nil {
			return reassignFailure{err}
		}
		if !p.topic.id.IsZero() {
			node.ID = p.topic.id
		}
		for _, q := range p.topic.partitions {
			node.Partitions[q.Index] = q.Assignment
		}
		node.Partitions[p.Index] = a
		outcomes, err := c.writeAll(ctx, []write{{kind: setNode, path: path, data: node.Encode(), version: node.Version}})
		if err != nil {
			return err
		}
		switch err := outcomes[0].err; {
		case err == nil:
			c.log.WithFields(p.fields()).Infof("Successfully updated assignment of partition to replicas %v, adding %v, removing %v", a.Replicas, a.Adding, a.Removing)
			return nil
		case !errors.Is(err, zkutil.ErrBadVersion):
			return failReassigning("update the topic's assignment: %w", err)
		}
	}
}

// reassignmentComplete reports whether all target replicas of p are in the ISR.
func (c *core) reassignmentComplete(ctx context.Context, p *partition) (bool, error) {
	if !p.Reassigning() {
		return true, nil
	}
	found, err := c.zk.Get(ctx, false, zkutil.PartitionStatePath(p.Partition))
	if err != nil {
		return false, err
	}
	l := decodeState(&found[0])
	return l != nil && len(without(target(p.Assignment), l.ISR)) == 0, nil
}

// raiseLeaderEpoch raises the leader epoch of p, whoever leads, and tells all replicas of its assignment.
func (c *core) raiseLeaderEpoch(ctx context.Context, p *partition) error {
	for {
		states, err := c.readStates(ctx, []*partition{p})
		if err != nil {
			return err
		}
		old := states[0].leadership
		if old == nil {
			return failReassigning("raise the leader epoch: %s", states[0].reason)
		}
		next := old.led(old.Leader, old.ISR, old.Recovering)
		var failed failures
		done, again, err := c.update(ctx, []change{{partition: p, old: old, next: next}}, &failed)
		switch {
		case err != nil:
			return err
		case len(again) > 0:
			continue
		case len(done) == 0:
			return failReassigning("raise the leader epoch: %s", failed.reasons[0])
		}
		b := newBatch()
		b.lead(origin(p.Assignment), p, false)
		// A new replica may be made in any log directory, though another of its broker has failed.
		b.lead(p.Adding, p, true)
		c.flush(b)
		return nil
	}
}

// completeReassignment is phase B.
func (c *core) completeReassignment(ctx context.Context, p *partition) error {
	added := make([]replica, len(p.Adding))
	for i, id := range p.Adding {
		added[i] = replica{p, id}
		if p.replicaState(id) == nonExistentReplica { // it was in the ISR before it was assigned
			p.setReplicaState(id, newReplica)
		}
	}
	c.bringReplicasOnline(added)
	old := p.Assignment
	final := zkutil.Assignment{Replicas: target(old)}
	p.Assignment = final
	if err := c.moveLeader(ctx, p); err != nil {
		p.Assignment = old // to be tried again
		return err
	}
	if !slices.Contains(final.Replicas, p.leadership.Leader) {
		p.Assignment = old // until the ISR changes, or the target's brokers start
		return nil
	}
	if _, err := c.deleteReplicas(ctx, p, old.Removing); err != nil { // the leader stays in the ISR
		return err
	}
	if err := c.writeAssignment(ctx, p, final); err != nil {
		return err
	}
	if err := c.withdrawWishes(ctx, func(w zkutil.Reassignment) bool {
		return w.Partition == p.Partition && slices.Equal(w.Replicas, final.Replicas)
	}); err != nil {
		return err
	}
	delete(c.reassigning, p)
	c.sendMetadata(c.brokerIDs(), []*partition{p})
	return nil
}

// moveLeader lets one of p's replicas, which are the target's now, lead it under another epoch.
func (c *core) moveLeader(ctx context.Context, p *partition) error {
	if p.leadership == nil {
		return failReassigning("nothing is known of its leader")
	}
	if leader := p.leadership.Leader; slices.Contains(p.Replicas, leader) && c.online(leader, p) {
		return c.raiseLeaderEpoch(ctx, p)
	}
	_, err := c.bringOnline(ctx, []*partition{p}, electReassigned)
	return err
}

// electReassigned is the strategy for partitions whose leader has no place in the target, or is offline: the
// first replica of the target that is online and in the ISR, which stays as it is.
func electReassigned(p *partition, old *leadership, online func(int32) bool) (*leadership, []int32, bool) {
	replicas := target(p.Assignment)
	for _, id := range replicas {
		if online(id) && slices.Contains(old.ISR, id) {
			return old.led(id, old.ISR, old.Recovering), replicas, true
		}
	}
	return nil, replicas, false
}

// deleteReplicas takes replicas of p out of the ISR and has their brokers delete them. Whether they do, is
// not waited for: a broker that is dead now keeps its files, as with Kafka. If nobody else is in the ISR they are
// only stopped, and deleted is false.
func (c *core) deleteReplicas(ctx context.Context, p *partition, ids []int32) (deleted bool, err error) {
	if len(ids) == 0 {
		return true, nil
	}
	gone := make([]replica, len(ids))
	for i, id := range ids {
		gone[i] = replica{p, id}
	}
	if err := c.takeReplicasOffline(ctx, gone, nil); err != nil {
		return false, err
	}
	if l := p.leadership; l != nil && len(without(l.ISR, ids)) == 0 {
		return false, nil
	}
	c.startDeletion(gone)
	c.markReplicas(gone, replicaDeletionSuccessful)
	c.forgetReplicas(gone)
	return true, nil
}

// afterAlteration looks, once a leader has its answer, whether what it has changed completes reassignments.
func (c *Controller) afterAlteration(active *core, req *kmsg.AlterPartitionRequest) {
	if len(active.reassigning) == 0 {
		return
	}
	for i := range req.Topics {
		t := active.alteredTopic(req, i)
		if t == nil {
			continue
		}
		for _, q := range req.Topics[i].Partitions {
			if p := t.partition(q.Partition); p != nil && active.reassigning[p] {
				c.putActive(fmt.Sprintf("PartitionReassignmentIsrChange(%s)", p.Partition), func(core *core, ctx context.Context) error {
					return core.advanceReassignments(ctx, []*partition{p})
				})
			}
		}
	}
}

// advanceReassignments completes the reassignments of those of ps, whose ISRs have changed, that can be
// completed now.
func (c *core) advanceReassignments(ctx context.Context, ps []*partition) error {
	for _, p := range ps {
		if !c.reassigning[p] || p.topic.queued {
			continue
		}
		complete, err := c.reassignmentComplete(ctx, p)
		if err != nil {
			return err
		}
		if !complete {
			continue
		}
		c.log.WithFields(p.fields()).Infof("Target replicas %v have all caught up with the leader for reassigning partition", target(p.Assignment))
		if _, err := c.reassignAll(ctx, []*partition{p}, []zkutil.Assignment{p.Assignment}); err != nil {
			return err
		}
	}
	return nil
}

// resumeReassignments goes on with the reassignments that fit.
func (c *core) resumeReassignments(ctx context.Context, fits func(p *partition) bool) error {
	if len(c.reassigning) == 0 {
		return nil
	}
	ps := c.partitionsWhere(func(p *partition) bool { return c.reassigning[p] && !p.topic.queued && fits(p) })
	to := make([]zkutil.Assignment, len(ps))
	for i, p := range ps {
		to[i] = p.Assignment
	}
	_, err := c.reassignAll(ctx, ps, to)
	return err
}

// resumeFor goes on with the reassignments that have one of brokers, which have just started, in the target.
func (c *core) resumeFor(ctx context.Context, brokers []int32) error {
	return c.resumeReassignments(ctx, func(p *partition) bool {
		return slices.ContainsFunc(target(p.Assignment), func(id int32) bool { return slices.Contains(brokers, id) })
	})
}

// startReassignments begins, for a new controller, with the wishes in ZooKeeper, and goes on with the
// reassignments that the one before has left.
func (c *core) startReassignments(ctx context.Context) error {
	for _, p := range c.partitionsWhere(func(p *partition) bool { return p.Reassigning() }) {
		c.reassigning[p] = true
	}
	begun, err := c.takeWishes(ctx)
	if err != nil {
		return err
	}
	return c.resumeReassignments(ctx, func(p *partition) bool { return !begun[p] })
}
