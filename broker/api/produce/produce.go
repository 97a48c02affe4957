// Package produce serves Produce, versions 0 to 11.
//
// A handler appends each partition's records before it returns, so that the connection's order is
// the log's order. What several requests that came together bring for one partition is appended
// together (batch.go): a write costs the file system more than most of what is in it. With acks=all it then hands the answer to the purgatory, which completes it when
// every partition's high watermark has passed the records; the connection meanwhile reads on.
package produce

import (
	"errors"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/api/hint"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
	"github.com/gregor-mq/gregor/broker/wire"
)

// adminClient is the client id that may write to internal topics (AdminUtils.ADMIN_CLIENT_ID).
const adminClient = "__admin_client"

// Versions at which the rules change (ProduceRequest.java).
const (
	batchVersion     = 3  // a partition is given one batch, of format v2
	leaderVersion    = 10 // NOT_LEADER names the leader
	abortableVersion = 11 // clients understand TRANSACTION_ABORTABLE (KIP-890)
)

// Handler serves Produce. The fields up to Now are required.
type Handler struct {
	Replicas *replica.Manager
	Metadata *metadata.Cache
	Logger   logrus.FieldLogger
	Now      func() time.Time
	// Verify asks the coordinator of a transaction whether partitions belong to it, if
	// transaction.partition.verification.enable is set; nil, or false: nobody is asked.
	Verify    func(q verifier.Question) []int16
	Verifying func() bool
}

// Handle implements request.Handler.
func (h *Handler) Handle(r *request.Request) {
	b := acquireBatch(h)
	_ = b.add(r) // an error is why r will be dropped
	b.run()
}

// HandleAll handles requests of one connection in order. What they bring for one partition is written
// together.
//
// One that cannot be parsed ends the connection, and so does one with acks=0 that is refused: what was sent behind it
// is not looked at. If it fails only when it is appended, what came together with it is in the log by then, or about to be.
func (h *Handler) HandleAll(rs []*request.Request) {
	b := acquireBatch(h)
	var broken error
	for _, r := range rs {
		if broken == nil {
			broken = b.add(r)
		} else {
			b.drop(r, broken)
		}
	}
	b.run()
}

// replica returns where records that are accepted are to be appended, or why they are not.
func (h *Handler) replica(r *request.Request, req *wire.ProduceRequest, tp topic.Partition) (*replica.Partition, error) {
	if req.Acks < -1 || req.Acks > 1 {
		return nil, kerr.InvalidRequiredAcks
	}
	if topic.IsInternal(tp.Topic) && r.ClientID != adminClient {
		return nil, kerr.InvalidTopicException
	}
	return h.Replicas.Partition(tp)
}

// fail writes err into a partition's answer.
func (h *Handler) fail(r *request.Request, resp *wire.ProduceResponse, out *wire.ProducedPartition, tp topic.Partition, err error) {
	out.ErrorCode = status.Code(err)
	if m := status.Message(err); m != nil {
		out.ErrorMessage = *m
	}
	if invalid, ok := errors.AsType[*record.Error](err); ok && len(invalid.Records) > 0 {
		out.ErrorMessage = invalid.Message
		for _, e := range invalid.Records {
			out.RecordErrors = append(out.RecordErrors, wire.ProducedError{Index: e.Index, Message: e.Message})
		}
	}
	h.hint(r, resp, out, tp)
	if status.Unexpected(err) {
		h.Logger.WithField("topic", tp.Topic).WithField("partition", tp.Index).WithError(err).Error("append failed")
	}
}

// hint names the leader to a client that took this broker for it.
func (h *Handler) hint(r *request.Request, resp *wire.ProduceResponse, out *wire.ProducedPartition, tp topic.Partition) {
	if r.Version >= leaderVersion && out.ErrorCode == kerr.NotLeaderForPartition.Code {
		out.Leader, resp.Endpoints = hint.Leader(h.Replicas, h.Metadata.Load(), tp, r.Conn.Listener, resp.Endpoints)
	}
}
