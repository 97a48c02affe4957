package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/zkutil"
)

// registration is this broker's claim in /brokers/ids. It is renewed with every ZooKeeper session;
// each time the broker gets a new epoch, the czxid of the znode.
type registration struct {
	zk      *zkutil.Client
	epoch   atomic.Int64 // -1 until the first registration
	session atomic.Int64 // in which the broker has registered last
	logger  logrus.FieldLogger
	// returning: the log directories have belonged to this broker id before this process began.
	returning bool

	mu     sync.Mutex
	broker zkutil.Broker // what is registered, but for the time
}

func newRegistration(ctx context.Context, zk *zkutil.Client, me identity, cfg *config.Config, bound []network.Endpoint, log logrus.FieldLogger) (*registration, error) {
	r := &registration{zk: zk, logger: log, returning: me.returning}
	r.epoch.Store(-1)
	endpoints, err := advertised(cfg, bound, func() (string, error) { return hostName(ctx) })
	r.broker = zkutil.Broker{ID: me.brokerID, Rack: cfg.Text("broker.rack"), JMXPort: -1, Endpoints: endpoints}
	return r, err
}

// info returns what is to be registered now.
func (r *registration) info() zkutil.Broker {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.broker
	b.Timestamp = time.Now().UnixMilli()
	return b
}

// advertise changes the endpoints that are registered, if they are others than before. The broker keeps its epoch; the
// controller, which watches, tells all brokers (KafkaController.updateBrokerInfo).
func (r *registration) advertise(ctx context.Context, cfg *config.Config, bound []network.Endpoint) error {
	endpoints, err := advertised(cfg, bound, func() (string, error) { return hostName(ctx) })
	if err != nil {
		return err
	}
	b := r.info()
	if slices.Equal(b.Endpoints, endpoints) {
		return nil
	}
	b.Endpoints = endpoints
	if err := r.zk.CheckAdvertised(ctx, &b); err != nil {
		return err
	}
	r.mu.Lock()
	r.broker.Endpoints = endpoints
	r.mu.Unlock()
	r.logger.WithField("endpoints", endpointsText(endpoints)).Info("registering other endpoints")
	return r.zk.UpdateBrokerInfo(ctx, &b)
}

// advertised lists where clients are told to connect: at the listeners that are bound. One on port 0 is advertised with
// the port that it got, one without a host with this machine's name (KafkaServer.createBrokerInfo); if
// advertised.listeners is not set, with what it is bound to, which a change of listeners leaves as it is.
func advertised(cfg *config.Config, bound []network.Endpoint, hostName func() (string, error)) ([]zkutil.Endpoint, error) {
	var list []zkutil.Endpoint
	for _, e := range cfg.AdvertisedListeners() {
		i := slices.IndexFunc(bound, func(b network.Endpoint) bool { return b.Listener == e.Listener })
		switch {
		case i < 0:
			continue // it could not be opened
		case !cfg.Has("advertised.listeners"):
			e.Host, e.Port = bound[i].Host, bound[i].Port
		case e.Port == 0:
			e.Port = bound[i].Port
		}
		if strings.TrimSpace(e.Host) == "" {
			var err error
			if e.Host, err = hostName(); err != nil {
				return nil, fmt.Errorf("find this machine's name, to advertise listener %s by: %w", e.Listener, err)
			}
		}
		list = append(list, zkutil.Endpoint{
			Listener: e.Listener, Host: e.Host, Port: int32(e.Port), SecurityProtocol: e.Protocol.String(),
		})
	}
	return list, nil
}

// hostName returns this machine's full name, as far as the resolver knows one
// (InetAddress.getCanonicalHostName), else the name that the system has.
func hostName(ctx context.Context) (string, error) {
	name, err := os.Hostname()
	if err != nil {
		return "", err
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil || len(addresses) == 0 {
		return name, nil
	}
	names, err := net.DefaultResolver.LookupAddr(ctx, addresses[0])
	if err != nil || len(names) == 0 {
		return name, nil
	}
	return strings.TrimSuffix(names[0], "."), nil
}

// register claims the broker's znode in the current session.
func (r *registration) register(ctx context.Context) error {
	b, session := r.info(), r.zk.SessionID()
	if err := r.zk.CheckAdvertised(ctx, &b); err != nil {
		return err
	}
	epoch, err := r.zk.RegisterBroker(ctx, &b)
	if errors.Is(err, zkutil.ErrNodeExists) && r.returning && r.epoch.Load() < 0 {
		if err = r.takeOver(ctx); err == nil {
			epoch, err = r.zk.RegisterBroker(ctx, &b)
		}
	}
	if err != nil {
		return fmt.Errorf("register broker %d at %s: %w", b.ID, zkutil.BrokerPath(b.ID), err)
	}
	r.epoch.Store(epoch)
	r.session.Store(session)
	r.logger.WithField("path", zkutil.BrokerPath(b.ID)).WithField("epoch", epoch).
		WithField("endpoints", endpointsText(b.Endpoints)).Info("registered broker")
	return nil
}

// confirm registers anew if the session has been replaced since the broker registered. A session that is
// lost now, or later, is the controller's to notice.
func (r *registration) confirm(ctx context.Context) error {
	if session := r.zk.SessionID(); session == 0 || session == r.session.Load() {
		return nil
	}
	return r.register(ctx)
}

// takeOver removes what an earlier process of this very broker has left in ZooKeeper when it was
// killed, so that a restart need not wait until that process's session times out: the registration
// and, if that process was the controller, /controller.
//
// That the earlier process is dead is known, not guessed: this process holds the locks of the log
// directories, which name this broker and cluster, and has bound the very listeners that the
// registration advertises. A registration with other endpoints is somebody else's, and stays. Both
// deletions are conditional on what was read, in one multi: if another process was faster, nothing
// is removed and registering fails as it does in Kafka.
func (r *registration) takeOver(ctx context.Context) error {
	path := zkutil.BrokerPath(r.broker.ID)
	data, stat, err := r.zk.Get(ctx, path)
	if errors.Is(err, zkutil.ErrNoNode) {
		return nil
	}
	if err != nil {
		return err
	}
	left, err := zkutil.DecodeBroker(r.broker.ID, data, stat)
	if err != nil {
		return err
	}
	if !slices.Equal(left.Endpoints, r.broker.Endpoints) {
		return fmt.Errorf("broker %d is registered by another process at %s: %w", r.broker.ID, endpointsText(left.Endpoints), zkutil.ErrNodeExists)
	}
	ops := []zkutil.Op{zkutil.DeleteOp(path, stat.Version)}
	node, seat, taken, err := r.zk.Controller(ctx, nil)
	if err != nil {
		return err
	}
	if taken && node.BrokerID == r.broker.ID && seat.EphemeralOwner == stat.EphemeralOwner {
		ops = append(ops, zkutil.DeleteOp(zkutil.ControllerPath, seat.Version))
	}
	if _, err := r.zk.Multi(ctx, ops...); err != nil && !errors.Is(err, zkutil.ErrNoNode) {
		return err
	}
	r.logger.WithField("path", path).WithField("session", fmt.Sprintf("0x%x", uint64(stat.EphemeralOwner))).
		Warn("removed what a killed process of this broker had left in ZooKeeper")
	return nil
}

func endpointsText(list []zkutil.Endpoint) string {
	text := ""
	for i, e := range list {
		if i > 0 {
			text += ","
		}
		text += e.Listener + "://" + e.Host + ":" + strconv.Itoa(int(e.Port))
	}
	return text
}
