package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/gregor-mq/gregor/controller/vigil"
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
// The registration is left alone: were it deleted, a Kafka broker that lives would not register again before its session
// ends. So every broker, of whatever make, comes back in the same way: once it answers, the controller
// takes it up as one that has just registered, under the broker epoch that it has, and LeaderAndIsr makes it follow. One that
// asks for its controlled shutdown meanwhile is not taken up any more.
//
// # When nothing is done
//
// Besides what package vigil does not count: for a broker that is in its controlled shutdown, which has handed over what it
// led and is about to end its session; for one that died together with the controller, which the next controller has never
// reached; with gregor.process.watch.enable=false; and, since only a registration
// with the session of what was watched is looked at, for a broker that has registered anew.

// lookout tells of registered brokers whose process is gone.
type lookout interface {
	// Watch has the brokers watched, and no others.
	Watch(brokers []*zkutil.Broker)
	// Gone reports whether the process of b is gone.
	Gone(b *zkutil.Broker) bool
}

// tower is lookout over a vigil, which may be nil: then nobody is ever gone.
type tower struct {
	vigil    *vigil.Vigil
	self     int32
	listener string // the one that brokers use among themselves
}

func (c *Controller) lookout() lookout {
	return &tower{vigil: c.vigil, self: c.opts.BrokerID, listener: c.opts.InterBrokerListener}
}

// Watch implements lookout.
func (t *tower) Watch(brokers []*zkutil.Broker) {
	if t.vigil == nil {
		return
	}
	var subjects []vigil.Subject
	for _, b := range brokers {
		if s, ok := t.subject(b); ok && b.ID != t.self {
			subjects = append(subjects, s)
		}
	}
	t.vigil.Watch(subjects)
}

// Gone implements lookout.
func (t *tower) Gone(b *zkutil.Broker) bool { return t.vigil != nil && t.vigil.Gone(b.ID, b.Session) }

// subject says where b is to be watched.
func (t *tower) subject(b *zkutil.Broker) (vigil.Subject, bool) {
	s := vigil.Subject{Broker: b.ID, Session: b.Session}
	for _, e := range b.Endpoints {
		addr := net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
		if e.Listener == t.listener {
			s.Addr = addr
		} else {
			s.Others = append(s.Others, addr)
		}
	}
	return s, s.Addr != "" && s.Session != 0
}

// noticed queues what there is to do when a broker's process is gone, or is there after all.
func (c *Controller) noticed(broker int32) {
	c.put(fmt.Sprintf("ProcessChange(%d)", broker), func(ctx context.Context) error {
		if c.term == nil {
			return c.replace(ctx, broker)
		}
		return c.term.core.processChange(zkutil.WithSession(ctx, c.term.session), broker)
	})
}

// followController is watchController, and has the controller replaced if its process is gone already: the attempt that was
// made when that was noticed may have ended with this broker's own session.
func (c *Controller) followController(ctx context.Context, id int32, session int64) {
	c.watchController(ctx, id, session)
	if c.vigil != nil && c.term == nil && c.vigil.Gone(id, session) {
		c.noticed(id)
	}
}

// watchController has the process watched of the controller that was elected in session, while this broker is not it.
func (c *Controller) watchController(ctx context.Context, id int32, session int64) {
	if c.vigil == nil || c.term != nil || id == c.opts.BrokerID {
		return
	}
	data, stat, err := c.opts.ZK.Get(ctx, zkutil.BrokerPath(id))
	if err == nil && stat.EphemeralOwner == session {
		if b, err := zkutil.DecodeBroker(id, data, stat); err == nil {
			c.lookout().Watch([]*zkutil.Broker{b})
		}
	}
}

// replace takes over from a controller whose process is gone.
func (c *Controller) replace(ctx context.Context, broker int32) error {
	zk := c.opts.ZK
	session := zk.SessionID()
	ctx = zkutil.WithSession(ctx, session)
	node, stat, taken, err := zk.Controller(ctx, c.seats)
	if err != nil || !taken || node.BrokerID != broker || !c.vigil.Gone(broker, stat.EphemeralOwner) {
		return err
	}
	c.watchController(ctx, broker, stat.EphemeralOwner)
	if !c.vigil.Gone(broker, stat.EphemeralOwner) {
		return nil // it was watched where it is not any more
	}
	fence, err := zk.ReplaceController(ctx, stat.EphemeralOwner, c.opts.BrokerID, time.Now().UnixMilli())
	if errors.Is(err, ErrMoved) {
		return nil // another broker was faster, of which the watch tells
	}
	if err != nil {
		return err
	}
	c.log.Warnf("The process of broker %d, the controller, is gone: replaced it, without waiting for the end of its session", broker)
	return c.begin(ctx, session, fence)
}

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
