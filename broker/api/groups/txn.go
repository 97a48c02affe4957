package groups

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Versions of TxnOffsetCommit at which the rules change.
const (
	loadingVersion   = 2 // clients understand COORDINATOR_LOAD_IN_PROGRESS (KAFKA-7296)
	memberVersion    = 3 // members commit for themselves (KIP-447)
	abortableVersion = 4 // clients understand TRANSACTION_ABORTABLE (KIP-890)
)

// noSequence stands for the first sequence number in the verification of a coordinator's batch, which has none.
const noSequence = -1

// TxnOffsetCommit commits offsets in a transaction, versions 0 to 4: they count once the transaction is committed.
func (h *Handlers) TxnOffsetCommit(r *request.Request) {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	c := &group.Commit{Generation: -1, Txn: &group.Txn{ProducerID: req.ProducerID, Epoch: req.ProducerEpoch}}
	if req.Version >= memberVersion {
		c.Identity = group.Identity{MemberID: req.MemberID, InstanceID: req.InstanceID}
		c.Generation = req.Generation
	}
	out := h.layTxn(req, resp, c)
	if len(out) == 0 {
		r.Reply(resp)
		return
	}
	reply := func(codes []int16) {
		for i, code := range codes {
			if code == kerr.CoordinatorLoadInProgress.Code && req.Version < loadingVersion {
				code = kerr.CoordinatorNotAvailable.Code
			}
			*out[i] = code
		}
		r.Reply(resp)
	}
	refuse := func(code int16) { reply(slices.Repeat([]int16{code}, len(out))) }
	if err := h.Groups.CheckTxn(req.Group); err != nil {
		refuse(err.Code)
		return
	}
	guard, code := h.verify(r, req)
	if code != 0 {
		refuse(group.CommitCode(code))
		return
	}
	c.Txn.Guard = guard
	h.Groups.CommitTxn(req.Group, c, reply)
}

// verify finds out whether the group's partition of __consumer_offsets belongs to the transaction (KIP-890): it returns
// what the log wants to see with the records, or why they may not be written. It waits for the transaction's
// coordinator, and so does the connection, as with Produce: what is behind keeps its order.
func (h *Handlers) verify(r *request.Request, req *kmsg.TxnOffsetCommitRequest) (guard uint64, code int16) {
	if !h.Verifying() {
		return 0, 0
	}
	at := topic.Partition{Topic: topic.ConsumerOffsets, Index: h.Groups.PartitionFor(req.Group)}
	p, err := h.Replicas.Partition(at)
	if err != nil {
		return 0, status.Code(err)
	}
	given, err := p.StartVerification(req.ProducerID, noSequence, req.ProducerEpoch, time.Now().UnixMilli())
	if err != nil || given == 0 {
		return 0, status.Code(err)
	}
	r.Waits()
	code = h.Verify(verifier.Question{
		TransactionalID: req.TransactionalID, ProducerID: req.ProducerID, Epoch: req.ProducerEpoch,
		Partitions: []topic.Partition{at},
	})[0]
	if code == kerr.TransactionAbortable.Code && req.Version < abortableVersion {
		code = kerr.InvalidTxnState.Code
	}
	return uint64(given), code
}

// layTxn is lay for TxnOffsetCommit.
func (h *Handlers) layTxn(req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse, c *group.Commit) (out []*int16) {
	cluster := h.Metadata.Load()
	now := time.Now().UnixMilli()
	resp.Topics = make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		in, t := &req.Topics[i], &resp.Topics[i]
		t.Topic, t.Partitions = in.Topic, make([]kmsg.TxnOffsetCommitResponseTopicPartition, len(in.Partitions))
		for j := range in.Partitions {
			p := &in.Partitions[j]
			at := topic.Partition{Topic: in.Topic, Index: p.Partition}
			if t.Partitions[j].Partition = p.Partition; cluster.Partition(at) == nil {
				t.Partitions[j].ErrorCode = kerr.UnknownTopicOrPartition.Code
				continue
			}
			o := group.Offset{Offset: p.Offset, LeaderEpoch: -1, CommitTimestamp: now, ExpireTimestamp: -1}
			if req.Version >= 2 {
				o.LeaderEpoch = p.LeaderEpoch
			}
			if p.Metadata != nil {
				o.Metadata = *p.Metadata
			}
			c.Offsets = append(c.Offsets, group.PartitionOffset{Partition: at, Offset: o})
			out = append(out, &t.Partitions[j].ErrorCode)
		}
	}
	return out
}
