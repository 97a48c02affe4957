// Package offsets serves the APIs that ask where a partition begins, ends and stands, or move its
// beginning: ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeProducers.
package offsets

import (
	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Handlers serve the APIs of the package. All fields are required.
type Handlers struct {
	Replicas *replica.Manager
	Metadata *metadata.Cache
	Logger   logrus.FieldLogger
}

// partition finds the replica of p, if the cluster knows p.
func (h *Handlers) partition(p topic.Partition) (*replica.Partition, error) {
	if !h.known(p) {
		return nil, replica.ErrUnknownPartition
	}
	return h.Replicas.Partition(p)
}

// known reports whether the cluster has p.
func (h *Handlers) known(p topic.Partition) bool { return h.Metadata.Load().Partition(p) != nil }

// code maps err, and logs it if it is the broker's fault.
func (h *Handlers) code(api string, p topic.Partition, err error) int16 {
	if err != nil && status.Unexpected(err) {
		h.Logger.WithField("topic", p.Topic).WithField("partition", p.Index).WithError(err).Error(api + " failed")
	}
	return status.Code(err)
}
