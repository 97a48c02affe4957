package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/controller/vigil"
	"github.com/gregor-mq/gregor/zkutil"
)

// Options configure a Controller; a zero field takes the default named beside it.
type Options struct {
	BrokerID            int32          // required
	ZK                  *zkutil.Client // required
	InterBrokerListener string         // the listener that brokers use among themselves; required
	// Dial connects to a broker: over plain TCP, with BrokerID as client id.
	Dial func(ctx context.Context, addr string) (*interbroker.Conn, error)
	// Register registers this broker in ZooKeeper. It is called on each session after the first, before
	// this broker takes part in an election again, and repeated while it fails: does nothing.
	Register func(ctx context.Context) error
	// UncleanElection returns the broker's unclean.leader.election.enable, which topics may override: false.
	UncleanElection func() bool
	// WatchProcesses has brokers given up, and the controller replaced, whose process is gone, before their sessions
	// end; see dead.go.
	WatchProcesses bool
	// KeepTopics is the opposite of delete.topic.enable.
	KeepTopics bool
	// RebalanceInterval is the time between two checks whether brokers lead what they should
	// (leader.imbalance.check.interval.seconds): leaders are left where they are.
	RebalanceInterval time.Duration
	// RebalancePercentage is how much of it others may lead (leader.imbalance.per.broker.percentage).
	RebalancePercentage int
	Logger              logrus.FieldLogger // no log
}

func (o Options) withDefaults() (Options, error) {
	if o.ZK == nil || o.InterBrokerListener == "" {
		return o, errors.New("controller: Options needs ZK and InterBrokerListener")
	}
	if o.Dial == nil {
		o.Dial = (&interbroker.Dialer{ClientID: strconv.Itoa(int(o.BrokerID))}).Dial
	}
	if o.Register == nil {
		o.Register = func(context.Context) error { return nil }
	}
	if o.UncleanElection == nil {
		o.UncleanElection = func() bool { return false }
	}
	if o.Logger == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		o.Logger = silent
	}
	return o, nil
}

// Controller is one broker's candidate for the controller, and the controller while it is elected. Its
// methods may be called from any goroutine.
type Controller struct {
	opts  Options
	log   logrus.FieldLogger
	queue *queue

	activeID atomic.Int32 // broker id of the controller as this broker last saw it, -1 for none
	epoch    atomic.Int32 // of this broker's term, 0 while it is not active

	seats     *zkutil.Watcher // hears of /controller
	census    *census
	vigil     *vigil.Vigil // over brokers' processes; nil: none
	loop      sync.WaitGroup
	stop      context.CancelFunc // ends the loop
	stopped   chan struct{}      // closed when the loop has ended
	unhook    func()             // ends the subscription to sessions
	closeOnce sync.Once

	// term is nil while this broker is not the controller. Only the loop touches it.
	term *term
}

// term is the time of office of an active controller.
type term struct {
	core     *core
	channels *channels
	watcher  *zkutil.Watcher
	session  int64 // in which it was elected: it must not act in another
	// rebalance queues the next check of the balance of leaders; nil: there is none.
	rebalance *time.Timer
}

// New returns a Controller that takes part in elections once it is started.
func New(opts Options) (*Controller, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Controller{opts: opts, log: opts.Logger.WithField("controller", opts.BrokerID), queue: newQueue(), stopped: make(chan struct{})}
	c.activeID.Store(-1)
	c.seats = zkutil.NewWatcher(func(e zkutil.Event) {
		if e.Type == zkutil.Deleted {
			c.put("Reelect", c.reelect)
		} else {
			c.put("ControllerChange", c.maybeResign)
		}
	})
	c.census = c.newCensus()
	if opts.WatchProcesses {
		c.vigil = vigil.New(vigil.Options{Dial: opts.Dial, Noticed: c.noticed, Logger: c.log})
	}
	return c, nil
}

// Start begins the loop and the first election. It must be called once, when this broker is registered.
func (c *Controller) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	c.unhook = c.opts.ZK.Subscribe(zkutil.Subscriber{Expired: c.expired, Renewed: func(int64) {
		c.put("RegisterBrokerAndReelect", c.registerAndReelect)
	}})
	c.put("Startup", c.elect)
	c.loop.Go(func() { c.run(ctx) })
}

