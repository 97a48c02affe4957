package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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
	zk     *zkutil.Client
	broker zkutil.Broker
	epoch  atomic.Int64 // -1 until the first registration
	logger logrus.FieldLogger
	// returning: the log directories have belonged to this broker id before this process began.
	returning bool
}

func newRegistration(zk *zkutil.Client, me identity, cfg *config.Config, bound []network.Endpoint, log logrus.FieldLogger) *registration {
	r := &registration{zk: zk, logger: log, returning: me.returning}
	r.epoch.Store(-1)
	r.broker = zkutil.Broker{
		ID: me.brokerID, Rack: cfg.Text("broker.rack"), JMXPort: -1,
		Endpoints: advertised(cfg, bound),
	}
	return r
}

// advertised lists where clients are told to connect. A listener on port 0 is advertised with the
// port that it got.
func advertised(cfg *config.Config, bound []network.Endpoint) []zkutil.Endpoint {
	var list []zkutil.Endpoint
	for _, e := range cfg.AdvertisedListeners() {
		port := e.Port
		for _, b := range bound {
			if port == 0 && b.Listener == e.Listener {
				port = b.Port
			}
		}
		list = append(list, zkutil.Endpoint{
			Listener: e.Listener, Host: e.Host, Port: int32(port), SecurityProtocol: e.Protocol.String(),
		})
	}
	return list
}

// register claims the broker's znode in the current session.
func (r *registration) register(ctx context.Context) error {
	b := r.broker
	if err := r.zk.CheckAdvertised(ctx, &b); err != nil {
		return err
	}
	b.Timestamp = time.Now().UnixMilli()
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
	r.logger.WithField("path", zkutil.BrokerPath(b.ID)).WithField("epoch", epoch).
		WithField("endpoints", endpointsText(b.Endpoints)).Info("registered broker")
	return nil
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
