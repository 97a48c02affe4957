package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
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

// writeAssignments writes what pick says of moves into the nodes of their topics. What those say of partitions that
// this controller does not know yet, because they were added a moment ago, stays.
func (c *core) writeAssignments(ctx context.Context, moves []*move, pick func(m *move) zkutil.Assignment) error {
	var topics []*topicState
	of := map[*topicState][]*move{}
	for _, m := range moves {
		if of[m.topic] == nil {
			topics = append(topics, m.topic)
		}
		of[m.topic] = append(of[m.topic], m)
	}
	for len(topics) > 0 {
		paths := make([]string, len(topics))
		for i, t := range topics {
			paths[i] = zkutil.TopicPath(t.name)
		}
		nodes, err := c.zk.Get(ctx, false, paths...)
		if err != nil {
			return err
		}
		var writes []write
		var written []*topicState
		for i, t := range topics {
			node, err := t.assigned(&nodes[i])
			if err != nil {
				failAll(of[t], fmt.Errorf("read the topic's assignment: %w", err))
				continue
			}
			for _, m := range of[t] {
				node.Partitions[m.Index] = pick(m)
			}
			writes = append(writes, write{kind: setNode, path: paths[i], data: node.Encode(), version: node.Version})
			written = append(written, t)
		}
		outcomes, err := c.writeAll(ctx, writes)
		if err != nil {
			return err
		}
		topics = topics[:0]
		for i, t := range written {
			switch err := outcomes[i].err; {
			case err == nil:
				for _, m := range of[t] {
					c.log.WithFields(m.fields()).Infof("Successfully updated assignment of partition to %+v", pick(m))
				}
			case errors.Is(err, zkutil.ErrBadVersion):
				topics = append(topics, t)
			default:
				failAll(of[t], fmt.Errorf("update the topic's assignment: %w", err))
			}
		}
	}
	return nil
}

// assigned returns t's node as it is found in n, with what is known here of its partitions.
func (t *topicState) assigned(n *znode) (*zkutil.Topic, error) {
	if n.err != nil {
		return nil, n.err
	}
	node, err := zkutil.DecodeTopic(t.name, n.data, n.stat)
	if err != nil {
		return nil, err
	}
	if !t.id.IsZero() {
		node.ID = t.id
	}
	for _, p := range t.partitions {
		node.Partitions[p.Index] = p.Assignment
	}
	return node, nil
}

func failAll(moves []*move, err error) {
	for _, m := range moves {
		m.failed = err
	}
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

// beginCopying is phase A.
func (c *core) beginCopying(ctx context.Context, moves []*move) error {
	if err := c.replaceRemovedLeaders(ctx, moves); err != nil {
		return err
	}
	// A partition that never had a leader fails here, though not its new replicas: one may be its first leader.
	if err := c.raiseLeaderEpochs(ctx, moves); err != nil {
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

// raiseLeaderEpochs raises the leader epochs of partitions, whoever leads, and tells all replicas of their assignments.
func (c *core) raiseLeaderEpochs(ctx context.Context, moves []*move) error {
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
			changes = append(changes, change{partition: m.partition, old: old, next: old.led(old.Leader, old.ISR, old.Recovering)})
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

// completeReassignments is phase B.
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
	if err := c.raiseLeaderEpochs(ctx, stay); err != nil {
		return err
	}
	_, err := c.bringOnline(ctx, partitionsIn(change), electReassigned)
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

// deleteReplicas takes replicas out of the ISRs and has their brokers delete them. Whether they do, is not waited
// for: a broker that is dead now keeps its files, as with Kafka. Those of partitions where nobody else is in the
// ISR are kept, and only stopped.
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

// afterAlteration looks, once a leader has its answer, whether what it has changed completes reassignments.
func (c *Controller) afterAlteration(active *core, req *kmsg.AlterPartitionRequest) {
	if len(active.reassigning) == 0 {
		return
	}
	var changed []*partition
	for i := range req.Topics {
		t := active.alteredTopic(req, i)
		if t == nil {
			continue
		}
		for _, q := range req.Topics[i].Partitions {
			if p := t.partition(q.Partition); p != nil && active.reassigning[p] {
				changed = append(changed, p)
			}
		}
	}
	if len(changed) == 0 {
		return
	}
	c.queue.put(event{name: "PartitionReassignmentIsrChange", run: func(ctx context.Context) error {
		if c.term == nil {
			return nil
		}
		return c.term.core.advanceReassignments(zkutil.WithSession(ctx, c.term.session), changed)
	}})
}

// advanceReassignments completes the reassignments of those of ps, whose ISRs have changed, that can be
// completed now.
func (c *core) advanceReassignments(ctx context.Context, ps []*partition) error {
	var moves []*move
	seen := map[*partition]bool{}
	for _, p := range ps {
		if c.reassigning[p] && !p.topic.queued && !seen[p] {
			seen[p] = true
			moves = append(moves, &move{partition: p})
		}
	}
	complete, _, err := c.splitComplete(ctx, moves)
	if err != nil {
		return err
	}
	for _, m := range complete {
		c.log.WithFields(m.fields()).Infof("Target replicas %v have all caught up with the leader for reassigning partition", target(m.Assignment))
	}
	return c.continueReassignments(ctx, partitionsIn(complete))
}

// continueReassignments takes the next step with partitions that are being reassigned.
func (c *core) continueReassignments(ctx context.Context, ps []*partition) error {
	to := make([]zkutil.Assignment, len(ps))
	for i, p := range ps {
		to[i] = p.Assignment
	}
	_, err := c.reassignAll(ctx, ps, to)
	return err
}

// resumeReassignments goes on with the reassignments that fit.
func (c *core) resumeReassignments(ctx context.Context, fits func(p *partition) bool) error {
	if len(c.reassigning) == 0 {
		return nil
	}
	return c.continueReassignments(ctx, c.partitionsWhere(func(p *partition) bool {
		return c.reassigning[p] && !p.topic.queued && fits(p)
	}))
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
