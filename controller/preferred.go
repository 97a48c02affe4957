package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/zkutil"
)

// Elections that nobody's death has brought about: back to the preferred replica, which is the first of the
// assignment, or to whoever is alive though it is not in step. They are asked for by request
// (ElectLeaders), by the older way, the znode /admin/preferred_replica_election, and by the check for
// imbalance that runs from time to time.

// ElectionKind says what an election by request is for. The values are Kafka's (ElectionType.java).
type ElectionKind int8

const (
	// Preferred: the first replica of the assignment shall lead.
	Preferred ElectionKind = iota
	// Unclean: of the partitions that have no live leader, any live replica shall lead, if need be
	// without all that was acknowledged.
	Unclean
)

// Election is what came of the election for one partition.
type Election struct {
	Leader  int32       // that was elected, if Err is nil
	Err     *kerr.Error // why none was
	Message string      // Kafka's words for that
}

// ElectLeaders holds an election for each of the partitions (KafkaController.processReplicaLeaderElection),
// and returns the outcomes in their order. Brokers are told, but need not know yet.
//
// Errors: ErrNotActive, ctx's, or what kept the controller from trying.
func (c *Controller) ElectLeaders(ctx context.Context, names []topic.Partition, kind ElectionKind) ([]Election, error) {
	return askFor(ctx, c, "ReplicaLeaderElection", func(ctx context.Context, core *core) ([]Election, error) {
		return core.electByRequest(ctx, names, kind)
	})
}

// electByRequest holds the elections that an administrator asks for.
func (c *core) electByRequest(ctx context.Context, names []topic.Partition, kind ElectionKind) ([]Election, error) {
	outcomes := make([]Election, len(names))
	wanted := map[*partition]bool{}
	var ps []*partition
	for i, name := range names {
		p := c.partition(name)
		if outcomes[i] = c.mayElect(name, p, kind); outcomes[i].Err == nil && !wanted[p] {
			wanted[p] = true
			ps = append(ps, p)
		}
	}
	choose, by, refusal := strategy(electPreferred), "PreferredReplicaPartitionLeaderElectionStrategy", kerr.PreferredLeaderNotAvailable
	if kind == Unclean {
		always := func(*partition, *leadership) bool { return true }
		choose, by, refusal = electOffline(always), "OfflinePartitionLeaderElectionStrategy(true)", kerr.EligibleLeadersNotAvailable
	}
	c.log.WithField("count", len(ps)).Infof("Starting replica leader election for partitions %s", some(ps))
	led, err := c.bringOnline(ctx, ps, choose)
	if err != nil {
		return nil, err
	}
	elected := map[*partition]bool{}
	for _, p := range led {
		elected[p] = true
	}
	for i, name := range names {
		switch p := c.partition(name); {
		case outcomes[i].Err != nil:
		case elected[p]:
			outcomes[i].Leader = p.leadership.Leader
		default:
			outcomes[i] = Election{Err: refusal, Message: fmt.Sprintf("Failed to elect leader for partition %s under strategy %s", name, by)}
		}
	}
	return outcomes, nil
}

// mayElect checks whether there is something to elect. p is nil if there is no partition of that name.
func (c *core) mayElect(name topic.Partition, p *partition, kind ElectionKind) Election {
	switch {
	case p == nil:
		c.log.WithField("partition", name).Info("Skipping replica leader election since the partition doesn't exist")
		return Election{Err: kerr.UnknownTopicOrPartition, Message: "The partition does not exist."}
	case p.topic.queued:
		c.log.WithField("partition", name).Warn("Skipping replica leader election since the topic is being deleted")
		return Election{Err: kerr.InvalidTopicException, Message: "The topic is being deleted"}
	case kind == Preferred && p.leader() == p.preferred(), kind == Unclean && c.brokers[p.leader()] != nil && !c.shuttingDown[p.leader()]:
		return Election{Err: kerr.ElectionNotNeeded, Message: "Leader election not needed for topic partition."}
	}
	return Election{}
}

// leader returns who leads p, NoLeader if nobody does or ever did.
func (p *partition) leader() int32 {
	if p.leadership == nil {
		return zkutil.NoLeader
	}
	return p.leadership.Leader
}

// preferred returns the first replica of p's assignment.
func (p *partition) preferred() int32 {
	if len(p.Replicas) == 0 {
		return zkutil.NoLeader
	}
	return p.Replicas[0]
}

// electPreferred is the strategy for partitions that the first replica of the assignment shall lead. The ISR
// stays as it is.
func electPreferred(p *partition, old *leadership, online func(int32) bool) (*leadership, []int32, bool) {
	preferred := p.preferred()
	if !online(preferred) || !slices.Contains(old.ISR, preferred) {
		return nil, p.Replicas, false
	}
	return old.led(preferred, old.ISR, old.Recovering), p.Replicas, true
}

// preferredElectionWish handles the creation of /admin/preferred_replica_election: elections for the
// partitions that it names. Afterwards the node is deleted, and with that the watch is set anew.
func (c *core) preferredElectionWish(ctx context.Context) error {
	node, err := c.zk.Await(ctx, zkutil.PreferredElectionPath)
	if err != nil || node.err != nil {
		return err
	}
	names, err := zkutil.DecodePreferredElection(node.data)
	if err != nil {
		c.log.WithError(err).Error("Ignoring wish for preferred leaders that cannot be read")
	}
	wanted := map[*partition]bool{}
	var ps []*partition
	for _, name := range names {
		if p := c.partition(name); c.mayElect(name, p, Preferred).Err == nil && !wanted[p] {
			wanted[p] = true
			ps = append(ps, p)
		}
	}
	if err := c.electPreferredOf(ctx, ps); err != nil {
		return err
	}
	return c.deleteNodes(ctx, []string{zkutil.PreferredElectionPath})
}

// electPreferredOf gives partitions their preferred leaders as far as that can be, and says for which it
// could not.
func (c *core) electPreferredOf(ctx context.Context, ps []*partition) error {
	if len(ps) == 0 {
		return nil
	}
	c.log.WithField("count", len(ps)).Infof("Starting preferred replica leader election for partitions %s", some(ps))
	if _, err := c.bringOnline(ctx, ps, electPreferred); err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(ps), func(p *partition) bool { return p.leader() == p.preferred() })
	if len(left) > 0 {
		c.log.WithField("count", len(left)).Warnf("Partitions failed to complete preferred replica leader election: %s", some(left))
	}
	return nil
}

// rebalance gives leaderships back to the preferred replicas of those brokers that lead less than the given
// part of what they should: that more than percentage of the partitions that they are the preferred
// leaders of are led by others (KafkaController.checkAndTriggerAutoLeaderRebalance).
func (c *core) rebalance(ctx context.Context, percentage int) error {
	preferred := map[int32][]*partition{}
	for _, p := range c.partitionsWhere(func(p *partition) bool { return !p.topic.queued && len(p.Replicas) > 0 }) {
		preferred[p.preferred()] = append(preferred[p.preferred()], p)
	}
	for _, id := range slices.Sorted(maps.Keys(preferred)) {
		ps := preferred[id]
		strayed := slices.DeleteFunc(slices.Clone(ps), func(p *partition) bool {
			return p.leadership == nil || p.leadership.Leader == id
		})
		if float64(len(strayed))/float64(len(ps)) <= float64(percentage)/100 {
			continue
		}
		strayed = slices.DeleteFunc(strayed, func(p *partition) bool {
			return !c.online(id, p) || !slices.Contains(p.leadership.ISR, id)
		})
		if err := c.electPreferredOf(ctx, strayed); err != nil {
			return err
		}
	}
	return nil
}
