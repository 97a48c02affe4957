package transactions

import (
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Markers serves WriteTxnMarkers: coordinators end transactions in the partitions that this broker leads, and
// operators those that hang (KIP-664). All fields are required.
type Markers struct {
	Replicas *replica.Manager
	// Groups keeps the offsets that transactions commit.
	Groups GroupCoordinator
	// Timeout bounds the wait for the in-sync replicas (request.timeout.ms).
	Timeout time.Duration
	Logger  logrus.FieldLogger
}

// GroupCoordinator is told of the ends of transactions in partitions of __consumer_offsets.
type GroupCoordinator interface {
	// EndTransaction makes what producerID has committed in a partition before the marker's offset count, or drops it.
	EndTransaction(partition int32, producerID int64, commit bool, marker int64)
}

// writing is a WriteTxnMarkers request on its way.
type writing struct {
	*Markers
	request *request.Request
	answer  *kmsg.WriteTxnMarkersRequest
	left    atomic.Int32 // markers that are not dealt with
	markers []*marking
	failed  bool // as a whole: nothing is written
}

// marking is one marker of the request, in all its partitions. It is a purgatory.Operation once it is appended.
type marking struct {
	of      *writing
	marker  *kmsg.WriteTxnMarkersRequestMarker
	results []marked
}

// marked is what has become of a marker in a partition.
type marked struct {
	topic.Partition
	offset int64 // of the marker, if it is appended
	code   int16
	waits  bool // for the in-sync replicas
}

// WriteTxnMarkers appends the markers of a request, versions 0 and 1, and answers when the in-sync replicas have
// them, as for acks=all.
func (h *Markers) WriteTxnMarkers(r *request.Request) {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	w := &writing{Markers: h, request: r, answer: req}
	for i := range req.Markers {
		w.markers = append(w.markers, &marking{of: w, marker: &req.Markers[i]})
	}
	w.left.Store(int32(len(w.markers)) + 1) // one for this loop: nothing is answered within it
	decide := (*marking).append
	if w.failed = slices.ContainsFunc(w.markers, (*marking).impossible); w.failed {
		decide = (*marking).fail
	}
	for _, m := range w.markers {
		decide(m)
	}
	w.done()
}

// partitions yields the partitions that the marker is for, each once, whatever the request names twice. Kafka, which writes one
// marker too, never answers such a request.
func (m *marking) partitions() iter.Seq[topic.Partition] {
	return func(yield func(topic.Partition) bool) {
		named := map[topic.Partition]bool{}
		for _, t := range m.marker.Topics {
			for _, index := range t.Partitions {
				p := topic.Partition{Topic: t.Topic, Index: index}
				if !named[p] && !yield(p) {
					return
				}
				named[p] = true
			}
		}
	}
}

// impossible reports whether the marker is to be written although it is of no producer. Kafka's error is an exception that fails
// the whole request; what it has written before that stays.
func (m *marking) impossible() bool {
	if m.marker.ProducerID != record.NoProducerID && m.marker.ProducerEpoch != record.NoProducerEpoch {
		return false
	}
	for p := range m.partitions() {
		if _, err := m.of.Replicas.Partition(p); err == nil {
			return true
		}
	}
	return false
}

// fail decides a marker of a request of which one is impossible.
func (m *marking) fail() {
	for p := range m.partitions() {
		m.results = append(m.results, marked{Partition: p, offset: -1, code: kerr.UnknownServerError.Code})
	}
	m.of.done()
}

// append writes the marker and, unless all is decided then, waits.
func (m *marking) append() {
	var waits []topic.Partition
	for p := range m.partitions() {
		res := m.write(p)
		if m.results = append(m.results, res); res.waits {
			waits = append(waits, p)
		}
	}
	m.of.Replicas.Produces.Wait(m, time.Now().Add(m.of.Timeout), waits...)
}

// write appends the marker to one partition. That the transaction has no records there is no reason not to: the
// coordinator may know of records that were lost, and the next one of the producer is fenced by the marker.
func (m *marking) write(p topic.Partition) marked {
	res := marked{Partition: p, offset: -1}
	local, err := m.of.Replicas.Partition(p)
	if err != nil {
		res.code = kerr.UnknownTopicOrPartition.Code // whatever keeps it from being here: the coordinator looks for the leader
		return res
	}
	now := time.Now().UnixMilli()
	batch := record.AppendMarker(nil, record.MarkerOptions{
		Marker:     record.Marker{Commit: m.marker.Committed, CoordinatorEpoch: m.marker.CoordinatorEpoch},
		ProducerID: m.marker.ProducerID, ProducerEpoch: m.marker.ProducerEpoch, Timestamp: now,
		LeaderEpoch: -1,
	})
	done, err := local.Append(batch, record.Coordinator, true, now)
	if err != nil {
		res.code = m.code(p, err)
		return res
	}
	m.of.Replicas.Appended(p)
	res.offset, res.waits = done.First, true
	return res
}

// code returns the code for err, which it logs if it is the broker's fault.
func (m *marking) code(p topic.Partition, err error) int16 {
	if status.Unexpected(err) {
		m.of.Logger.WithField("topic", p.Topic).WithField("partition", p.Index).WithError(err).Error("a transaction marker was not appended")
	}
	return status.Code(err)
}

// TryComplete implements purgatory.Operation.
func (m *marking) TryComplete() bool {
	waits := false
	for i := range m.results {
		res := &m.results[i]
		if !res.waits {
			continue
		}
		committed := false
		local, err := m.of.Replicas.Partition(res.Partition)
		if err == nil {
			committed, err = local.Committed(res.offset + 1)
		}
		if err != nil {
			res.code = m.code(res.Partition, err)
		}
		res.waits = err == nil && !committed
		waits = waits || res.waits
	}
	return !waits
}

// Finish implements purgatory.Operation. Groups learn of their transactions before the coordinator does: a client that
// is told that its transaction is complete finds the offsets that it has committed.
func (m *marking) Finish(bool) {
	for i := range m.results {
		res := &m.results[i]
		switch {
		case res.waits:
			res.code = kerr.RequestTimedOut.Code
		case res.code == 0 && res.Topic == topic.ConsumerOffsets:
			m.of.Groups.EndTransaction(res.Index, m.marker.ProducerID, m.marker.Committed, res.offset)
		}
	}
	m.of.done()
}