// Close resigns if this broker is the controller, and returns when no goroutine is left. /controller goes
// with the session. The Client must be closed after, not before.
func (c *Controller) Close() {
	c.closeOnce.Do(func() {
		c.seats.Stop()
		c.census.zk.watcher.Stop()
		if c.vigil != nil {
			c.vigil.Close()
		}
		if c.stop == nil {
			return // never started
		}
		c.stop()
		c.loop.Wait()
		c.unhook()
	})
}

// IsActive reports whether this broker is the controller, as far as it knows.
func (c *Controller) IsActive() bool {
	return c.activeID.Load() == c.opts.BrokerID && c.epoch.Load() > 0
}

// ActiveID returns the broker id of the controller as this broker last saw it in ZooKeeper, -1 for none.
func (c *Controller) ActiveID() int32 { return c.activeID.Load() }

// Epoch returns the controller epoch while this broker is the controller, and otherwise 0.
func (c *Controller) Epoch() int32 { return c.epoch.Load() }

// UncleanElectionAllowed tells that unclean.leader.election.enable has become true for topic: partitions
// without a leader may have one now.
func (c *Controller) UncleanElectionAllowed(topic string) {
	c.putActive("TopicUncleanLeaderElectionEnable("+topic+")", func(core *core, ctx context.Context) error {
		return core.uncleanElection(ctx, topic)
	})
}

// UncleanElectionAllowedByDefault tells that the broker's unclean.leader.election.enable has become true, which
// goes for all topics that do not have their own.
func (c *Controller) UncleanElectionAllowedByDefault() {
	c.putActive("UncleanLeaderElectionEnable", func(core *core, ctx context.Context) error {
		_, err := core.bringElectableOnline(ctx)
		return err
	})
}

// put queues an event that reads what it is about when it is run.
func (c *Controller) put(name string, run func(ctx context.Context) error) {
	c.queue.put(event{name: name, once: true, run: run})
}

// putActive queues an event of the active controller. If there is none when its turn comes, nothing is done.
func (c *Controller) putActive(name string, run func(core *core, ctx context.Context) error) {
	c.put(name, func(ctx context.Context) error {
		if c.term == nil {
			return nil
		}
		return run(c.term.core, zkutil.WithSession(ctx, c.term.session))
	})
}

// answered queues the response of a broker to a request of term t.
func (c *Controller) answered(t *term, broker int32, req kmsg.Request, resp kmsg.Response) {
	c.queue.put(event{
		name: fmt.Sprintf("%sResponse(%d)", kmsg.NameForKey(req.Key()), broker),
		run: func(ctx context.Context) error {
			if c.term != t {
				return nil
			}
			return t.core.response(zkutil.WithSession(ctx, t.session), broker, req, resp)
		},
	})
}

// run is the loop.
func (c *Controller) run(ctx context.Context) {
	defer close(c.stopped)
	for {
		e, ok := c.queue.take(ctx)
		if !ok {
			break
		}
		c.process(ctx, e)
	}
	c.queue.close()
	c.resign()
}

// process runs one event. After an error the next event goes on from what is known; what this one left
// undone is done by a later one or, when the session or the office is lost, by a later controller.
func (c *Controller) process(ctx context.Context, e event) {
	err := e.run(ctx)
	switch {
	case err == nil:
	case errors.Is(err, ErrMoved):
		c.log.WithError(err).Infof("Controller moved to another broker when processing %s", e.name)
		c.resign()
		c.put("Reelect", c.reelect)
	case ctx.Err() != nil || errors.Is(err, zkutil.ErrSessionExpired) || errors.Is(err, zkutil.ErrClosed):
		c.log.WithError(err).Debugf("%s given up", e.name)
	default:
		c.log.WithError(err).Errorf("Error processing event %s", e.name)
	}
}

// expired makes sure that nothing is done under the lost claim: it returns when this broker has resigned.
func (c *Controller) expired() {
	done := make(chan struct{})
	c.queue.replace(event{name: "Expire", run: func(context.Context) error {
		defer close(done)
		c.activeID.Store(-1)
		c.resign()
		c.census.known = nil // its watches have ended with the session
		return nil
	}})
	select {
	case <-done:
	case <-c.stopped:
	}
}
