package server

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/admin"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/controller"
)

// mover is admin.Mover over this broker's controller.
type mover struct{ s *Server }

// Reassign implements admin.Mover.
func (m mover) Reassign(ctx context.Context, ps []topic.Partition, goals [][]int32) ([]error, error) {
	failed, err := m.s.controller.Reassign(ctx, ps, goals)
	for i := range failed {
		failed[i] = moveError(failed[i])
	}
	return failed, moveError(err)
}

// Moves implements admin.Mover.
func (m mover) Moves(ctx context.Context, ps []topic.Partition, all bool) ([]admin.Move, error) {
	list, err := m.s.controller.Reassignments(ctx, ps, all)
	moves := make([]admin.Move, len(list))
	for i, r := range list {
		moves[i] = admin.Move{Partition: r.Partition, Replicas: r.Replicas, Adding: r.Adding, Removing: r.Removing}
	}
	return moves, moveError(err)
}

// moveError turns the controller's errors into Kafka's.
func moveError(err error) error {
	invalid, ok := errors.AsType[controller.InvalidReplicas](err)
	switch {
	case err == nil:
		return nil
	case ok:
		return status.New(kerr.InvalidReplicaAssignment, string(invalid))
	case errors.Is(err, controller.ErrNoReassignment):
		return status.New(kerr.NoReassignmentInProgress, "No partition reassignment is in progress.")
	case errors.Is(err, controller.ErrNoPartition):
		return status.New(kerr.UnknownTopicOrPartition, "The partition does not exist.")
	case errors.Is(err, controller.ErrNotActive):
		return status.New(kerr.NotController, "This is not the correct controller for this cluster.")
	}
	return status.New(kerr.UnknownServerError, "The server experienced an unexpected error when processing the request.")
}

var _ admin.Mover = mover{}
