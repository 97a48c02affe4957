package server

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/replica/fetcher"
	"github.com/gregor-mq/gregor/broker/replica/propagate"
)

// propagator is what makes changes of ISRs known.
type propagator interface {
	replica.Propagator
	Close()
}

// startReplicas makes ready to lead and to follow; what, the controller will say.
func (s *Server) startReplicas() (err error) {
	fetching := interbroker.Dialer{
		ClientID: fmt.Sprintf("broker-%d-fetcher", s.me.brokerID),
		Timeout:  s.cfg.Millis("replica.socket.timeout.ms"),
	}
	s.fetchers, err = fetcher.New(fetcher.Options{
		BrokerID: s.me.brokerID, BrokerEpoch: s.brokerEpoch,
		Address:           s.address,
		Dial:              fetching.Dial,
		Fetchers:          s.cfg.Int("num.replica.fetchers"),
		MaxWait:           s.cfg.Millis("replica.fetch.wait.max.ms"),
		MinBytes:          s.cfg.Int("replica.fetch.min.bytes"),
		MaxBytes:          s.cfg.Int("replica.fetch.response.max.bytes"),
		PartitionMaxBytes: s.cfg.Int("replica.fetch.max.bytes"),
		BackOff:           s.cfg.Millis("replica.fetch.backoff.ms"),
		Throttle:          s.throttles.follower,
		Logger:            s.named("kafka.server.ReplicaFetcherManager"),
	})
	if err != nil {
		return err
	}
	s.propagator = s.newPropagator()
	s.replicas, err = replica.New(replica.Options{
		BrokerID:    s.me.brokerID,
		Storage:     s.storage,
		TopicConfig: s.topicConfig,
		BrokerEpoch: s.brokerEpoch,
		Known:       s.known,
		Alive:       func(broker int32) bool { return s.metadata.Load().Broker(broker) != nil },
		Followers:   s.fetchers,
		Propagator:  s.propagator,
		LagTimeMax:  s.cfg.Millis("replica.lag.time.max.ms"),
		Logger:      s.named("kafka.server.ReplicaManager"),
	})
	return err
}

func (s *Server) newPropagator() propagator {
	log := s.named("kafka.server.AlterPartitionManager")
	if s.cfg.Text("gregor.isr.propagation") != "controller" {
		return propagate.NewZooKeeper(s.zk, log)
	}
	asking := interbroker.Dialer{ClientID: strconv.Itoa(int(s.me.brokerID)), Timeout: s.cfg.Millis("controller.socket.timeout.ms")}
	return propagate.NewController(propagate.ControllerOptions{
		BrokerID: s.me.brokerID, BrokerEpoch: s.brokerEpoch,
		Address: func() (string, bool) { return s.address(s.metadata.Load().ControllerID) },
		Dial:    func(ctx context.Context, addr string) (*interbroker.Conn, error) { return asking.Dial(ctx, addr) },
		Logger:  log,
	})
}

// stopReplicas ends what copies and what proposes. Logs are closed afterwards.
func (s *Server) stopReplicas() {
	if s.fetchers != nil {
		s.fetchers.Close()
	}
	if s.propagator != nil {
		s.propagator.Close()
	}
}

func (s *Server) brokerEpoch() int64 { return s.registration.epoch.Load() }

// address returns where a broker listens for other brokers, if it is alive.
func (s *Server) address(broker int32) (string, bool) {
	e, ok := s.metadata.Load().Endpoint(broker, s.cfg.InterBrokerListener())
	if !ok {
		return "", false
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))), true
}
