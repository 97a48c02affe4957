package controller

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/zkutil"
)

// brokerChange handles a change of the list of registered brokers: new ones, dead ones, and bounced
// ones, which are registered anew under the same id and were dead in between.
func (c *core) brokerChange(ctx context.Context) error {
	registered, err := readBrokers(ctx, c.zk, nil, c.log)
	if err != nil {
		return err
	}
	lapsed := c.setDeadApart(registered, c.stillDead)
	var started, bounced, dead []int32
	for _, id := range slices.Sorted(maps.Keys(registered)) {
		switch known := c.brokers[id]; {
		case known == nil:
			started = append(started, id)
		case registered[id].Epoch > known.Epoch:
			bounced = append(bounced, id)
		}
	}
	for _, id := range c.brokerIDs() {
		if registered[id] == nil {
			dead = append(dead, id)
		}
	}
	if len(started)+len(bounced)+len(dead) == 0 {
		return c.forgetDead(ctx, lapsed)
	}
	c.log.WithFields(logrus.Fields{"new": started, "deleted": dead, "bounced": bounced}).
		Infof("Brokers changed, all live brokers: %v", slices.Sorted(maps.Keys(registered)))
	for _, id := range slices.Concat(dead, bounced) {
		c.peers.Remove(id)
	}
	if err := c.brokersStarted(ctx, started, registered); err != nil {
		return err
	}
	if err := c.brokersDied(ctx, bounced); err != nil {
		return err
	}
	if err := c.brokersStarted(ctx, bounced, registered); err != nil {
		return err
	}
	if err := c.brokersDied(ctx, dead); err != nil {
		return err
	}
	return c.forgetDead(ctx, lapsed)
}

// readBrokers reads the registrations but for those that are known, and returns all there are. It hears of the next change of the list,
// and of what it has read.
func readBrokers(ctx context.Context, zk znodes, known map[int32]*zkutil.Broker, log logrus.FieldLogger) (map[int32]*zkutil.Broker, error) {
	names, err := zk.Children(ctx, true, zkutil.BrokerIDsPath)
	if err != nil {
		return nil, err
	}
	registered := make(map[int32]*zkutil.Broker, len(names))
	var ids []int32
	var paths []string
	for _, name := range names {
		path := zkutil.Join(zkutil.BrokerIDsPath, name)
		switch id, ok := brokerIDOf(path); {
		case !ok:
		case known[id] != nil:
			registered[id] = known[id]
		default:
			ids, paths = append(ids, id), append(paths, path)
		}
	}
	if len(paths) == 0 {
		return registered, nil
	}
	nodes, err := zk.Get(ctx, true, paths...)
	if err != nil {
		return nil, err
	}
	for i, n := range nodes {
		if n.err != nil {
			continue // gone since it was listed: the list changes, too
		}
		b, err := zkutil.DecodeBroker(ids[i], n.data, n.stat)
		if err != nil {
			log.WithField("broker", ids[i]).WithError(err).Error("Ignoring registration that cannot be read")
			continue
		}
		registered[b.ID] = b
	}
	return registered, nil
}

// brokerIDOf returns whose registration is at path.
func brokerIDOf(path string) (id int32, ok bool) {
	name, ok := strings.CutPrefix(path, zkutil.BrokerIDsPath+"/")
	n, err := strconv.ParseInt(name, 10, 32)
	return int32(n), ok && err == nil && n >= 0
}

// brokersStarted takes up brokers: they hear all metadata, then what they host, and may be what
// partitions without a leader have waited for.
func (c *core) brokersStarted(ctx context.Context, ids []int32, registered map[int32]*zkutil.Broker) error {
	if len(ids) == 0 {
		return nil
	}
	others := c.brokerIDs()
	for _, id := range ids {
		delete(c.offlineDirs, id)
		delete(c.shuttingDown, id)
		c.brokers[id] = registered[id]
		c.peers.Add(registered[id])
	}
	c.sendMetadata(others, nil)
	c.sendMetadata(ids, c.partitionsWhere(func(p *partition) bool { return p.leadership != nil }))
	hosted := c.replicasOn(ids)
	c.bringReplicasOnline(hosted)
	if _, err := c.bringElectableOnline(ctx); err != nil {
		return err
	}
	if err := c.resumeFor(ctx, ids); err != nil {
		return err
	}
	var queued []replica
	for _, r := range hosted {
		if r.topic.queued {
			queued = append(queued, r)
		}
	}
	if len(queued) == 0 {
		return nil
	}
	return c.resumeDeletionOf(ctx, topicsOf(queued))
}

// brokersDied gives up brokers: their partitions get other leaders, and they leave the ISRs.
func (c *core) brokersDied(ctx context.Context, ids []int32) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		delete(c.offlineDirs, id)
		delete(c.shuttingDown, id)
		delete(c.brokers, id)
	}
	return c.replicasDied(ctx, c.replicasOn(ids))
}

// replicasDied handles that replicas went offline with their broker or log directory.
func (c *core) replicasDied(ctx context.Context, replicas []replica) error {
	c.markPartitions(c.partitionsWhere(func(p *partition) bool {
		return p.leadership != nil && !c.online(p.leadership.Leader, p) && !p.topic.queued
	}), offlinePartition)
	elected, err := c.bringElectableOnline(ctx)
	if err != nil {
		return err
	}
	var kept, queued []replica
	for _, r := range replicas {
		if r.topic.queued {
			queued = append(queued, r)
		} else {
			kept = append(kept, r)
		}
	}
	if err := c.takeReplicasOffline(ctx, kept, setOf(elected)); err != nil {
		return err
	}
	if err := c.failDeletion(ctx, queued); err != nil {
		return err
	}
	if len(kept) == 0 && len(elected) == 0 {
		c.sendMetadata(c.brokerIDs(), nil) // nothing else has told the others yet
	}
	return nil
}

// brokerModification handles a change of a broker's registration: if its endpoints are others, all
// brokers hear of it.
func (c *core) brokerModification(ctx context.Context, id int32) error {
	nodes, err := c.zk.Get(ctx, true, zkutil.BrokerPath(id))
	if err != nil {
		return err
	}
	known := c.registration(id)
	if known == nil || nodes[0].err != nil {
		return nil
	}
	b, err := zkutil.DecodeBroker(id, nodes[0].data, nodes[0].stat)
	if err != nil {
		return err
	}
	if b.Epoch != known.Epoch || slices.Equal(b.Endpoints, known.Endpoints) && maps.Equal(b.Features, known.Features) {
		return nil // a registration anew is brokerChange's affair
	}
	c.log.WithField("broker", id).Infof("Updated broker metadata: %v -> %v", known.Endpoints, b.Endpoints)
	wasDead := c.dead[id] != nil
	delete(c.dead, id) // who says where else he is lives
	if !wasDead {
		c.brokers[id] = b
		c.peers.Add(b)
		c.sendMetadata(c.brokerIDs(), nil)
	} else if err := c.brokersStarted(ctx, []int32{id}, map[int32]*zkutil.Broker{id: b}); err != nil {
		return err
	}
	c.vigil.Watch(slices.AppendSeq(slices.Collect(maps.Values(c.brokers)), maps.Values(c.dead)))
	return nil
}
