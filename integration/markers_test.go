package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// markerCase is what a producer and a coordinator do to partitions 0 and 1 of a topic, which have other names on each broker: "T" is
// the topic, "E" one that the broker has no replica of, "C" one that is compacted.
type markerCase struct {
	name  string
	steps []markerStep
	// compacted says that there is a topic C.
	compacted bool
	// answer is Gregor's to the last request, if Kafka's is another: the one that stands in kafka.
	answer, kafka string
}

// unanswered is what comes of a request that is not answered in time.
const unanswered = "no answer"

// markerStep is a batch of a transaction, or a WriteTxnMarkers request.
type markerStep interface{ do(*markerWorld) string }

// markerWorld is where a case is played.
type markerWorld struct {
	t        *testing.T
	b        *cluster.Broker
	topics   map[string]string
	patience time.Duration // how long an answer is waited for
	lines    []string      // what has happened
}

// opened is a batch of one record of a transaction that nobody coordinates.
type opened struct {
	topic     string
	partition int32
	id        int64
	epoch     int16
	sequence  int32
}

func (o opened) do(w *markerWorld) string {
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		LeaderEpoch: -1, Transactional: true, Producer: &record.ProducerInfo{ID: o.id, Epoch: o.epoch, Sequence: o.sequence},
	})
	if err := b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Key: []byte("k"), Value: []byte("v")}); err != nil {
		w.t.Fatal(err)
	}
	batch, err := b.Build(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	name := "nobody's"
	req.TransactionID, req.Acks, req.TimeoutMillis = &name, -1, 10_000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Partition, part.Records = o.partition, batch
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: w.topics[o.topic], Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	p := askBroker(w.t, w.b, req, 9).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	return fmt.Sprintf("produced: error %d, offset %d", p.ErrorCode, p.BaseOffset)
}

// ends is a WriteTxnMarkers request.
type ends []end

// end is a marker of it, as a commit unless abort is set.
type end struct {
	id          int64
	epoch       int16
	coordinator int32
	abort       bool
	at          []endAt
}

type endAt struct {
	topic      string
	partitions []int32
}

// in returns one partition of T.
func in(partitions ...int32) []endAt { return []endAt{{"T", partitions}} }

func (e ends) do(w *markerWorld) string {
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for _, one := range e {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.CoordinatorEpoch, m.Committed = one.id, one.epoch, one.coordinator, !one.abort
		for _, a := range one.at {
			name, known := w.topics[a.topic]
			if !known {
				name = a.topic
			}
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: name, Partitions: a.partitions})
		}
		req.Markers = append(req.Markers, m)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.b.Addr()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), w.patience)
	defer cancel()
	resp, err := client.SeedBrokers()[0].Request(ctx, req)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return unanswered
	case err != nil:
		return err.Error()
	}
	return w.shown(resp.(*kmsg.WriteTxnMarkersResponse))
}

// shown lists what an answer says, in an order of its own: Kafka's is that of its hash maps.
func (w *markerWorld) shown(resp *kmsg.WriteTxnMarkersResponse) string {
	var lines []string
	for _, m := range resp.Markers {
		if len(m.Topics) == 0 {
			lines = append(lines, fmt.Sprintf("%d: no topics", m.ProducerID))
		}
		for _, topic := range m.Topics {
			name := topic.Topic
			for short, long := range w.topics {
				if long == name {
					name = short
				}
			}
			for _, p := range topic.Partitions {
				lines = append(lines, fmt.Sprintf("%d: %s-%d error %d", m.ProducerID, name, p.Partition, p.ErrorCode))
			}
		}
	}
	slices.Sort(lines)
	return "answer: " + strings.Join(lines, ", ")
}

