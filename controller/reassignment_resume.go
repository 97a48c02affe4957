package controller

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

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
