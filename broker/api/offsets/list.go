package offsets

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/repeat"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Timestamps with a meaning of their own (ListOffsetsRequest.java).
const (
	latest        = -1
	earliest      = -2
	maxTimestamp  = -3 // KIP-734
	earliestLocal = -4 // KIP-405
	latestTiered  = -5 // KIP-1005
)

// Replica ids that are no broker's.
const (
	consumerReplica = -1
	debugReplica    = -2 // may ask a follower
)

// specialSince gives the first version that knows a special timestamp.
var specialSince = map[int64]int16{latest: 1, earliest: 1, maxTimestamp: 7, earliestLocal: 8, latestTiered: 9}

// none is the answer where no record matches.
var none = storage.TimestampOffset{Timestamp: -1, Offset: -1, LeaderEpoch: -1}

// ListOffsets finds offsets by timestamp, versions 0 to 9.
func (h *Handlers) ListOffsets(r *request.Request) {
	req := kmsg.NewPtrListOffsetsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	duplicates := duplicatePartitions(req)
	for i := range req.Topics {
		t := kmsg.NewListOffsetsResponseTopic()
		t.Topic = req.Topics[i].Topic
		for j := range req.Topics[i].Partitions {
			q := &req.Topics[i].Partitions[j]
			p := topic.Partition{Topic: t.Topic, Index: q.Partition}
			out := kmsg.NewListOffsetsResponseTopicPartition()
			out.Partition = q.Partition
			switch {
			case req.Version == 0:
				h.listOld(&out, p, q)
			case duplicates[p]:
				out.ErrorCode = kerr.InvalidRequest.Code
			default:
				h.list(&out, req, p, q)
			}
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	r.Reply(resp)
}

func duplicatePartitions(req *kmsg.ListOffsetsRequest) map[topic.Partition]bool {
	seen := map[topic.Partition]bool{}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := topic.Partition{Topic: req.Topics[i].Topic, Index: req.Topics[i].Partitions[j].Partition}
			_, again := seen[p]
			seen[p] = again
		}
	}
	return seen
}

func (h *Handlers) list(out *kmsg.ListOffsetsResponseTopicPartition, req *kmsg.ListOffsetsRequest, p topic.Partition, q *kmsg.ListOffsetsRequestTopicPartition) {
	out.Offset, out.Timestamp, out.LeaderEpoch = -1, -1, -1
	if since, special := specialSince[q.Timestamp]; q.Timestamp < 0 && (!special || req.Version < since) {
		out.ErrorCode = kerr.UnsupportedVersion.Code
		return
	}
	if req.ReplicaID == consumerReplica && req.IsolationLevel != 0 && req.IsolationLevel != 1 {
		out.ErrorCode = kerr.UnknownServerError.Code
		return
	}
	found, err := h.lookup(req, p, q)
	if errors.Is(err, replica.ErrOffsetNotAvailable) && req.Version < 5 {
		err = kerr.LeaderNotAvailable
	}
	if out.ErrorCode = h.code("ListOffsets", p, err); err == nil {
		out.Offset, out.Timestamp, out.LeaderEpoch = found.Offset, found.Timestamp, found.LeaderEpoch
	}
}

// lookup finds the offset for one partition (Partition.fetchOffsetForTimestamp). What lies beyond
// what the client may see counts as not there.
func (h *Handlers) lookup(req *kmsg.ListOffsetsRequest, tp topic.Partition, q *kmsg.ListOffsetsRequestTopicPartition) (storage.TimestampOffset, error) {
	p, err := h.partition(tp)
	if err != nil {
		return none, err
	}
	iso := replica.ReadUncommitted
	switch {
	case req.ReplicaID != consumerReplica:
		iso = replica.ReadAll
	case req.IsolationLevel == 1:
		iso = replica.ReadCommitted
	}
	last, epoch, err := p.LastOffset(q.CurrentLeaderEpoch, iso, req.ReplicaID != debugReplica)
	unknownEnd := errors.Is(err, replica.ErrOffsetNotAvailable)
	if err != nil && !unknownEnd {
		return none, err
	}
	switch q.Timestamp {
	case latest:
		if unknownEnd {
			return none, err
		}
		return storage.TimestampOffset{Timestamp: -1, Offset: last, LeaderEpoch: epoch}, nil
	case earliest, earliestLocal:
		return p.Log().Earliest(), nil
	case latestTiered:
		return none, nil
	}
	var found storage.TimestampOffset
	var ok bool
	err = p.View(func(log *storage.Log) (err error) {
		if q.Timestamp == maxTimestamp {
			found, ok, err = log.MaxTimestamp()
		} else {
			found, ok, err = log.LookupTimestamp(q.Timestamp)
		}
		return err
	})
	switch {
	case err != nil:
		return none, err
	case ok && found.Offset < last:
		return found, nil
	case unknownEnd:
		return none, replica.ErrOffsetNotAvailable
	}
	return none, nil
}

