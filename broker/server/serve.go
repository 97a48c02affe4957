package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/api/admin"
	"github.com/gregor-mq/gregor/broker/api/control"
	"github.com/gregor-mq/gregor/broker/api/discovery"
	"github.com/gregor-mq/gregor/broker/api/fetch"
	"github.com/gregor-mq/gregor/broker/api/groups"
	"github.com/gregor-mq/gregor/broker/api/offsets"
	"github.com/gregor-mq/gregor/broker/api/produce"
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
	if s.network, err = network.New(opts); err != nil {
		return err
	}
	return s.network.Bind()
}

// handlers constructs what serves each API. What is not listed is not built.
//
// The orders of the controller do not count as blocking, although logs are created by them: nothing
// else comes on their connection, and they must not wait for a place among those who wait for them.
func (s *Server) handlers() (map[string]binding, *discovery.Handlers) {
	log := s.named("kafka.server.KafkaApis")
	topics := admin.New(admin.Options{
		BrokerID: s.me.brokerID, Config: s.config.Load, Cluster: s.metadata, Store: store{s.zk},
		IsController: func() bool { return s.controller.IsActive() },
		Loggers:      s.loggers,
		Context:      s.ctx, Logger: s.named("kafka.server.ZkAdminManager"),
	})
	creator := admin.NewAutoCreator(topics)
	discover := &discovery.Handlers{
		ClusterID: s.me.clusterID, Cluster: s.metadata, Features: s.features.features,
		GroupPartition: s.groups.PartitionFor, TransactionPartition: s.transactionPartition, Internal: creator,
	}
	if s.cfg.Bool("auto.create.topics.enable") {
		discover.AutoCreate = creator
	}
	s.fetch = fetch.New(fetch.Options{
		Replicas: s.replicas, Metadata: s.metadata, Logger: log, Now: time.Now,
		MaxBytes:     s.cfg.Int("fetch.max.bytes"),
		SessionSlots: s.cfg.Int("max.incremental.fetch.session.cache.slots"),
		NearestRack:  s.cfg.Text("replica.selector.class") == config.RackAwareSelector,
		Throttle:     s.throttles.leader,
	})
	s.ids = transactions.NewIDs(s.claimProducerIDs, log)
	producers := &transactions.Handlers{IDs: s.ids, TransactionMaxTimeoutMs: int32(s.cfg.Int("transaction.max.timeout.ms"))}
	produced := &produce.Handler{
		Replicas: s.replicas, Metadata: s.metadata, Logger: log, Now: time.Now,
		Verify: s.verifier.Verify, Verifying: s.verifying,
	}
	offset := &offsets.Handlers{Replicas: s.replicas, Metadata: s.metadata, Logger: log}
	orders := &control.Handlers{BrokerID: s.me.brokerID, Replicas: s.replicas, Metadata: s.metadata, Groups: s.groups}
	members := &groups.Handlers{
		Groups: s.groups, Replicas: s.replicas, Metadata: s.metadata, Old: s.zk, MaxMetadata: s.cfg.Int("offset.metadata.max.bytes"),
		Context: s.ctx, Logger: log, Verify: s.verifier.Verify, Verifying: s.verifying,
	}
	markers := &transactions.Markers{Replicas: s.replicas, Groups: s.groups, Timeout: s.cfg.Millis("request.timeout.ms"), Logger: log}
	moves := &admin.Reassignments{Controller: mover{s}, Context: s.ctx}
	shutdowns := &control.Shutdowns{Shutdown: s.shutdownOf, Context: s.ctx}
	elections := &admin.Elections{Controller: governor{s}, Cluster: s.metadata, Context: s.ctx}
	features := &admin.FeatureUpdates{Controller: governor{s}, Context: s.ctx}
	asked := &control.Asked{Controller: func() control.Controller { return s.controller }}
	dirs := &admin.LogDirs{Storage: s.storage, Replicas: s.replicas, Logger: s.named("kafka.server.ReplicaManager")}
	return map[string]binding{
		"Produce":                     {handle: produced.Handle, all: produced.HandleAll},
		"Fetch":                       {handle: s.fetch.Handle},
		"ListOffsets":                 {handle: offset.ListOffsets},
		"Metadata":                    {handle: discover.Metadata},
		"LeaderAndIsr":                {handle: orders.LeaderAndIsr},
		"StopReplica":                 {handle: orders.StopReplica},
		"UpdateMetadata":              {handle: orders.UpdateMetadata},
		"ControlledShutdown":          {handle: shutdowns.ControlledShutdown, blocks: true},
		"OffsetCommit":                {handle: members.OffsetCommit},
		"OffsetFetch":                 {handle: members.OffsetFetch},
		"FindCoordinator":             {handle: discover.FindCoordinator, blocks: true},
		"JoinGroup":                   {handle: members.JoinGroup},
		"Heartbeat":                   {handle: members.Heartbeat},
		"LeaveGroup":                  {handle: members.LeaveGroup},
		"SyncGroup":                   {handle: members.SyncGroup},
		"DescribeGroups":              {handle: members.DescribeGroups},
		"ListGroups":                  {handle: members.ListGroups},
		"ApiVersions":                 {handle: discover.APIVersions},
		"CreateTopics":                {handle: topics.CreateTopics, blocks: true},
		"DeleteTopics":                {handle: topics.DeleteTopics, blocks: true},
		"DeleteRecords":               {handle: offset.DeleteRecords},
		"InitProducerId":              {handle: producers.InitProducerID},
		"OffsetForLeaderEpoch":        {handle: offset.OffsetForLeaderEpoch},
		"WriteTxnMarkers":             {handle: markers.WriteTxnMarkers},
		"TxnOffsetCommit":             {handle: members.TxnOffsetCommit},
		"DescribeConfigs":             {handle: topics.DescribeConfigs, blocks: true},
		"AlterConfigs":                {handle: topics.AlterConfigs, blocks: true},
		"CreatePartitions":            {handle: topics.CreatePartitions, blocks: true},
		"IncrementalAlterConfigs":     {handle: topics.IncrementalAlterConfigs, blocks: true},
		"AlterReplicaLogDirs":         {handle: dirs.Alter},
		"DescribeLogDirs":             {handle: dirs.Describe},
		"ElectLeaders":                {handle: elections.ElectLeaders, blocks: true},
		"AlterPartitionReassignments": {handle: moves.AlterPartitionReassignments, blocks: true},
		"ListPartitionReassignments":  {handle: moves.ListPartitionReassignments, blocks: true},
		"DeleteGroups":                {handle: members.DeleteGroups},
		"OffsetDelete":                {handle: members.OffsetDelete},
		"ConsumerGroupHeartbeat":      {handle: members.ConsumerGroupHeartbeat},
		"ConsumerGroupDescribe":       {handle: members.ConsumerGroupDescribe},
		"AlterPartition":              {handle: asked.AlterPartition},
		"UpdateFeatures":              {handle: features.UpdateFeatures, blocks: true},
		"AllocateProducerIds":         {handle: asked.AllocateProducerIDs},
		"DescribeCluster":             {handle: discover.DescribeCluster},
		"DescribeProducers":           {handle: offset.DescribeProducers},
		"DescribeTransactions":        {handle: producers.DescribeTransactions},
		"ListTransactions":            {handle: producers.ListTransactions},
	}, discover
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
		Connections:  cfg.Int("max.connections"),
		PerIP:        orNone(cfg.Int("max.connections.per.ip")),
		CreationRate: cfg.Int("max.connection.creation.rate"),
		Listeners:    map[string]network.ListenerLimits{},
	}
	for _, l := range cfg.Listeners() {
		var own network.ListenerLimits
		own.Connections, _ = cfg.ListenerInt(l.Listener, "max.connections")
		own.CreationRate, _ = cfg.ListenerInt(l.Listener, "max.connection.creation.rate")
		limits.Listeners[l.Listener] = own
	}
	var err error
	limits.PerIPOverrides, err = addresses(ctx, cfg.MaxConnectionsPerIP())
	return limits, err
}

// orNone returns a limit of connections as network has it: 0 is no limit there, and keeps everybody out here.
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
