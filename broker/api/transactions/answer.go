package transactions

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
)

// done answers once every marker is dealt with.
func (w *writing) done() {
	if w.left.Add(-1) > 0 {
		return
	}
	a := answer{
		WriteTxnMarkersResponse: w.answer.ResponseKind().(*kmsg.WriteTxnMarkersResponse),
		producers:               map[int64]int{}, topics: map[topicOf]int{}, partitions: map[partitionOf]int{},
	}
	counts := func(*marking) bool { return true }
	if w.failed {
		counts = w.lastOfProducer()
	}
	for _, m := range w.markers {
		if counts(m) {
			a.add(m, w.failed)
		}
	}
	w.request.Reply(a.WriteTxnMarkersResponse)
}

// lastOfProducer returns whether no other marker of the same producer follows one: in a request that fails as a whole,
// Kafka answers no more than the last (WriteTxnMarkersRequest.getErrorResponse).
func (w *writing) lastOfProducer() func(*marking) bool {
	last := make(map[int64]*marking, len(w.markers))
	for _, m := range w.markers {
		last[m.marker.ProducerID] = m
	}
	return func(m *marking) bool { return last[m.marker.ProducerID] == m }
}

// answer is the answer to a request. What concerns one producer is answered together, and of two results for the same
// partition of it the later counts.
type answer struct {
	*kmsg.WriteTxnMarkersResponse
	producers  map[int64]int
	topics     map[topicOf]int
	partitions map[partitionOf]int
}

// topicOf and partitionOf name what one producer has a marker for.
type (
	topicOf struct {
		producer int64
		topic    string
	}
	partitionOf struct {
		producer int64
		topic.Partition
	}
)

// add adds what has become of a marker; one that is for no partition is mentioned if it is to be.
func (a *answer) add(m *marking, mention bool) {
	id := m.marker.ProducerID
	if len(m.results) == 0 && !mention {
		return
	}
	out := entry(&a.Markers, a.producers, id, kmsg.NewWriteTxnMarkersResponseMarker)
	out.ProducerID = id
	for i := range m.results {
		res := &m.results[i]
		t := entry(&out.Topics, a.topics, topicOf{id, res.Topic}, kmsg.NewWriteTxnMarkersResponseMarkerTopic)
		t.Topic = res.Topic
		p := entry(&t.Partitions, a.partitions, partitionOf{id, res.Partition}, kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition)
		p.Partition, p.ErrorCode = res.Index, res.code
	}
}

// entry returns the one of key in list, a new one if there is none. places says where they are.
func entry[K comparable, E any](list *[]E, places map[K]int, key K, create func() E) *E {
	i, ok := places[key]
	if !ok {
		i = len(*list)
		places[key] = i
		*list = append(*list, create())
	}
	return &(*list)[i]
}