// listOld answers version 0: base offsets of segments by their files' age.
func (h *Handlers) listOld(out *kmsg.ListOffsetsResponseTopicPartition, tp topic.Partition, q *kmsg.ListOffsetsRequestTopicPartition) {
	out.OldStyleOffsets = []int64{}
	switch {
	case q.Timestamp < earliest:
		out.ErrorCode = kerr.UnsupportedVersion.Code
		return
	case q.MaxNumOffsets < 0: // in Kafka the size of an array
		out.ErrorCode = kerr.UnknownServerError.Code
		return
	}
	p, err := h.partition(tp)
	if err == nil {
		_, _, err = p.LastOffset(-1, replica.ReadAll, true)
	}
	if err == nil {
		var found []int64
		var hw int64
		err = p.View(func(log *storage.Log) (err error) {
			found, err = log.OffsetsBefore(q.Timestamp, int(q.MaxNumOffsets))
			hw = log.HighWatermark()
			return err
		})
		for _, o := range found { // consumers do not see past the high watermark
			if o = min(o, hw); len(out.OldStyleOffsets) == 0 || o != out.OldStyleOffsets[len(out.OldStyleOffsets)-1] {
				out.OldStyleOffsets = append(out.OldStyleOffsets, o)
			}
		}
	}
	out.ErrorCode = h.code("ListOffsets", tp, err)
}

// OffsetForLeaderEpoch tells where leader epochs end (KIP-101), versions 0 to 4.
func (h *Handlers) OffsetForLeaderEpoch(r *request.Request) {
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for i := range req.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, q := range req.Topics[i].Partitions {
			tp := topic.Partition{Topic: t.Topic, Index: q.Partition}
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition, out.LeaderEpoch, out.EndOffset = q.Partition, -1, -1
			p, err := h.partition(tp)
			if err == nil {
				out.LeaderEpoch, out.EndOffset, err = p.EndOffsetForEpoch(q.CurrentLeaderEpoch, q.LeaderEpoch)
			}
			out.ErrorCode = h.code("OffsetForLeaderEpoch", tp, err)
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	r.Reply(resp)
}

// DescribeProducers shows the producers that write to partitions (KIP-664).
func (h *Handlers) DescribeProducers(r *request.Request) {
	req := kmsg.NewPtrDescribeProducersRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
	var guard repeat.Guard[topic.Partition]
	for i := range req.Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = req.Topics[i].Topic
		invalid := topic.ValidateName(t.Topic)
		for _, index := range req.Topics[i].Partitions {
			tp := topic.Partition{Topic: t.Topic, Index: index}
			out := kmsg.NewDescribeProducersResponseTopicPartition()
			out.Partition = index
			switch {
			case invalid != nil:
				out.ErrorCode, out.ErrorMessage = kerr.InvalidTopicException.Code, kmsg.StringPtr(invalid.Error())
			case guard.Refuse(tp):
				out.ErrorCode, out.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(repeat.Text)
			default:
				h.describeProducers(&out, tp)
				guard.Answered(tp, producerSize*len(out.ActiveProducers))
			}
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	r.Reply(resp)
}

// producerSize is what a producer takes in a response, about.
const producerSize = 40

func (h *Handlers) describeProducers(out *kmsg.DescribeProducersResponseTopicPartition, tp topic.Partition) {
	p, err := h.partition(tp)
	if out.ErrorCode = h.code("DescribeProducers", tp, err); err != nil {
		if h.Metadata.Load().Topic(tp.Topic) == nil {
			out.ErrorMessage = kmsg.StringPtr(kerr.UnknownTopicOrPartition.Description)
		}
		return
	}
	for _, s := range p.Log().Producers() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch = s.ProducerID, int32(s.ProducerEpoch)
		a.LastSequence, a.LastTimestamp = s.LastSequence, s.LastTimestamp
		a.CoordinatorEpoch, a.CurrentTxnStartOffset = s.CoordinatorEpoch, s.TxnStartOffset
		out.ActiveProducers = append(out.ActiveProducers, a)
	}
}
