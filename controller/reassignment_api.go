package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// Why a partition is not reassigned.
var (
	// ErrNoReassignment: there is none to cancel.
	ErrNoReassignment = errors.New("no reassignment is in progress")
	// ErrNoPartition: it does not exist, or its topic is being deleted.
	ErrNoPartition = errors.New("the partition does not exist")
)

// InvalidReplicas is why the replicas of a Reassign are refused, in Kafka's words.
type InvalidReplicas string

// Error returns the reason.
func (e InvalidReplicas) Error() string { return string(e) }

// Reassign gives partitions other replicas (AlterPartitionReassignments): those of goals, where nil
// cancels a reassignment that has not ended. It returns for each partition nil once its reassignment
// has begun, or has been completed if nothing needs to be copied.
//
// Errors of a partition: ErrNoReassignment, ErrNoPartition, InvalidReplicas, or what went wrong
// meanwhile; of all: ErrNotActive, ctx's.
func (c *Controller) Reassign(ctx context.Context, ps []topic.Partition, goals [][]int32) ([]error, error) {
	return askFor(ctx, c, "ApiPartitionReassignment", func(ctx context.Context, core *core) ([]error, error) {
		return core.reassignByRequest(ctx, ps, goals)
	})
}

// Reassignment is one that has not ended.
type Reassignment struct {
	topic.Partition
	zkutil.Assignment
}

// Reassignments lists, by topic and partition, the reassignments that have not ended, with all set all of
// them, and otherwise those among ps.
//
// Errors: ErrNotActive, ctx's.
func (c *Controller) Reassignments(ctx context.Context, ps []topic.Partition, all bool) ([]Reassignment, error) {
	return askFor(ctx, c, "ListPartitionReassignments", func(_ context.Context, core *core) ([]Reassignment, error) {
		return core.reassignments(ps, all), nil
	})
}

// reassignByRequest handles a request (processApiPartitionReassignment). What it asks for replaces the
// wishes in the znode for the same partitions.
func (c *core) reassignByRequest(ctx context.Context, names []topic.Partition, goals [][]int32) ([]error, error) {
	failed := make([]error, len(names))
	var valid []topic.Partition
	var to [][]int32
	var at []int
	for i, name := range names {
		if goals[i] != nil {
			failed[i] = c.checkGoal(name, goals[i])
		} else if p := c.partition(name); p == nil || !p.Reassigning() {
			failed[i] = ErrNoReassignment
		}
		if failed[i] == nil {
			valid, to, at = append(valid, name), append(to, goals[i]), append(at, i)
		}
	}
	replaced := map[topic.Partition]bool{}
	for _, name := range valid {
		replaced[name] = true
	}
	if err := c.withdrawWishes(ctx, func(w zkutil.Reassignment) bool { return replaced[w.Partition] }); err != nil {
		return nil, err
	}
	results, err := c.requestReassignments(ctx, valid, to)
	if err != nil {
		return nil, err
	}
	for i := range results {
		failed[at[i]] = results[i]
	}
	return failed, nil
}

// requestReassignments reassigns partitions to goals, where nil means back to where they came from, and
// returns for each why it failed, or nil.
func (c *core) requestReassignments(ctx context.Context, names []topic.Partition, goals [][]int32) ([]error, error) {
	failed := make([]error, len(names))
	var ps []*partition
	var to []zkutil.Assignment
	var at []int
	for i, name := range names {
		p, goal := c.partition(name), goals[i]
		switch {
		case p == nil || p.topic.queued || len(p.Replicas) == 0:
			failed[i] = ErrNoPartition
			continue
		case goal == nil:
			goal = origin(p.Assignment)
		case len(goal) == 0:
			// Kafka takes that from the znode, and deletes the partition's data.
			failed[i] = errEmptyGoal
			continue
		}
		ps, to, at = append(ps, p), append(to, reassignTo(p.Assignment, goal)), append(at, i)
	}
	results, err := c.reassignAll(ctx, ps, to)
	if err != nil {
		return nil, err
	}
	for i, err := range results {
		failed[at[i]] = err
	}
	return failed, nil
}

const errEmptyGoal = InvalidReplicas("Empty replica list specified in partition reassignment.")

// checkGoal checks the replicas that a request asks for.
func (c *core) checkGoal(name topic.Partition, goal []int32) error {
	seen := map[int32]bool{}
	for _, id := range goal {
		seen[id] = true
	}
	switch {
	case len(goal) == 0:
		return errEmptyGoal
	case len(seen) < len(goal):
		return InvalidReplicas("Duplicate replica ids in partition reassignment replica list: " + buffer(goal))
	case slices.ContainsFunc(goal, func(id int32) bool { return id < 0 }):
		return InvalidReplicas("Invalid broker id in replica list: " + buffer(goal))
	}
	var now zkutil.Assignment
	if p := c.partition(name); p != nil {
		now = p.Assignment
	}
	added := reassignTo(now, goal).Adding
	alive := keep(c.brokerIDs(), func(id int32) bool { return !c.shuttingDown[id] })
	if len(without(added, alive)) == 0 {
		return nil
	}
	return InvalidReplicas(fmt.Sprintf("Replica assignment has brokers that are not alive. Replica list: %s, live broker list: %s",
		buffer(added), scalaSet(alive)))
}

// reassignments lists those of ps, or with all set those there are, that are being reassigned.
func (c *core) reassignments(names []topic.Partition, all bool) []Reassignment {
	var found []*partition
	if all && len(c.reassigning) > 0 {
		found = c.partitionsWhere(func(p *partition) bool { return c.reassigning[p] })
	}
	listed := map[*partition]bool{}
	for _, name := range names {
		if p := c.partition(name); p != nil && !listed[p] {
			listed[p] = true
			found = append(found, p)
		}
	}
	list := make([]Reassignment, 0, len(found))
	for _, p := range found {
		if p.Reassigning() {
			list = append(list, Reassignment{p.Partition, p.Assignment})
		}
	}
	return list
}
