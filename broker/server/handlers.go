package server

import (
	"maps"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/api/admin"
	"github.com/gregor-mq/gregor/broker/api/control"
	"github.com/gregor-mq/gregor/broker/api/discovery"
	"github.com/gregor-mq/gregor/broker/api/fetch"
	"github.com/gregor-mq/gregor/broker/api/groups"
	"github.com/gregor-mq/gregor/broker/api/offsets"
	"github.com/gregor-mq/gregor/broker/api/produce"
	"github.com/gregor-mq/gregor/broker/api/security"
	"github.com/gregor-mq/gregor/broker/api/transactions"
	"github.com/gregor-mq/gregor/broker/config"
)

// handlers constructs what serves each API. What is not listed is not built.
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
	bound := map[string]binding{}
	for _, apis := range []map[string]binding{
		discoveryAPIs(discover), s.recordAPIs(log), s.groupAPIs(log), s.transactionAPIs(log), s.controlAPIs(), s.topicAPIs(topics), s.clusterAPIs(), securityAPIs(),
	} {
		maps.Copy(bound, apis)
	}
	return bound, discover
}

// discoveryAPIs tell clients what there is and where.
func discoveryAPIs(discover *discovery.Handlers) map[string]binding {
	return map[string]binding{
		"Metadata":        {handle: discover.Metadata},
		"FindCoordinator": {handle: discover.FindCoordinator, blocks: true},
		"ApiVersions":     {handle: discover.APIVersions},
		"DescribeCluster": {handle: discover.DescribeCluster},
	}
}

// recordAPIs are about the records of partitions.
func (s *Server) recordAPIs(log logrus.FieldLogger) map[string]binding {
	produced := &produce.Handler{
		Replicas: s.replicas, Metadata: s.metadata, Logger: log, Now: time.Now,
		Verify: s.verifier.Verify, Verifying: s.verifying,
	}
	s.fetch = fetch.New(fetch.Options{
		Replicas: s.replicas, Metadata: s.metadata, Logger: log, Now: time.Now,
		MaxBytes:     s.cfg.Int("fetch.max.bytes"),
		SessionSlots: s.cfg.Int("max.incremental.fetch.session.cache.slots"),
		NearestRack:  s.cfg.Text("replica.selector.class") == config.RackAwareSelector,
		Throttle:     s.throttles.leader,
	})
	offset := &offsets.Handlers{Replicas: s.replicas, Metadata: s.metadata, Logger: log}
	return map[string]binding{
		"Produce":              {handle: produced.Handle, all: produced.HandleAll},
		"Fetch":                {handle: s.fetch.Handle},
		"ListOffsets":          {handle: offset.ListOffsets},
		"DeleteRecords":        {handle: offset.DeleteRecords},
		"OffsetForLeaderEpoch": {handle: offset.OffsetForLeaderEpoch},
		"DescribeProducers":    {handle: offset.DescribeProducers},
	}
}

// groupAPIs are about consumer groups and what they commit.
func (s *Server) groupAPIs(log logrus.FieldLogger) map[string]binding {
	members := &groups.Handlers{
		Groups: s.groups, Replicas: s.replicas, Metadata: s.metadata, Old: s.zk, MaxMetadata: s.cfg.Int("offset.metadata.max.bytes"),
		Context: s.ctx, Logger: log, Verify: s.verifier.Verify, Verifying: s.verifying,
	}
	return map[string]binding{
		"OffsetCommit":           {handle: members.OffsetCommit},
		"OffsetFetch":            {handle: members.OffsetFetch, follows: true},
		"JoinGroup":              {handle: members.JoinGroup, holds: true},
		"Heartbeat":              {handle: members.Heartbeat},
		"LeaveGroup":             {handle: members.LeaveGroup},
		"SyncGroup":              {handle: members.SyncGroup, holds: true},
		"DescribeGroups":         {handle: members.DescribeGroups},
		"ListGroups":             {handle: members.ListGroups},
		"TxnOffsetCommit":        {handle: members.TxnOffsetCommit},
		"DeleteGroups":           {handle: members.DeleteGroups},
		"OffsetDelete":           {handle: members.OffsetDelete},
		"ConsumerGroupHeartbeat": {handle: members.ConsumerGroupHeartbeat},
		"ConsumerGroupDescribe":  {handle: members.ConsumerGroupDescribe},
	}
}

