package controller

import (
	"context"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// failover makes this broker, which has just won the election, the active controller
// (KafkaController.onControllerFailover). The order matters: watches are set by the very reads that
// fill the state, so that no change is missed; notifications are deleted before the state is read,
// since it then has what they tell of; and followers follow only leaders that they know to be live, so
// that metadata precedes leadership.
func (c *core) failover(ctx context.Context) error {
	if err := c.dropNotifications(ctx); err != nil {
		return err
	}
	if err := c.readCluster(ctx); err != nil {
		return err
	}
	if err := c.readDeletions(ctx); err != nil {
		return err
	}
	c.sendMetadata(c.brokerIDs(), nil)
	if err := c.startStates(ctx); err != nil {
		return err
	}
	c.log.Infof("Ready to serve as the new controller with epoch %d", c.fence.Epoch)
	if err := c.startReassignments(ctx); err != nil {
		return err
	}
	if err := c.resumeDeletions(ctx); err != nil {
		return err
	}
	return c.preferredElectionWish(ctx)
}

// dropNotifications deletes what brokers told the controller before this one, and begins to watch for more.
func (c *core) dropNotifications(ctx context.Context) error {
	for _, parent := range []string{zkutil.LogDirEventsPath, zkutil.ISRChangesPath} {
		children, err := c.zk.Children(ctx, true, parent)
		if err != nil {
			return err
		}
		for i := range children {
			children[i] = zkutil.Join(parent, children[i])
		}
		if err := c.deleteNodes(ctx, children); err != nil {
			return err
		}
	}
	return nil
}

// readCluster reads brokers, topics and the state of every partition, and opens a channel to each broker.
func (c *core) readCluster(ctx context.Context) error {
	registered, err := readBrokers(ctx, c.zk, nil, c.log)
	if err != nil {
		return err
	}
	c.brokers = registered
	c.setDeadApart(registered, c.vigil.Gone)
	names, err := c.zk.Children(ctx, true, zkutil.TopicsPath)
	if err != nil {
		return err
	}
	nodes, err := c.readTopics(ctx, names)
	if err != nil {
		return err
	}
	for i := range nodes {
		c.addTopic(nodes[i])
	}
	ps := partitionsOf(c.sortedTopics())
	if err := c.refresh(ctx, ps); err != nil {
		return err
	}
	for _, id := range c.brokerIDs() {
		c.peers.Add(c.brokers[id])
	}
	c.log.Infof("Currently active brokers in the cluster: %v, topics: %d, partitions: %d",
		c.brokerIDs(), len(c.topics), len(ps))
	return nil
}

// readDeletions queues the topics that are to be deleted. Those with an offline replica have to wait.
func (c *core) readDeletions(ctx context.Context) error {
	names, err := c.zk.Children(ctx, true, zkutil.DeleteTopicsPath)
	if err != nil || len(names) == 0 {
		return err
	}
	if !c.deletesTopics {
		c.log.Infof("Removing %v since delete topic is disabled", names)
		for i := range names {
			names[i] = zkutil.DeleteTopicPath(names[i])
		}
		return c.deleteNodes(ctx, names)
	}
	for _, name := range names {
		t := c.topics[name]
		if t == nil {
			// The controller before died while it deleted the znodes: nothing is left but to finish that.
			t = c.addTopic(&zkutil.Topic{Name: name})
		}
		t.queued = true
		t.ineligible = slices.ContainsFunc(t.partitions, func(p *partition) bool {
			return len(c.onlineOf(p.Replicas, p)) < len(p.Replicas)
		})
	}
	c.log.WithField("count", len(names)).Info("Topic deletions in progress")
	return nil
}

// startStates starts the state machines. Kafka begins with the replicas: the live ones hear what they replicate, and dead ones leave the
// ISRs, which takes the leader away where one has led; then partitions without a leader get one. Here those come first, in
// one write and not two: they are the ones that somebody waits for. Then dead replicas leave the other ISRs, without which no acks=all
// produce goes on, and in the end all who have not heard yet, hear what is as it was.
func (c *core) startStates(ctx context.Context) error {
	all := c.partitionsWhere(func(*partition) bool { return true })
	live, dead := c.split(replicasOf(all))
	for _, r := range live {
		r.setReplicaState(r.broker, onlineReplica)
	}
	for _, r := range dead {
		r.setReplicaState(r.broker, replicaDeletionIneligible)
	}
	for _, p := range all {
		switch {
		case p.leadership == nil:
			p.state = newPartition
		case c.online(p.leadership.Leader, p):
			p.state = onlinePartition
		default:
			p.state = offlinePartition
		}
	}
	before := make(map[*partition]*leadership, len(all))
	for _, p := range all {
		before[p] = p.leadership
	}
	elected, err := c.bringElectableOnline(ctx)
	if err != nil {
		return err
	}
	if err := c.takeReplicasOffline(ctx, dead, setOf(elected)); err != nil {
		return err
	}
	told := map[*partition]bool{}
	for _, p := range all {
		told[p] = p.leadership != before[p]
	}
	c.bringOthersOnline(live, told)
	return nil
}

// setOf returns the set of ps.
func setOf(ps []*partition) map[*partition]bool {
	set := make(map[*partition]bool, len(ps))
	for _, p := range ps {
		set[p] = true
	}
	return set
}
