package controller

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// isrChange handles notifications of leaders that changed ISRs in ZooKeeper themselves: all brokers
// hear of the partitions.
func (c *core) isrChange(ctx context.Context) error {
	paths, nodes, err := c.readNotifications(ctx, zkutil.ISRChangesPath)
	if err != nil || len(paths) == 0 {
		return err
	}
	var ps []*partition
	for i := range nodes {
		changed, err := zkutil.DecodeISRChange(nodes[i].data)
		if err != nil {
			c.log.WithField("path", paths[i]).WithError(err).Error("Ignoring ISR change that cannot be read")
			continue
		}
		for _, name := range changed {
			if p := c.partition(name); p != nil {
				ps = append(ps, p)
			}
		}
	}
	if err := c.refresh(ctx, ps); err != nil {
		return err
	}
	if len(ps) > 0 {
		c.sendMetadata(c.brokerIDs(), ps)
	}
	if err := c.advanceReassignments(ctx, ps); err != nil {
		return err
	}
	return c.deleteNodes(ctx, paths)
}

// refresh reads the state znodes of partitions, whoever has written them.
func (c *core) refresh(ctx context.Context, ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	paths := make([]string, len(ps))
	for i, p := range ps {
		paths[i] = zkutil.PartitionStatePath(p.Partition)
	}
	nodes, err := c.zk.Get(ctx, false, paths...)
	if err != nil {
		return err
	}
	for i, p := range ps {
		if l := decodeState(&nodes[i]); l != nil {
			p.leadership = l
		}
	}
	return nil
}

// logDirEvent handles notifications of brokers whose log directory failed: they are asked, by a
// LeaderAndIsr request, which replicas they still have.
func (c *core) logDirEvent(ctx context.Context) error {
	paths, nodes, err := c.readNotifications(ctx, zkutil.LogDirEventsPath)
	if err != nil || len(paths) == 0 {
		return err
	}
	var brokers []int32
	for i := range nodes {
		id, ok, err := zkutil.DecodeLogDirEvent(nodes[i].data)
		if err != nil {
			c.log.WithField("path", paths[i]).WithError(err).Error("Ignoring log directory event that cannot be read")
			continue
		}
		if ok && c.brokers[id] != nil && !slices.Contains(brokers, id) {
			brokers = append(brokers, id)
		}
	}
	c.log.Infof("Handling log directory failure for brokers %v", brokers)
	c.bringReplicasOnline(c.replicasOn(brokers))
	return c.deleteNodes(ctx, paths)
}

// readNotifications reads the children of parent, which it watches.
func (c *core) readNotifications(ctx context.Context, parent string) (paths []string, nodes []znode, err error) {
	children, err := c.zk.Children(ctx, true, parent)
	if err != nil || len(children) == 0 {
		return nil, nil, err
	}
	for _, child := range children {
		paths = append(paths, zkutil.Join(parent, child))
	}
	nodes, err = c.zk.Get(ctx, false, paths...)
	return paths, nodes, err
}

// response handles what a broker answered to a request.
func (c *core) response(ctx context.Context, broker int32, req kmsg.Request, resp kmsg.Response) error {
	switch resp := resp.(type) {
	case *kmsg.LeaderAndISRResponse:
		return c.leaderAndISRResponse(ctx, broker, resp)
	case *kmsg.UpdateMetadataResponse:
		if resp.ErrorCode != 0 {
			c.log.WithField("broker", broker).WithError(kerr.ErrorForCode(resp.ErrorCode)).Error("Received error in UpdateMetadata response")
		}
	case *kmsg.StopReplicaResponse:
		return c.stopReplicaResponse(ctx, broker, req.(*kmsg.StopReplicaRequest), resp)
	}
	return nil
}

// leaderAndISRResponse notes which replicas lie in failed log directories.
func (c *core) leaderAndISRResponse(ctx context.Context, broker int32, resp *kmsg.LeaderAndISRResponse) error {
	if resp.ErrorCode != 0 {
		c.log.WithField("broker", broker).WithError(kerr.ErrorForCode(resp.ErrorCode)).Error("Received error in LeaderAndIsr response")
		return nil
	}
	if c.brokers[broker] == nil {
		return nil
	}
	known := c.offlineDirs[broker]
	var died []replica
	for i := range resp.Topics {
		t := c.names[resp.Topics[i].TopicID]
		if t == nil {
			continue
		}
		for _, answer := range resp.Topics[i].Partitions {
			switch p := t.partition(answer.Partition); {
			case p == nil:
			case answer.ErrorCode == 0:
				delete(known, p)
			case answer.ErrorCode == kerr.KafkaStorageError.Code && !known[p]:
				if known == nil {
					known = map[*partition]bool{}
					c.offlineDirs[broker] = known
				}
				known[p] = true
				died = append(died, replica{p, broker})
			}
		}
	}
	if len(died) == 0 {
		return nil
	}
	c.log.WithField("broker", broker).Infof("Mark %d replicas as offline: %s", len(died), some(died))
	return c.replicasDied(ctx, died)
}

// stopReplicaResponse notes which replicas of topics being deleted are deleted.
func (c *core) stopReplicaResponse(ctx context.Context, broker int32, req *kmsg.StopReplicaRequest, resp *kmsg.StopReplicaResponse) error {
	asked := map[topic.Partition]bool{}
	for _, t := range req.Topics {
		for _, p := range t.PartitionStates {
			if p.Delete {
				asked[topic.Partition{Topic: t.Topic, Index: p.Partition}] = true
			}
		}
	}
	var failed, deleted []replica
	for _, answer := range resp.Partitions {
		name := topic.Partition{Topic: answer.Topic, Index: answer.Partition}
		p := c.partition(name)
		if p == nil || !asked[name] || !p.topic.queued || !p.topic.started {
			continue
		}
		if resp.ErrorCode != 0 || answer.ErrorCode != 0 {
			failed = append(failed, replica{p, broker})
		} else {
			deleted = append(deleted, replica{p, broker})
		}
	}
	if err := c.failDeletion(ctx, failed); err != nil || len(deleted) == 0 {
		return err
	}
	c.markReplicas(deleted, replicaDeletionSuccessful)
	return c.resumeDeletions(ctx)
}