// transactionAPIs are about idempotent producers and transactions.
func (s *Server) transactionAPIs(log logrus.FieldLogger) map[string]binding {
	s.ids = transactions.NewIDs(s.claimProducerIDs, log)
	producers := &transactions.Handlers{IDs: s.ids, TransactionMaxTimeoutMs: int32(s.cfg.Int("transaction.max.timeout.ms"))}
	markers := &transactions.Markers{Replicas: s.replicas, Groups: s.groups, Timeout: s.cfg.Millis("request.timeout.ms"), Logger: log}
	return map[string]binding{
		"InitProducerId":       {handle: producers.InitProducerID},
		"WriteTxnMarkers":      {handle: markers.WriteTxnMarkers},
		"DescribeTransactions": {handle: producers.DescribeTransactions},
		"ListTransactions":     {handle: producers.ListTransactions},
	}
}

// controlAPIs are what brokers ask of each other: the orders of the controller, and what is asked of it.
//
// The orders do not count as blocking, although logs are created by them: nothing else comes on their
// connection, and they must not wait for a place among those who wait for them.
func (s *Server) controlAPIs() map[string]binding {
	orders := &control.Handlers{BrokerID: s.me.brokerID, Replicas: s.replicas, Metadata: s.metadata, Groups: s.groups}
	shutdowns := &control.Shutdowns{Shutdown: s.shutdownOf, Context: s.ctx}
	asked := &control.Asked{Controller: func() control.Controller { return s.controller }}
	return map[string]binding{
		"LeaderAndIsr":        {handle: orders.LeaderAndIsr},
		"StopReplica":         {handle: orders.StopReplica},
		"UpdateMetadata":      {handle: orders.UpdateMetadata},
		"ControlledShutdown":  {handle: shutdowns.ControlledShutdown, blocks: true},
		"AlterPartition":      {handle: asked.AlterPartition},
		"AllocateProducerIds": {handle: asked.AllocateProducerIDs},
	}
}

// topicAPIs are about topics and configurations.
func (s *Server) topicAPIs(topics *admin.Handlers) map[string]binding {
	return map[string]binding{
		"CreateTopics":            {handle: topics.CreateTopics, blocks: true},
		"DeleteTopics":            {handle: topics.DeleteTopics, blocks: true},
		"DescribeConfigs":         {handle: topics.DescribeConfigs, blocks: true},
		"AlterConfigs":            {handle: topics.AlterConfigs, blocks: true},
		"CreatePartitions":        {handle: topics.CreatePartitions, blocks: true},
		"IncrementalAlterConfigs": {handle: topics.IncrementalAlterConfigs, blocks: true},
	}
}

// clusterAPIs are for operators: where replicas are, who leads, which features are in use.
func (s *Server) clusterAPIs() map[string]binding {
	dirs := &admin.LogDirs{Storage: s.storage, Replicas: s.replicas, Logger: s.named("kafka.server.ReplicaManager")}
	moves := &admin.Reassignments{Controller: mover{s}, Context: s.ctx}
	elections := &admin.Elections{Controller: governor{s}, Cluster: s.metadata, Context: s.ctx}
	features := &admin.FeatureUpdates{Controller: governor{s}, Context: s.ctx}
	return map[string]binding{
		"AlterReplicaLogDirs":         {handle: dirs.Alter},
		"DescribeLogDirs":             {handle: dirs.Describe},
		"ElectLeaders":                {handle: elections.ElectLeaders, blocks: true},
		"AlterPartitionReassignments": {handle: moves.AlterPartitionReassignments, blocks: true},
		"ListPartitionReassignments":  {handle: moves.ListPartitionReassignments, blocks: true},
		"UpdateFeatures":              {handle: features.UpdateFeatures, blocks: true},
	}
}

// securityAPIs are answered by a broker without an authorizer and without listeners that authenticate.
func securityAPIs() map[string]binding {
	return map[string]binding{
		"DescribeAcls":            {handle: security.DescribeAcls},
		"CreateAcls":              {handle: security.CreateAcls},
		"DeleteAcls":              {handle: security.DeleteAcls},
		"CreateDelegationToken":   {handle: security.CreateDelegationToken},
		"RenewDelegationToken":    {handle: security.RenewDelegationToken},
		"ExpireDelegationToken":   {handle: security.ExpireDelegationToken},
		"DescribeDelegationToken": {handle: security.DescribeDelegationToken},
	}
}
