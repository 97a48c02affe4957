package controller

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/zkutil"
)

// standDown is how long a broker that could not take office leaves it to others.
const standDown = time.Second

// elect makes this broker the controller if there is none (KafkaController.elect). Whatever comes of it,
// it hears of the next change of /controller.
func (c *Controller) elect(ctx context.Context) error {
	zk := c.opts.ZK
	session := zk.SessionID()
	ctx = zkutil.WithSession(ctx, session)
	node, stat, taken, err := zk.Controller(ctx, c.seats)
	if err != nil {
		return err
	}
	if taken {
		c.activeID.Store(node.BrokerID)
		if c.term != nil || stat.EphemeralOwner != session {
			c.followController(node.BrokerID, stat.EphemeralOwner)
			c.log.Debugf("Broker %d has been elected as the controller, so stopping the election process", node.BrokerID)
			return nil
		}
	}
	c.activeID.Store(-1)
	now := time.Now().UnixMilli()
	var fence zkutil.Fence
	if taken { // this broker was elected, and failed to take office or to leave it
		fence, err = zk.ReplaceController(ctx, session, c.opts.BrokerID, now)
	} else {
		fence, err = zk.ElectController(ctx, c.opts.BrokerID, now)
	}
	if err != nil {
		return err // ErrMoved: the loop looks who it is
	}
	return c.begin(ctx, session, fence)
}

// begin takes office after an election, or leaves it to another broker if that fails.
func (c *Controller) begin(ctx context.Context, session int64, fence zkutil.Fence) error {
	c.log.WithField("epoch", fence.Epoch).Infof("%d successfully elected as the controller. Epoch incremented to %d and epoch zk version is now %d",
		c.opts.BrokerID, fence.Epoch, fence.Version)
	err := c.takeOffice(ctx, session, fence)
	if err == nil || ctx.Err() != nil || errors.Is(err, ErrMoved) || errors.Is(err, zkutil.ErrSessionExpired) {
		return err
	}
	c.log.WithError(err).Error("Error while becoming controller. Trigger controller movement immediately")
	return c.leaveOffice(ctx, fence)
}

// takeOffice begins the term of fence.
func (c *Controller) takeOffice(ctx context.Context, session int64, fence zkutil.Fence) error {
	log := c.log.WithField("epoch", fence.Epoch)
	t := &term{session: session, watcher: zkutil.NewWatcher(c.watched)}
	t.channels = &channels{
		listener: c.opts.InterBrokerListener,
		dial:     c.opts.Dial,
		deliver: func(broker int32, req kmsg.Request, resp kmsg.Response) {
			c.answered(t, broker, req, resp)
		},
		log:     log,
		senders: map[int32]*sender{},
	}
	t.core = &core{
		state:         newState(),
		id:            c.opts.BrokerID,
		listener:      c.opts.InterBrokerListener,
		unclean:       c.opts.UncleanElection,
		deletesTopics: !c.opts.KeepTopics,
		zk:            &zookeeper{client: c.opts.ZK, watcher: t.watcher},
		peers:         t.channels,
		vigil:         c.lookout(),
		log:           log,

		takeProducerIDs: c.opts.ZK.AllocateProducerIDs,
		setFeatures: func(ctx context.Context, data []byte, version int32) error {
			_, err := c.opts.ZK.Set(ctx, zkutil.FeaturePath, data, version)
			return err
		},
	}
	t.core.fence = fence
	c.term = t
	c.census.known = nil // nobody hears what changes from now on
	c.activeID.Store(c.opts.BrokerID)
	c.epoch.Store(fence.Epoch)
	if err := c.enableFeatures(ctx); err != nil {
		return err
	}
	if err := t.core.failover(ctx); err != nil {
		return err
	}
	c.rebalanceAfter(t, firstRebalance)
	return nil
}

// firstRebalance is how long after its election a controller looks for the first time whether leaders are
// where they should be.
const firstRebalance = 5 * time.Second

// rebalanceAfter has the controller of term t check the balance of leaders after d, and then again and again.
func (c *Controller) rebalanceAfter(t *term, d time.Duration) {
	if c.opts.RebalanceInterval <= 0 {
		return
	}
	t.rebalance = time.AfterFunc(d, func() {
		c.put("AutoPreferredReplicaLeaderElection", func(ctx context.Context) error {
			if c.term != t {
				return nil
			}
			err := t.core.rebalance(zkutil.WithSession(ctx, t.session), c.opts.RebalancePercentage)
			c.rebalanceAfter(t, c.opts.RebalanceInterval)
			return err
		})
	})
}

// leaveOffice gives up the office of fence, which this broker could not take, to whoever comes first.
func (c *Controller) leaveOffice(ctx context.Context, fence zkutil.Fence) error {
	c.resign()
	c.activeID.Store(-1)
	if err := c.opts.ZK.Resign(ctx, fence); err != nil {
		return err
	}
	pause := time.NewTimer(standDown)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
	return nil
}

// maybeResign looks who is the controller, and resigns if it is not this broker any more.
func (c *Controller) maybeResign(ctx context.Context) error {
	node, stat, taken, err := c.opts.ZK.Controller(ctx, c.seats)
	if err != nil {
		return err
	}
	id := int32(-1)
	if taken {
		id = node.BrokerID
	}
	c.activeID.Store(id)
	if c.term != nil && (id != c.opts.BrokerID || stat.EphemeralOwner != c.term.session) {
		c.resign()
	}
	if taken {
		c.followController(id, stat.EphemeralOwner)
	}
	return nil
}

// reelect resigns if need be, and takes part in the election.
func (c *Controller) reelect(ctx context.Context) error {
	if err := c.maybeResign(ctx); err != nil {
		return err
	}
	return c.elect(ctx)
}

// registerAndReelect registers this broker in a new session, and takes part in the election.
func (c *Controller) registerAndReelect(ctx context.Context) error {
	for failed := false; ; failed = true {
		err := c.opts.Register(ctx)
		if err == nil {
			return c.reelect(ctx)
		}
		if ctx.Err() != nil || errors.Is(err, zkutil.ErrSessionExpired) {
			return err
		}
		if !failed {
			c.log.WithError(err).Error("Broker cannot register in its new session, and goes on trying")
		}
		pause := time.NewTimer(standDown)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// resign ends this broker's term if it has one (KafkaController.onControllerResignation). What
// it has sent already brokers refuse, once they know the next controller.
func (c *Controller) resign() {
	if c.term == nil {
		return
	}
	if c.term.rebalance != nil {
		c.term.rebalance.Stop()
	}
	c.term.watcher.Stop()
	c.term.channels.close()
	c.term = nil
	c.epoch.Store(0)
	c.log.Info("Resigned")
}
