package directories

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// raw returns a client for requests that name topics.
func raw(c *cluster.Cluster) *kgo.Client {
	return c.Client(kgo.MaxVersions(kversion.V2_7_0()))
}

// transact commits and aborts transactions by a coordinator, which is Kafka.
func transact(t *testing.T, c *cluster.Cluster, id string) {
	t.Helper()
	client := c.Client(kgo.TransactionalID(id), kgo.DefaultProduceTopic("transacted"))
	defer client.Close()
	for i := range 20 {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 3 {
			if err := client.ProduceSync(deadline(t), kgo.StringRecord(fmt.Sprintf("%s: transaction %d, record %d", id, i, j))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(deadline(t), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			t.Fatal(err)
		}
	}
}

// producer is an idempotent producer whose requests are made by hand.
type producer struct {
	id       int64
	epoch    int16
	sequence int32
	topic    string
	txn      *string // its transactional id; nil if it is only idempotent
	last     []byte  // the last batch
	offset   int64   // and its offset
}

// newProducer gets an id from the broker.
func newProducer(t *testing.T, c *cluster.Cluster, topic string) *producer {
	t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.ProducerID, req.ProducerEpoch = -1, -1
	var resp *kmsg.InitProducerIDResponse
	client := raw(c)
	c.Await("a producer id", func() bool {
		var err error
		resp, err = req.RequestWith(deadline(t), client)
		return err == nil && resp.ErrorCode == 0
	})
	return &producer{id: resp.ProducerID, epoch: resp.ProducerEpoch, topic: topic}
}

// send sends a batch of n records.
func (p *producer) send(t *testing.T, c *cluster.Cluster, n int) {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{Transactional: p.txn != nil, LeaderEpoch: -1,
		Producer: &record.ProducerInfo{ID: p.id, Epoch: p.epoch, Sequence: p.sequence}})
	for i := range n {
		r := record.Record{Timestamp: time.Now().UnixMilli(), Value: fmt.Appendf(nil, "producer %d, record %d", p.id, p.sequence+int32(i))}
		if err := b.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if p.last, err = b.Build(nil); err != nil {
		t.Fatal(err)
	}
	p.sequence += int32(n)
	p.offset = p.post(t, c, p.last)
}

// resend sends the last batch again, which must change nothing.
func (p *producer) resend(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	if offset := p.post(t, c, p.last); offset != p.offset {
		t.Errorf("%s: a batch sent again is at offset %d, it was at %d", p.topic, offset, p.offset)
	}
}

func (p *producer) post(t *testing.T, c *cluster.Cluster, batch []byte) int64 {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.TransactionID = -1, 30_000, p.txn
	at := kmsg.NewProduceRequestTopic()
	at.Topic = p.topic
	at.Partitions = append(at.Partitions, kmsg.ProduceRequestTopicPartition{Records: slices.Clone(batch)})
	req.Topics = append(req.Topics, at)
	resp, err := raw(c).Broker(1).Request(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	answer := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		t.Fatalf("produce to %s: %v", p.topic, err)
	}
	return answer.BaseOffset
}

// end writes the marker of a transaction, as a coordinator would.
func (p *producer) end(t *testing.T, c *cluster.Cluster, commit bool) {
	t.Helper()
	marker := kmsg.NewWriteTxnMarkersRequestMarker()
	marker.ProducerID, marker.ProducerEpoch, marker.Committed, marker.CoordinatorEpoch = p.id, p.epoch, commit, 3
	marker.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: p.topic, Partitions: []int32{0}}}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, marker)
	resp, err := c.Client().Broker(1).Request(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.WriteTxnMarkersResponse).Markers[0].Topics[0].Partitions[0].ErrorCode); err != nil {
		t.Fatal(err)
	}
}

// follow writes n records and lets a group read them, from where it has committed.
func follow(t *testing.T, c *cluster.Cluster, round, n int) {
	t.Helper()
	var want, got []string
	producer := newClient(c, kgo.NoCompression())
	defer producer.Close()
	for i := range n {
		want = append(want, fmt.Sprintf("round %d, record %d", round, i))
		produce(t, producer, &kgo.Record{Topic: "stream", Value: []byte(want[i])})
	}
	client := c.Client(kgo.ConsumerGroup("followers"), kgo.ConsumeTopics("stream"), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for ctx := deadline(t); len(got) < n && ctx.Err() == nil; {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if err := client.CommitUncommittedOffsets(deadline(t)); err != nil {
		t.Fatal(err)
	}
	client.Close()
	if !slices.Equal(got, want) {
		t.Errorf("the group read\n%q\nwant\n%q", got, want)
	}
	admin := kadm.NewClient(c.Client())
	c.Await("the group to be empty", func() bool {
		described, err := admin.DescribeGroups(deadline(t), "followers")
		return err == nil && described["followers"].State == "Empty"
	})
}
