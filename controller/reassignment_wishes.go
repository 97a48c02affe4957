package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// Reassignments are wished for by request (reassignment_api.go), and by the older way, the znode
// /admin/reassign_partitions. Its wishes are carried out when it is created; each is taken out of it when
// it has failed or is completed, or when a request is about the same partition. With the last one the
// node goes, and only then can it be created again.

// reassignmentWishes handles a change of the znode, of which only its creation matters.
func (c *core) reassignmentWishes(ctx context.Context) error {
	_, err := c.takeWishes(ctx)
	return err
}

// takeWishes carries out the wishes of a node that this controller has not seen yet, and returns the
// partitions whose reassignment has begun.
func (c *core) takeWishes(ctx context.Context) (map[*partition]bool, error) {
	node, err := c.zk.Await(ctx, zkutil.ReassignmentPath)
	if err != nil || node.err != nil || node.stat.Czxid == c.wishes {
		return nil, err
	}
	c.wishes = node.stat.Czxid
	wishes, err := zkutil.DecodeReassignments(node.data)
	if err != nil {
		// It stays until some reassignment is completed.
		c.log.WithError(err).Warn("Ignoring partition reassignment due to invalid json")
		return nil, nil
	}
	names, goals := goalsOf(wishes)
	results, err := c.requestReassignments(ctx, names, goals)
	if err != nil {
		return nil, err
	}
	begun := map[*partition]bool{}
	var failed []string
	refused := map[topic.Partition]bool{}
	for i, name := range names {
		if results[i] != nil {
			refused[name] = true
			failed = append(failed, fmt.Sprintf("%s: %v", name, results[i]))
		} else {
			begun[c.partition(name)] = true
		}
	}
	if len(failed) == 0 {
		return begun, nil
	}
	c.log.Warnf("Failed reassignment through zk with the following errors: %s", strings.Join(failed, "; "))
	return begun, c.withdrawWishes(ctx, func(w zkutil.Reassignment) bool { return refused[w.Partition] })
}

// goalsOf returns the partitions of wishes, each once, with the replicas that the last of its wishes names.
func goalsOf(wishes []zkutil.Reassignment) (names []topic.Partition, goals [][]int32) {
	at := map[topic.Partition]int{}
	for _, w := range wishes {
		i, again := at[w.Partition]
		if !again {
			i, names, goals = len(names), append(names, w.Partition), append(goals, nil)
			at[w.Partition] = i
		}
		goals[i] = append([]int32{}, w.Replicas...) // not nil, which would cancel
	}
	return names, goals
}

// withdrawWishes takes the wishes that fit out of the znode, and deletes it if none is left, or none can be
// read.
func (c *core) withdrawWishes(ctx context.Context, fits func(zkutil.Reassignment) bool) error {
	node, err := c.zk.Await(ctx, zkutil.ReassignmentPath)
	if err != nil || node.err != nil {
		return err
	}
	wishes, err := zkutil.DecodeReassignments(node.data)
	if err != nil {
		c.log.WithError(err).Warn("Ignoring partition reassignment due to invalid json")
	}
	left := slices.DeleteFunc(wishes, fits)
	w := write{kind: deleteNode, path: zkutil.ReassignmentPath, version: zkutil.AnyVersion}
	if len(left) > 0 {
		w.kind, w.data = setNode, zkutil.EncodeReassignments(left)
	} else {
		c.log.Infof("No more partitions need to be reassigned. Deleting zk path %s", zkutil.ReassignmentPath)
	}
	outcomes, err := c.writeAll(ctx, []write{w})
	if err != nil {
		return err
	}
	if err := outcomes[0].err; err != nil && !errors.Is(err, zkutil.ErrNoNode) {
		return fmt.Errorf("update %s: %w", zkutil.ReassignmentPath, err)
	}
	return nil
}
