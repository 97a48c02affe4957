package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/api/transactions"
	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/network"
	"github.com/gregor-mq/gregor/controller"
)

// startNetwork builds the handlers and binds the listeners. Nothing is accepted yet.
func (s *Server) startNetwork(ctx context.Context) (err error) {
	s.features = newFeatureCache(s.ctx, s.zk)
	bound, discover := s.handlers()
	table := newRoutes(bound)
	discover.Routes = table.list
	opts, err := networkOptions(ctx, s.cfg, table, s.named("kafka.network.SocketServer"))
	if err != nil {
		return err
	}
	opts.OnNoDescriptor = s.noDescriptor
	if s.network, err = network.New(opts); err != nil {
		return err
	}
	return s.network.Bind()
}

// noDescriptor makes room for a connection that cannot be accepted.
func (s *Server) noDescriptor(err error) (again bool) {
	s.shortage.tell(err)
	return s.storage.CloseIdleFiles() > 0
}

// register makes the broker known to the cluster.
func (s *Server) register(ctx context.Context) (err error) {
	if s.registration, err = newRegistration(ctx, s.zk, s.me, s.cfg, s.network.Endpoints(), s.log); err != nil {
		return err
	}
	return s.registration.register(ctx)
}

// startController lets this broker stand for controller, and register anew with each later session.
func (s *Server) startController(ctx context.Context) (err error) {
	rebalance := time.Duration(0)
	if s.cfg.Bool("auto.leader.rebalance.enable") {
		rebalance = time.Duration(min(s.cfg.Int64("leader.imbalance.check.interval.seconds"), math.MaxInt32)) * time.Second
	}
	s.controller, err = controller.New(controller.Options{
		BrokerID: s.me.brokerID, ZK: s.zk,
		RebalanceInterval: rebalance, RebalancePercentage: s.cfg.Int("leader.imbalance.per.broker.percentage"),
		InterBrokerListener: s.cfg.InterBrokerListener(),
		Register:            s.registration.register,
		UncleanElection:     func() bool { return s.config.Load().Bool("unclean.leader.election.enable") },
		WatchProcesses:      s.cfg.Bool("gregor.process.watch.enable"),
		KeepTopics:          !s.cfg.Bool("delete.topic.enable"),
		Logger:              s.named("kafka.controller.KafkaController"),
	})
	if err != nil {
		return err
	}
	s.controller.Start()
	return s.registration.confirm(ctx) // a session that was lost before the controller looked
}

// claimProducerIDs takes the next block of producer ids from ZooKeeper. Kafka's brokers since 3.0 ask the controller,
// which takes it from there in the same way (KIP-730): both go together, and this one needs no controller.
func (s *Server) claimProducerIDs(ctx context.Context) (transactions.Block, error) {
	b, err := s.zk.AllocateProducerIDs(ctx, s.me.brokerID)
	return transactions.Block{First: b.First, Last: b.Last}, err
}

// networkOptions translates the socket properties.
func networkOptions(ctx context.Context, cfg *config.Config, table *routes, log logrus.FieldLogger) (network.Options, error) {
	opts := network.Options{
		Router:          table,
		Logger:          log,
		MaxConnections:  ownDescriptors().connections(),
		MaxRequestBytes: cfg.Int("socket.request.max.bytes"),
		QueuedBytes:     max(0, cfg.Int64("queued.max.request.bytes")),
		MaxBlocking:     cfg.Int("queued.max.requests"),
		MaxIdle:         cfg.Millis("connections.max.idle.ms"),
		SendBuffer:      cfg.Int("socket.send.buffer.bytes"),
		ReceiveBuffer:   receiveBuffer(cfg),
		Backlog:         cfg.Int("socket.listen.backlog.size"),
	}
	opts.Listeners = listeners(cfg)
	var err error
	opts.Limits, err = connectionLimits(ctx, cfg)
	return opts, err
}

// listeners translates what is to be listened on.
func listeners(cfg *config.Config) []network.Listener {
	var list []network.Listener
	for _, l := range cfg.Listeners() {
		list = append(list, network.Listener{
			Name: l.Listener, Protocol: l.Protocol.String(), Host: l.Host, Port: l.Port,
			InterBroker: l.Listener == cfg.InterBrokerListener(),
		})
	}
	return list
}

// connectionLimits translates the properties that limit connections, with the addresses of the hosts that
// they name.
func connectionLimits(ctx context.Context, cfg *config.Config) (network.Limits, error) {
	limits := network.Limits{
		Connections:  orNone(cfg.Int("max.connections")),
		PerIP:        orNone(cfg.Int("max.connections.per.ip")),
		CreationRate: orNone(cfg.Int("max.connection.creation.rate")),
		Listeners:    map[string]network.ListenerLimits{},
	}
	for _, l := range cfg.Listeners() {
		limits.Listeners[l.Listener] = network.ListenerLimits{
			Connections:  orNone(cfg.ListenerNumber(l.Listener, "max.connections")),
			CreationRate: orNone(cfg.ListenerNumber(l.Listener, "max.connection.creation.rate")),
		}
	}
	var err error
	limits.PerIPOverrides, err = addresses(ctx, cfg.MaxConnectionsPerIP())
	return limits, err
}

// orNone returns a limit of connections or of their rate as network has it: 0 is no limit there, and keeps everybody out here.
func orNone(limit int) int {
	if limit == 0 {
		return -1
	}
	return limit
}

// receiveBuffer returns the size that was asked for, -1 if none was. Kafka sets its default of 100 KiB,
// which keeps the system from sizing the buffer as the way to the client demands: a batch of 1 MB
// then comes in ten pieces, with a wait between any two.
func receiveBuffer(cfg *config.Config) int {
	const name = "socket.receive.buffer.bytes"
	if !cfg.IsSet(name) {
		return -1
	}
	return cfg.Int(name)
}

// addresses resolves the hosts of max.connections.per.ip.overrides.
func addresses(ctx context.Context, byHost map[string]int) (map[netip.Addr]int, error) {
	limits := make(map[netip.Addr]int, len(byHost))
	for host, limit := range byHost {
		found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, fmt.Errorf("max.connections.per.ip.overrides names %q, which cannot be resolved: %w", host, err)
		}
		for _, a := range found {
			limits[a.Unmap()] = orNone(limit)
		}
	}
	return limits, nil
}
