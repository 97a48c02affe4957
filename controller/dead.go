package controller

import (
	"context"
	"maps"
	"slices"

	"github.com/gregor-mq/gregor/zkutil"
)

// A process that is gone is not waited for.
//
// ZooKeeper lets a broker's registration stand until its session times out, 6 to 18 seconds after its process has died.
// Package vigil notices the death itself, within milliseconds, and what it counts as one. The controller then does what it does when
// the registration vanishes: the broker's partitions get leaders from their ISRs under a higher leader epoch, it leaves the ISRs, and
// it is none of the live brokers that the others and their clients hear of. Where it is the controller that has died, every
// other broker notices, and one of them replaces it: an election that deletes /controller, as operators do, in the very
// transaction that creates it anew. The new controller has seen the same, and counts the old one as dead from the start.
//
// Brokers that die together with the controller are not waited for either. Who takes office could not tell them from brokers that are
// just starting, if it began to look then: both only refuse. So every broker watches all others all the time (census.go), and who takes
// office goes by what it has seen itself of each: connections that had been answered, closed, and refused since. What
// it has not seen it does not act on, and while it is not the controller it does nothing about a broker that is gone. That costs n - 1
// idle connections at each of n brokers.
//
// # Why that is safe
//
// It may be wrong: the broker may live, and only refuse connections to this one. Nothing that is done then is different from what a
// broker meets that was taken for dead because its session ended:
//
//   - Each state znode is written on condition of its version, which no write of the old leader matches afterwards: its changes of
//     ISRs fail. Its followers fetch from the new leader, so that its high watermark rises no more, and
//     no acks=all produce is acknowledged by it. As a follower it is refused for its leader epoch.
//   - What has it alone in its ISR nobody else can lead. An unclean election, if those are allowed, waits for the end of the session.
//   - /controller is replaced on condition that /controller_epoch is that of the very node that is replaced. A
//     controller that lives hears of it by its watch and resigns; before it does, its writes fail by the epoch, and its requests are refused.
//
// A new controller may have seen a broker's end long before it takes office, and a way to it that is barred since: then it
// cannot command that broker either, and to take it for dead is what any controller does that comes upon such a bar.
//
// The registration is left alone: were it deleted, a Kafka broker that lives would not register again before its session
// ends. So every broker, of whatever make, comes back in the same way: once it answers, the controller
// takes it up as one that has just registered, under the broker epoch that it has, and LeaderAndIsr makes it follow. One that
// asks for its controlled shutdown meanwhile is not taken up any more.
//
// # When nothing is done
//
// Besides what package vigil does not count: for a broker that is in its controlled shutdown, which has handed over what it
// led and is about to end its session; for one that the controller itself has never reached, be it that the broker has died right after
// its start, or that the controller has just started or comes back from being cut off; with
// gregor.process.watch.enable=false; and, since only a registration with the session of what was watched is looked at, for a
// broker that has registered anew.

// processChange handles that the process of a registered broker is gone, or there after all.
func (c *core) processChange(ctx context.Context, id int32) error {
	if b := c.brokers[id]; b != nil && c.vigil.Gone(b) && !c.shuttingDown[id] {
		return c.processGone(ctx, b)
	}
	if b := c.dead[id]; b != nil && !c.vigil.Gone(b) && !c.shuttingDown[id] {
		c.log.WithField("broker", id).Warn("The broker, which was taken for dead, answers again")
		delete(c.dead, id)
		return c.brokersStarted(ctx, []int32{id}, map[int32]*zkutil.Broker{id: b})
	}
	return nil
}

// processGone gives up b, unless it has been watched where it is not any more: then its registration says so by now.
func (c *core) processGone(ctx context.Context, b *zkutil.Broker) error {
	nodes, err := c.zk.Get(ctx, false, zkutil.BrokerPath(b.ID))
	if err != nil || nodes[0].err != nil {
		return err // the registration is gone, too: an event of its own
	}
	now, err := zkutil.DecodeBroker(b.ID, nodes[0].data, nodes[0].stat)
	if err != nil || now.Epoch != b.Epoch || !slices.Equal(now.Endpoints, b.Endpoints) {
		return c.brokerModification(ctx, b.ID)
	}
	c.log.WithField("broker", b.ID).Warn("The process of the broker is gone: its connections are closed and new ones refused. Not waiting for the end of its session")
	c.dead[b.ID] = b
	c.peers.Remove(b.ID)
	return c.brokersDied(ctx, []int32{b.ID})
}

// setDeadApart takes those out of registered, which is all that is registered now, that are to count as dead, and has all of them
// watched. It returns the dead brokers whose sessions have ended; forgetDead is to be called for them once it is known who else lives.
func (c *core) setDeadApart(registered map[int32]*zkutil.Broker, isDead func(*zkutil.Broker) bool) (lapsed []int32) {
	c.vigil.Watch(slices.Collect(maps.Values(registered)))
	dead := map[int32]*zkutil.Broker{}
	for id, b := range registered {
		if isDead(b) {
			dead[id] = b
			if known := c.dead[id]; known != nil {
				dead[id] = known // that it has moved since, brokerModification has to see
			}
			delete(registered, id)
		}
	}
	for id, b := range c.dead {
		if registered[id] == nil && dead[id] == nil {
			dead[id] = b
			lapsed = append(lapsed, id)
		}
	}
	c.dead = dead
	return lapsed
}

// forgetDead ends the waiting for dead brokers whose sessions have ended: what they alone were in the ISR of may be led by others now,
// if unclean elections are allowed. By then it is known who has started or died in the same moment: one that has just died had
// been elected otherwise.
func (c *core) forgetDead(ctx context.Context, lapsed []int32) error {
	if len(lapsed) == 0 {
		return nil
	}
	for _, id := range lapsed {
		delete(c.dead, id)
		delete(c.shuttingDown, id)
	}
	_, err := c.bringElectableOnline(ctx)
	return err
}

// stillDead reports whether b counts as dead already. What became known of it since is an event of its own.
func (c *core) stillDead(b *zkutil.Broker) bool {
	known := c.dead[b.ID]
	return known != nil && known.Epoch == b.Epoch
}
