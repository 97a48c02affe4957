package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gregor-mq/gregor/controller/vigil"
	"github.com/gregor-mq/gregor/zkutil"
)

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

// followController has the controller replaced, which was elected in session, if its process is gone already: the attempt that
// was made when that was noticed may have ended with this broker's own session. It has all brokers watched.
func (c *Controller) followController(id int32, session int64) {
	if c.vigil == nil || c.term != nil {
		return
	}
	c.put("Census", c.watchBrokers)
	if c.vigil.Gone(id, session) {
		c.noticed(id)
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
	delete(c.census.known, broker)
	if err := c.watchBrokers(ctx); err != nil {
		return err
	}
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
