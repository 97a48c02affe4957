package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/zkutil"
)

// strategy chooses the leader of a partition (Election.scala).
//
// It gets the state znode's content and returns what follows it, without controller epoch and
// version, and who is to hear of it; ok is false if nobody can lead.
type strategy func(p *partition, old *leadership, online func(int32) bool) (next *leadership, recipients []int32, ok bool)

// electOffline is the strategy for partitions without a live leader: the first replica, in the order of
// the assignment, that is online and in the ISR; the others that are offline leave the ISR. If there
// is none and unclean allows it, the first online one leads alone, whatever it has missed.
func electOffline(unclean func(p *partition, old *leadership) bool) strategy {
	return func(p *partition, old *leadership, online func(int32) bool) (*leadership, []int32, bool) {
		live := keep(p.Replicas, online)
		inSync := func(id int32) bool { return slices.Contains(old.ISR, id) }
		if i := slices.IndexFunc(live, inSync); i >= 0 {
			return old.led(live[i], keep(old.ISR, online), old.Recovering), live, true
		}
		if len(live) == 0 || slices.ContainsFunc(old.ISR, online) || !unclean(p, old) {
			return nil, live, false
		}
		// KIP-704: the partition counts as recovering until its leader has said otherwise.
		return old.led(live[0], live[:1:1], true), live, true
	}
}

// firstLeader returns the first leadership of a partition whose replicas live, which are all in the
// ISR; ok is false if none lives.
func firstLeader(live []int32) (next *leadership, ok bool) {
	if len(live) == 0 {
		return nil, false
	}
	return &leadership{Leader: live[0], ISR: live}, true
}

// logUnclean tells of the leaders that were elected although they may lack records that consumers have seen: what they lack is
// lost, and this is its only trace.
func (c *core) logUnclean(elected []change) {
	var unclean []uncleanElection
	for i := range elected {
		if e := &elected[i]; !slices.Contains(e.old.ISR, e.next.Leader) {
			unclean = append(unclean, uncleanElection{e})
		}
	}
	if len(unclean) > 0 {
		c.log.WithField("count", len(unclean)).Warnf("Unclean leader election, records may be lost: %s", some(unclean))
	}
}

// uncleanElection is the election of a leader that was not in the ISR.
type uncleanElection struct{ *change }

// String returns the partition, who leads it now and who might have done so without loss.
func (e uncleanElection) String() string {
	return fmt.Sprintf("%s (leader %d, epoch %d, ISR was %v)", e.Partition, e.next.Leader, e.next.LeaderEpoch, e.old.ISR)
}

// led returns what follows l when leader is elected.
func (l *leadership) led(leader int32, isr []int32, recovering bool) *leadership {
	return &leadership{Leader: leader, LeaderEpoch: l.LeaderEpoch + 1, ISR: isr, Recovering: recovering}
}

// without returns what follows l when broker drops out, and false if it is not in the ISR. The
// last member stays, without leading: it alone is known to have everything.
func (l *leadership) without(broker int32) (next *leadership, changed bool) {
	if !slices.Contains(l.ISR, broker) {
		return nil, false
	}
	leader, isr := l.Leader, l.ISR
	if leader == broker {
		leader = zkutil.NoLeader
	}
	if len(isr) > 1 {
		isr = keep(isr, func(id int32) bool { return id != broker })
	}
	return l.led(leader, isr, l.Recovering), true
}

// written returns l as the controller of epoch wrote it, with version as its znode's new version.
func (l *leadership) written(epoch, version int32) *leadership {
	w := *l
	w.ControllerEpoch, w.Version = epoch, version
	return &w
}

// encode returns l as the content of a state znode.
func (l *leadership) encode() []byte { return (*zkutil.PartitionState)(l).Encode() }

// decodeState reads a state znode; nil if there is none or it is not readable.
func decodeState(n *znode) *leadership {
	if n.err != nil {
		return nil
	}
	s, err := zkutil.DecodePartitionState(n.data, n.stat)
	if err != nil {
		return nil
	}
	return (*leadership)(&s)
}

// offlineStrategy is electOffline with the topics' own unclean.leader.election.enable, read only for
// those that have a partition without a live replica in its ISR.
func (c *core) offlineStrategy(ctx context.Context, ps []*partition, old []stateRead) (strategy, error) {
	allowed := map[string]bool{}
	var topics []string
	for i, p := range ps {
		l := old[i].leadership
		if l == nil || slices.ContainsFunc(l.ISR, func(id int32) bool { return c.online(id, p) }) {
			continue
		}
		if _, seen := allowed[p.Topic]; !seen {
			allowed[p.Topic] = false
			topics = append(topics, p.Topic)
		}
	}
	if len(topics) > 0 {
		if err := c.readUnclean(ctx, topics, allowed); err != nil {
			return nil, err
		}
	}
	return electOffline(func(p *partition, old *leadership) bool {
		return allowed[p.Topic] && !slices.ContainsFunc(old.ISR, func(id int32) bool { return c.dead[id] != nil })
	}), nil
}

// readUnclean notes for topics whether their configuration, over the broker's, allows unclean elections.
func (c *core) readUnclean(ctx context.Context, topics []string, allowed map[string]bool) error {
	paths := make([]string, len(topics))
	for i, name := range topics {
		paths[i] = zkutil.TopicEntity(name).Path()
	}
	nodes, err := c.zk.Get(ctx, false, paths...)
	if err != nil {
		return err
	}
	for i, name := range topics {
		allowed[name] = c.unclean()
		if nodes[i].err != nil {
			continue
		}
		config, err := zkutil.DecodeConfig(nodes[i].data)
		if err != nil {
			allowed[name] = false
			c.log.WithField("topic", name).WithError(err).Error("Topic configuration cannot be read: no unclean election")
			continue
		}
		if own, ok := config["unclean.leader.election.enable"]; ok {
			allowed[name] = strings.EqualFold(own, "true")
		}
	}
	return nil
}
