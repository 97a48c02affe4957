package offsets

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// DeleteRecords raises the start of partitions' logs (KIP-107), versions 0 to 2. It answers once
// every live replica has done so. A partition that is mentioned twice is answered once, by the last mention, and a topic
// without partitions not at all, as by KafkaApis.handleDeleteRecordsRequest.
func (h *Handlers) DeleteRecords(r *request.Request) {
	req := kmsg.NewPtrDeleteRecordsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	d := &delayedDelete{handlers: h, request: r, response: req.ResponseKind().(*kmsg.DeleteRecordsResponse)}
	for _, t := range wantedOffsets(req) {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for j, q := range t.Partitions {
			tp := topic.Partition{Topic: t.Topic, Index: q.Partition}
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition, p.LowWatermark = q.Partition, -1
			wanted, err := h.deleteRecords(tp, q.Offset)
			if p.ErrorCode = h.code("DeleteRecords", tp, err); err == nil {
				d.waiting = append(d.waiting, pendingDelete{Partition: tp, wanted: wanted, topic: len(d.response.Topics), at: j})
			}
			out.Partitions = append(out.Partitions, p)
		}
		d.response.Topics = append(d.response.Topics, out)
	}
	for _, w := range d.waiting {
		h.Replicas.Appended(w.Partition)
	}
	timeout := time.Duration(max(0, req.TimeoutMillis)) * time.Millisecond
	h.Replicas.Deletes.Wait(d, time.Now().Add(timeout), d.keys()...)
}

// wantedOffsets returns each topic and each partition of a request once.
func wantedOffsets(req *kmsg.DeleteRecordsRequest) []kmsg.DeleteRecordsRequestTopic {
	var topics []kmsg.DeleteRecordsRequestTopic
	at := map[string]int{}
	places := map[topic.Partition]int{}
	for _, t := range req.Topics {
		for _, q := range t.Partitions {
			i, begun := at[t.Topic]
			if !begun {
				i, topics = len(topics), append(topics, kmsg.DeleteRecordsRequestTopic{Topic: t.Topic})
				at[t.Topic] = i
			}
			tp := topic.Partition{Topic: t.Topic, Index: q.Partition}
			if j, again := places[tp]; again {
				topics[i].Partitions[j] = q
				continue
			}
			places[tp] = len(topics[i].Partitions)
			topics[i].Partitions = append(topics[i].Partitions, q)
		}
	}
	return topics
}

func (h *Handlers) deleteRecords(tp topic.Partition, offset int64) (wanted int64, err error) {
	if !h.known(tp) {
		return -1, replica.ErrUnknownPartition
	}
	if topic.IsInternal(tp.Topic) {
		return -1, kerr.InvalidTopicException
	}
	p, err := h.Replicas.Partition(tp)
	if err != nil {
		return -1, err
	}
	return p.DeleteRecords(offset)
}

// delayedDelete waits until the low watermarks of partitions have passed what was deleted.
type delayedDelete struct {
	handlers *Handlers
	request  *request.Request
	response *kmsg.DeleteRecordsResponse
	waiting  []pendingDelete
}

type pendingDelete struct {
	topic.Partition
	wanted    int64
	topic, at int // place in the response
}

func (d *delayedDelete) keys() []topic.Partition {
	keys := make([]topic.Partition, len(d.waiting))
	for i, w := range d.waiting {
		keys[i] = w.Partition
	}
	return keys
}

// TryComplete implements purgatory.Operation.
func (d *delayedDelete) TryComplete() bool {
	alive := d.handlers.Metadata.Load()
	left := d.waiting[:0]
	for _, w := range d.waiting {
		low := int64(-1)
		p, err := d.handlers.Replicas.Partition(w.Partition)
		if err == nil {
			low, err = p.LowWatermark(func(id int32) bool { return alive.Broker(id) != nil })
		}
		out := d.out(w)
		switch {
		case err != nil:
			out.ErrorCode = status.Code(err)
		case low >= w.wanted:
			out.LowWatermark = low
		default:
			left = append(left, w)
		}
	}
	d.waiting = left
	return len(left) == 0
}

// Finish implements purgatory.Operation.
func (d *delayedDelete) Finish(bool) {
	for _, w := range d.waiting {
		d.out(w).ErrorCode = kerr.RequestTimedOut.Code
	}
	d.request.Reply(d.response)
}

func (d *delayedDelete) out(w pendingDelete) *kmsg.DeleteRecordsResponseTopicPartition {
	return &d.response.Topics[w.topic].Partitions[w.at]
}
