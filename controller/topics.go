package controller

import (
	"context"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// topicChange handles a change of the list of topics: new ones get leaders, those that vanished without
// the controller's doing are forgotten.
func (c *core) topicChange(ctx context.Context) error {
	names, err := c.zk.Children(ctx, true, zkutil.TopicsPath)
	if err != nil {
		return err
	}
	listed := make(map[string]bool, len(names))
	var fresh []string
	for _, name := range names {
		listed[name] = true
		if c.topics[name] == nil {
			fresh = append(fresh, name)
		}
	}
	var vanished []*topicState
	for _, t := range c.sortedTopics() {
		if !listed[t.name] {
			vanished = append(vanished, t)
			c.removeTopic(t)
		}
	}
	nodes, err := c.readTopics(ctx, fresh)
	if err != nil {
		return err
	}
	added := make([]*topicState, len(nodes))
	for i := range nodes {
		added[i] = c.addTopic(nodes[i])
	}
	ps := partitionsOf(added)
	if len(added)+len(vanished) > 0 {
		c.log.WithField("partitions", len(ps)).Infof("New topics: [%s], deleted topics: [%s]", some(added), some(vanished))
	}
	return c.createPartitions(ctx, ps)
}

// createPartitions gives partitions that were just added their first leaders.
func (c *core) createPartitions(ctx context.Context, ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	c.markPartitions(ps, newPartition)
	c.startReplicas(replicasOf(ps))
	if _, err := c.bringOnline(ctx, ps, nil); err != nil {
		return err
	}
	c.bringReplicasOnline(replicasOf(ps))
	return nil
}

// readTopics reads the nodes of topics, and gives those an id that have none, as topics made before
// Kafka 2.8 (KIP-516). Topics whose node is gone are left out.
func (c *core) readTopics(ctx context.Context, names []string) ([]*zkutil.Topic, error) {
	if len(names) == 0 {
		return nil, nil
	}
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = zkutil.TopicPath(name)
	}
	found, err := c.zk.Get(ctx, true, paths...)
	if err != nil {
		return nil, err
	}
	nodes := make([]*zkutil.Topic, 0, len(names))
	for i, n := range found {
		if n.err != nil {
			continue
		}
		node, err := zkutil.DecodeTopic(names[i], n.data, n.stat)
		if err != nil {
			c.log.WithField("topic", names[i]).WithError(err).Error("Ignoring topic that cannot be read")
			continue
		}
		nodes = append(nodes, node)
	}
	return nodes, c.addTopicIDs(ctx, nodes)
}

func (c *core) addTopicIDs(ctx context.Context, nodes []*zkutil.Topic) error {
	var writes []write
	var changed []*zkutil.Topic
	for _, n := range nodes {
		if n.ID.IsZero() {
			n.ID = topic.NewID()
			changed = append(changed, n)
			writes = append(writes, write{kind: setNode, path: zkutil.TopicPath(n.Name), data: n.Encode(), version: n.Version})
		}
	}
	outcomes, err := c.writeAll(ctx, writes)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		if o.err != nil {
			// Somebody adds partitions at this moment. The topic stays without an id for this controller.
			changed[i].ID = topic.ID{}
			c.log.WithField("topic", changed[i].Name).WithError(o.err).Error("Topic gets no id")
		}
	}
	return nil
}

// partitionModifications handles a change of a topic's node: partitions that are not known yet get
// leaders. While the topic is being deleted the addition is undone.
func (c *core) partitionModifications(ctx context.Context, name string) error {
	t := c.topics[name]
	found, err := c.zk.Get(ctx, true, zkutil.TopicPath(name))
	if err != nil || t == nil || found[0].err != nil {
		return err
	}
	node, err := zkutil.DecodeTopic(name, found[0].data, found[0].stat)
	if err != nil {
		return err
	}
	var fresh []int32
	for _, index := range slices.Sorted(maps.Keys(node.Partitions)) {
		if t.partition(index) == nil {
			fresh = append(fresh, index)
		}
	}
	switch {
	case len(fresh) == 0:
		return nil
	case t.queued:
		c.log.WithField("topic", name).Warnf("Skipping adding partitions %v since the topic is currently being deleted", fresh)
		return c.restoreAssignment(ctx, t)
	}
	c.log.WithField("topic", name).Infof("New partitions to be added: %d, from %d on", len(fresh), fresh[0])
	ps := make([]*partition, len(fresh))
	for i, index := range fresh {
		ps[i] = t.add(index, node.Partitions[index])
	}
	return c.createPartitions(ctx, ps)
}

// restoreAssignment writes t's node as it was before partitions were added.
func (c *core) restoreAssignment(ctx context.Context, t *topicState) error {
	node := zkutil.Topic{Name: t.name, ID: t.id, Partitions: map[int32]zkutil.Assignment{}}
	for _, p := range t.partitions {
		node.Partitions[p.Index] = p.Assignment
	}
	outcomes, err := c.writeAll(ctx, []write{{kind: setNode, path: zkutil.TopicPath(t.name), data: node.Encode(), version: zkutil.AnyVersion}})
	if err != nil {
		return err
	}
	return outcomes[0].err
}

// topicDeletion handles a change of the list of topics to be deleted.
func (c *core) topicDeletion(ctx context.Context) error {
	names, err := c.zk.Children(ctx, true, zkutil.DeleteTopicsPath)
	if err != nil {
		return err
	}
	var refused []string
	var topics []*topicState
	for _, name := range names {
		switch t := c.topics[name]; {
		case t == nil:
			c.log.WithField("topic", name).Warn("Ignoring request to delete non-existing topic")
			refused = append(refused, zkutil.DeleteTopicPath(name))
		case !c.deletesTopics:
			c.log.WithField("topic", name).Info("Removing request to delete topic since delete topic is disabled")
			refused = append(refused, zkutil.DeleteTopicPath(name))
		case !t.queued:
			topics = append(topics, t)
		}
	}
	if err := c.deleteNodes(ctx, refused); err != nil {
		return err
	}
	if len(topics) == 0 {
		return nil
	}
	c.log.WithField("count", len(topics)).Infof("Starting topic deletion for topics %s", some(topics))
	return c.enqueueDeletion(ctx, topics)
}

// uncleanElection tries to elect leaders for a topic's partitions that have none, since an unclean
// election is allowed now (TopicUncleanLeaderElectionEnable).
func (c *core) uncleanElection(ctx context.Context, name string) error {
	t := c.topics[name]
	if t == nil || t.queued {
		return nil
	}
	_, err := c.bringOnline(ctx, slices.DeleteFunc(slices.Clone(t.partitions), func(p *partition) bool {
		return p.state != offlinePartition && p.state != newPartition
	}), nil)
	return err
}
