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

// refuseWhole returns the error that keeps every partition of the request from being appended, nil if
// there is none: a batch whose header makes no sense, a transactional batch in a request that names no
// transaction, or batches of several producers in one that does.
func refuseWhole(req *wire.ProduceRequest) error {
	type producer struct {
		id    int64
		epoch int16
	}
	var first producer
	found := false
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			b, _, err := record.Next(req.Topics[i].Partitions[j].Records)
			switch {
			case errors.Is(err, record.ErrShort):
			case err != nil:
				return status.New(kerr.CorruptMessage, err.Error())
			case b.IsTransactional() && !req.Transactional:
				return kerr.TransactionalIDAuthorizationFailed
			case b.IsTransactional() && b.HasProducerID():
				p := producer{b.ProducerID(), b.ProducerEpoch()}
				if found && p != first {
					return kerr.InvalidProducerIDMapping
				}
				first, found = p, true
			}
		}
	}
	return nil
}

func refuseAll(req *wire.ProduceRequest, resp *wire.ProduceResponse, err error) {
	code, message := status.Code(err), status.Message(err)
	for i := range req.Topics {
		if len(req.Topics[i].Partitions) == 0 {
			continue
		}
		resp.Topic(req.Topics[i].Name)
		for j := range req.Topics[i].Partitions {
			out := resp.Partition(req.Topics[i].Partitions[j].Index)
			if out.ErrorCode = code; message != nil {
				out.ErrorMessage = *message
			}
		}
	}
}

// replica returns where records are to be appended, or why they are not.
func (h *Handler) replica(r *request.Request, req *wire.ProduceRequest, tp topic.Partition, records []byte) (*replica.Partition, error) {
	if h.Metadata.Load().Partition(tp) == nil {
		return nil, replica.ErrUnknownPartition
	}
	if err := record.CheckRequest(req.Version, records); err != nil {
		return nil, err
	}
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
