package server

import (
	"context"
	"fmt"
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
}

func newRegistration(zk *zkutil.Client, me identity, cfg *config.Config, bound []network.Endpoint, log logrus.FieldLogger) *registration {
	r := &registration{zk: zk, logger: log}
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
	if err != nil {
		return fmt.Errorf("register broker %d at %s: %w", b.ID, zkutil.BrokerPath(b.ID), err)
	}
	r.epoch.Store(epoch)
	r.logger.WithField("path", zkutil.BrokerPath(b.ID)).WithField("epoch", epoch).
		WithField("endpoints", endpointsText(b.Endpoints)).Info("registered broker")
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