// contents lists the batches of a partition, how far it is stable, and the transactions that it has open.
func (w *markerWorld) contents(topic string, partition int32) string {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 0, 1<<20, -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.PartitionMaxBytes = partition, 1<<20
	req.Topics = []kmsg.FetchRequestTopic{{Topic: w.topics[topic], Partitions: []kmsg.FetchRequestTopicPartition{part}}}
	p := askBroker(w.t, w.b, req, 11).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	var out strings.Builder
	fmt.Fprintf(&out, "%s-%d: error %d, high watermark %d, stable to %d", topic, partition, p.ErrorCode, p.HighWatermark, p.LastStableOffset)
	for rest := p.RecordBatches; ; {
		b, behind, err := record.Next(rest)
		if err != nil {
			break
		}
		rest = behind
		marker, ok, err := b.Marker()
		fmt.Fprintf(&out, "\n  %d-%d producer %d/%d/%d", b.BaseOffset(), b.LastOffset(), b.ProducerID(), b.ProducerEpoch(), b.BaseSequence())
		if ok || err != nil {
			fmt.Fprintf(&out, " %+v %v", marker, err)
		}
	}
	ask := kmsg.NewPtrDescribeProducersRequest()
	ask.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: w.topics[topic], Partitions: []int32{partition}}}
	described := askBroker(w.t, w.b, ask, 0).(*kmsg.DescribeProducersResponse).Topics[0].Partitions[0]
	slices.SortFunc(described.ActiveProducers, func(a, b kmsg.DescribeProducersResponseTopicPartitionActiveProducer) int {
		return int(a.ProducerID - b.ProducerID)
	})
	for _, a := range described.ActiveProducers {
		fmt.Fprintf(&out, "\n  %d/%d last %d, coordinator %d, open from %d", a.ProducerID, a.ProducerEpoch, a.LastSequence, a.CoordinatorEpoch, a.CurrentTxnStartOffset)
	}
	return out.String()
}

// TestMarkersAsKafka plays the cases on Gregor and on Apache Kafka: answers, what is then in the log, and what is known of the
// producers are the same. Where several markers of a request cannot be written, Kafka loses count, and never answers: it waits for
// as many results as partitions are named, some of them twice, and a marker without a partition here is not counted as done if
// it comes last.
func TestMarkersAsKafka(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"transaction.partition.verification.enable": "false"})
	c.AddKafka(nil)
	c.Add(nil)
	c.AwaitBrokers()
	createAssigned(t, c, "elsewhere", []int32{3})
	for i, mc := range markerCases {
		t.Run(mc.name, func(t *testing.T) {
			gregor := &markerWorld{t: t, b: c.Broker(1), patience: patience}
			gregor.play(c, i, mc)
			kafka := &markerWorld{t: t, b: c.Broker(2), patience: patience}
			if mc.kafka == unanswered {
				kafka.patience = 2 * time.Second
			}
			kafka.play(c, i, mc)
			if last := len(mc.steps) - 1; mc.answer != "" {
				if gregor.lines[last] != mc.answer || kafka.lines[last] != mc.kafka {
					t.Errorf("Gregor: %s\nKafka: %s", gregor.lines[last], kafka.lines[last])
				}
				kafka.lines[last] = mc.answer
			}
			// Without an answer nothing says when Kafka has written what it writes.
			for end := time.Now().Add(patience); mc.kafka == unanswered && !cmp.Equal(kafka.lines, gregor.lines) && time.Now().Before(end); {
				kafka.lines = append(kafka.lines[:len(mc.steps)], kafka.allContents(mc)...)
			}
			if diff := cmp.Diff(kafka.lines, gregor.lines); diff != "" {
				t.Errorf("(-Kafka +Gregor)\n%s", diff)
			}
		})
	}
}

// play plays case i.
func (w *markerWorld) play(c *cluster.Cluster, i int, mc markerCase) {
	w.t.Helper()
	name := fmt.Sprintf("t-%d-%d", i, w.b.ID())
	w.topics = map[string]string{"T": name, "C": name + "-compacted", "E": "elsewhere"}
	createAssigned(w.t, c, w.topics["T"], []int32{w.b.ID()}, []int32{w.b.ID()})
	if mc.compacted {
		createAt(w.t, c, w.b, w.topics["C"], map[string]string{"cleanup.policy": "compact"})
	}
	for _, s := range mc.steps {
		w.lines = append(w.lines, s.do(w))
	}
	w.lines = append(w.lines, w.allContents(mc)...)
}

// allContents lists the contents of all partitions of a case.
func (w *markerWorld) allContents(mc markerCase) (all []string) {
	w.t.Helper()
	all = append(all, w.contents("T", 0), w.contents("T", 1))
	if mc.compacted {
		all = append(all, w.contents("C", 0))
	}
	return all
}
