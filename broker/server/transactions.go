package server

import (
	"context"

	"github.com/gregor-mq/gregor/broker/coordinator"
	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
)

// startVerifier makes what asks the coordinators of transactions.
func (s *Server) startVerifier(context.Context) (err error) {
	asking := interbroker.Dialer{ClientID: "AddPartitionsManager", Timeout: s.cfg.Millis("request.timeout.ms")}
	s.verifier, err = verifier.New(verifier.Options{
		Coordinator: s.transactionCoordinator,
		Address:     s.address,
		Dial:        asking.Dial,
		Logger:      s.named("kafka.server.AddPartitionsToTxnManager"),
	})
	return err
}

// verifying reports whether transactions are verified before their first append to a partition.
func (s *Server) verifying() bool {
	return s.config.Load().Bool("transaction.partition.verification.enable")
}

// transactionPartition returns the partition of __transaction_state that a transactional id belongs to. Partitions are
// never added to that topic.
func (s *Server) transactionPartition(transactionalID string) int32 {
	t := s.metadata.Load().Topic(topic.TransactionState)
	if t == nil || len(t.Partitions) == 0 {
		return 0
	}
	return coordinator.PartitionOf(transactionalID, len(t.Partitions))
}

// transactionCoordinator returns the broker that coordinates a transactional id, if one that is alive does.
func (s *Server) transactionCoordinator(transactionalID string) (int32, bool) {
	p := s.metadata.Load().Partition(topic.Partition{
		Topic: topic.TransactionState, Index: s.transactionPartition(transactionalID),
	})
	if p == nil {
		return -1, false
	}
	_, alive := s.address(p.Leader)
	return p.Leader, alive
}
