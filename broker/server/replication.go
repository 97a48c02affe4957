package server

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/replica/dirmover"
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
	threads := len(s.cfg.LogDirs())
	if s.cfg.Has("num.replica.alter.log.dirs.threads") {
		threads = s.cfg.Int("num.replica.alter.log.dirs.threads")
	}
	s.mover, err = dirmover.New(dirmover.Options{Threads: threads, Throttle: s.throttles.dirs, Logger: s.named("kafka.server.ReplicaAlterLogDirsManager")})
	if err != nil {
		return err
	}
	replicas, err := replica.New(replica.Options{
		BrokerID:     s.me.brokerID,
		Storage:      s.storage,
		TopicConfig:  s.topicConfig,
		BrokerEpoch:  s.brokerEpoch,
		Known:        s.known,
		Alive:        func(broker int32) bool { return s.metadata.Load().Broker(broker) != nil },
		Followers:    s.fetchers,
		Mover:        s.mover,
		Propagator:   s.propagator,
		LagTimeMax:   s.cfg.Millis("replica.lag.time.max.ms"),
		Logger:       s.named("kafka.server.ReplicaManager"),
		StateChanges: s.named("state.change.logger"),
	})
	if err != nil {
		return err
	}
	s.replicas = replicas
	s.hosting.Store(replicas)
	return nil
}

// dirFailed ends what is being done with the replicas in a log directory, and tells the controller that they
// are offline: it asks, by LeaderAndIsr, which ones.
func (s *Server) dirFailed(dir string, err error) {
	s.log.WithField("dir", dir).WithError(err).Error("log directory failed, its replicas are offline")
	if replicas := s.hosting.Load(); replicas != nil { // or it has failed at the start
		replicas.DirFailed(dir)
	}
	if _, err := s.zk.NotifyLogDirFailure(s.ctx, s.me.brokerID); err != nil {
		s.log.WithField("dir", dir).WithError(err).Error("cannot tell the controller of the failed log directory")
	}
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
	if s.mover != nil {
		s.mover.Close()
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
