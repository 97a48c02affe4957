package integration

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestKilledBrokerReturnsAtOnce restarts a broker long before the session of its killed process times
// out. Kafka refuses to start then.
func TestKilledBrokerReturnsAtOnce(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{"zookeeper.session.timeout.ms": "60000"})
	c.CreateTopic("orders", 1, 1, nil)
	acked := c.Produce("orders", 100)
	for range 3 {
		c.Kill(1)
		start := time.Now()
		c.Restart(1)
		c.RequireReadable("orders", acked, patience)
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("back after %v with a session timeout of 60 s", took)
		}
	}
}

// producer sends batches of one idempotent producer as it likes.
type producer struct {
	t      *testing.T
	client *kgo.Client
	id     int64
	epoch  int16
}

func newProducer(t *testing.T, c *cluster.Cluster) *producer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.RequestRetries(100))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	p := &producer{t: t, client: client}
	c.Await("a producer id", func() bool {
		req := kmsg.NewPtrInitProducerIDRequest()
		resp, err := req.RequestWith(t.Context(), client)
		if err != nil || resp.ErrorCode != 0 {
			return false
		}
		p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
		return true
	})
	return p
}

// send produces n records from sequence on and returns the answer.
func (p *producer) send(sequence int32, n int) kmsg.ProduceResponseTopicPartition {
	p.t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		LeaderEpoch: -1, Producer: &record.ProducerInfo{ID: p.id, Epoch: p.epoch, Sequence: sequence},
	})
	for range n {
		if err := b.Append(record.Record{Timestamp: time.Now().UnixMilli(), Value: []byte("v")}); err != nil {
			p.t.Fatal(err)
		}
	}
	batch, err := b.Build(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 10_000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = batch
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0]
}

func (p *producer) expect(what string, sequence int32, n int, code int16, offset int64) {
	p.t.Helper()
	if got := p.send(sequence, n); got.ErrorCode != code || code == 0 && got.BaseOffset != offset {
		p.t.Errorf("%s: error %d, offset %d; want %d, %d", what, got.ErrorCode, got.BaseOffset, code, offset)
	}
}

// TestSequencesSurviveRestarts: after a restart, clean or not, a producer neither duplicates nor skips.
func TestSequencesSurviveRestarts(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	c.CreateTopic("orders", 1, 1, nil)
	p := newProducer(t, c)
	p.expect("first batch", 0, 3, 0, 0)
	p.expect("second batch", 3, 3, 0, 3)
	c.Stop(1)
	c.Restart(1)
	c.AwaitTopic("orders")
	p.expect("the last batch again, after a clean stop", 3, 3, 0, 3)
	p.expect("a gap, after a clean stop", 9, 3, kerr.OutOfOrderSequenceNumber.Code, 0)
	p.expect("third batch", 6, 3, 0, 6)
	c.Kill(1)
	c.Restart(1)
	c.AwaitTopic("orders")
	p.expect("the last batch again, after SIGKILL", 6, 3, 0, 6)
	p.expect("a gap, after SIGKILL", 12, 3, kerr.OutOfOrderSequenceNumber.Code, 0)
	p.expect("fourth batch", 9, 3, 0, 9)
}
