package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// Deleting a topic (TopicDeletionManager.scala) takes these steps, which a new controller takes up
// wherever the last one left off:
//
//  1. /admin/delete_topics/<topic> exists: the topic is queued. Nobody is elected for it any more.
//  2. Its partitions become NonExistentPartition and brokers forget it: UpdateMetadata, leader -2.
//  3. Live replicas leave the ISR, are stopped, and their brokers told to delete them. A dead one
//     makes the topic ineligible until its broker is back.
//  4. Answers make a replica successful or ineligible; the latter is tried again when its broker
//     starts and after any other answer.
//  5. When all are successful, the znodes go: topic, configuration, and last the entry of step 1.

// enqueueDeletion queues topics for deletion and begins.
func (c *core) enqueueDeletion(ctx context.Context, topics []*topicState) error {
	for _, t := range topics {
		t.queued = true
	}
	return c.resumeDeletions(ctx)
}

// resumeDeletionOf lets the deletion of topics go on that something had halted.
func (c *core) resumeDeletionOf(ctx context.Context, topics []*topicState) error {
	for _, t := range topics {
		t.ineligible = false
	}
	return c.resumeDeletions(ctx)
}

// resumeDeletions takes the next step for every queued topic.
func (c *core) resumeDeletions(ctx context.Context) error {
	var complete, eligible []*topicState
	var failed []replica
	for _, t := range c.sortedTopics() {
		if !t.queued {
			continue
		}
		underWay := len(t.replicasIn(replicaDeletionStarted)) > 0
		switch {
		case t.allReplicasIn(replicaDeletionSuccessful):
			complete = append(complete, t)
			continue
		case !underWay:
			failed = append(failed, t.replicasIn(replicaDeletionIneligible)...)
		}
		if !underWay && !t.ineligible {
			eligible = append(eligible, t)
		}
	}
	if err := c.completeDeletion(ctx, complete); err != nil {
		return err
	}
	if err := c.takeReplicasOffline(ctx, failed, nil); err != nil {
		return err
	}
	return c.startTopicDeletion(ctx, eligible)
}

// startTopicDeletion takes steps 2 and 3.
func (c *core) startTopicDeletion(ctx context.Context, topics []*topicState) error {
	if len(topics) == 0 {
		return nil
	}
	c.log.WithField("count", len(topics)).Infof("Deletion of topics (re)started: %s", some(topics))
	for _, t := range topics {
		if !t.started {
			c.markPartitions(t.partitions, offlinePartition)
			c.markPartitions(t.partitions, nonExistentPartition)
			t.started = true
		}
	}
	ps := partitionsOf(topics)
	c.sendMetadata(c.brokerIDs(), ps)

	live, dead := c.split(replicasOf(ps))
	var retry []replica
	for _, r := range live {
		if r.replicaState(r.broker) != replicaDeletionSuccessful {
			retry = append(retry, r)
		}
	}
	c.markReplicas(dead, replicaDeletionIneligible)
	if err := c.takeReplicasOffline(ctx, retry, nil); err != nil {
		return err
	}
	c.startDeletion(retry)
	c.haltDeletion(topicsOf(dead), "offline replicas")
	return nil
}

// haltDeletion makes queued topics wait.
func (c *core) haltDeletion(topics []*topicState, reason string) {
	var halted []*topicState
	for _, t := range topics {
		if t.queued && !t.ineligible {
			t.ineligible = true
			halted = append(halted, t)
		}
	}
	if len(halted) > 0 {
		c.log.WithField("count", len(halted)).Infof("Halted deletion of topics %s due to %s", some(halted), reason)
	}
}

// topicsOf returns the topics of replicas, each once for every run of its replicas.
func topicsOf(replicas []replica) (topics []*topicState) {
	for i, r := range replicas {
		if i == 0 || replicas[i-1].topic != r.topic {
			topics = append(topics, r.topic)
		}
	}
	return topics
}

// failDeletion notes that replicas of queued topics could not be deleted.
func (c *core) failDeletion(ctx context.Context, replicas []replica) error {
	if len(replicas) == 0 {
		return nil
	}
	c.markReplicas(replicas, replicaDeletionIneligible)
	c.haltDeletion(topicsOf(replicas), "replica deletion failure")
	return c.resumeDeletions(ctx)
}

// completeDeletion takes step 5: of all topics the partitions, then the topics, and last the entries
// that would make a new controller repeat it.
func (c *core) completeDeletion(ctx context.Context, topics []*topicState) error {
	if len(topics) == 0 {
		return nil
	}
	var partitions [][]write
	for _, t := range topics {
		for _, p := range t.partitions {
			partitions = append(partitions, []write{
				deletion(zkutil.PartitionStatePath(p.Partition)), deletion(zkutil.PartitionPath(p.Partition))})
		}
	}
	if _, err := c.zk.Write(ctx, c.fence, partitions); err != nil {
		return err
	}
	nodes := make([][]write, len(topics))
	for i, t := range topics {
		nodes[i] = []write{deletion(zkutil.PartitionsPath(t.name)), deletion(zkutil.TopicPath(t.name))}
	}
	outcomes, err := c.zk.Write(ctx, c.fence, nodes)
	if err != nil {
		return err
	}
	var gone []*topicState
	var last [][]write
	for i, t := range topics {
		if err := outcomes[i][1].err; err != nil && !errors.Is(err, zkutil.ErrNoNode) {
			if err := c.deleteRest(ctx, t.name); err != nil {
				return err
			}
		}
		gone = append(gone, t)
		last = append(last, []write{deletion(zkutil.TopicEntity(t.name).Path()), deletion(zkutil.DeleteTopicPath(t.name))})
	}
	if _, err := c.zk.Write(ctx, c.fence, last); err != nil {
		return err
	}
	overtaken := map[string]bool{}
	for _, t := range gone {
		if slices.ContainsFunc(t.partitions, func(p *partition) bool { return c.reassigning[p] }) {
			overtaken[t.name] = true
		}
		c.forgetReplicas(t.replicasIn(replicaDeletionSuccessful))
		c.removeTopic(t)
	}
	c.log.WithField("count", len(gone)).Infof("Deletion of topics successfully completed: %s", some(gone))
	if len(overtaken) == 0 {
		return nil
	}
	// Nothing else would take these wishes out of their znode, which has to go before there can be others.
	return c.withdrawWishes(ctx, func(w zkutil.Reassignment) bool { return overtaken[w.Partition.Topic] })
}

func deletion(path string) write {
	return write{kind: deleteNode, path: path, version: zkutil.AnyVersion}
}

// deleteRest deletes a topic's node with whatever is below it that this controller did not know of.
func (c *core) deleteRest(ctx context.Context, topic string) error {
	parent := zkutil.PartitionsPath(topic)
	children, err := c.zk.Children(ctx, false, parent)
	if err != nil {
		return err
	}
	var groups [][]write
	for _, child := range children {
		path := zkutil.Join(parent, child)
		groups = append(groups, []write{deletion(path + "/state"), deletion(path)})
	}
	if _, err := c.zk.Write(ctx, c.fence, groups); err != nil {
		return err
	}
	outcomes, err := c.zk.Write(ctx, c.fence, [][]write{{deletion(parent), deletion(zkutil.TopicPath(topic))}})
	if err != nil {
		return err
	}
	if err := outcomes[0][1].err; err != nil && !errors.Is(err, zkutil.ErrNoNode) {
		return fmt.Errorf("delete the znodes of topic %s: %w", topic, err)
	}
	return nil
}
