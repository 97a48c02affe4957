package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// TestHangingTransactions: Kafka's tool finds a transaction that no coordinator knows of on a partition of Gregor's, and ends it
// (KIP-664).
func TestHangingTransactions(t *testing.T) {
	c := startTransactions(t, 1, cluster.Props{"transaction.partition.verification.enable": "false"})
	want := transact(t, transactional(c, "tx"), "a", 3)
	awaitStable(t, c)
	h := newHanging(t, c)
	run := h.run
	if got := run("list"); !strings.Contains(got, "CompleteAbort") {
		t.Errorf("list prints %q, want the transaction that was aborted last", got)
	}
	if got := run("describe", "--transactional-id", "tx"); !strings.Contains(got, "CompleteAbort") {
		t.Errorf("describe prints %q", got)
	}
	h.requireFound("--broker-id", "2")
	want = append(want, transact(t, transactional(c, "tx"), "b", 1)...)
	slices.Sort(want)
	run("abort", "--topic", "orders", "--partition", "0", "--start-offset", h.start)
	sameValues(t, "franz-go", readCommitted(t, c, len(want)), want)
	awaitStable(t, c)
	h.requireGone("--broker-id", "2")
}

// TestHangingTransactionsAlone: so it does in a cluster without a broker of Kafka's, where nobody coordinates transactions.
func TestHangingTransactionsAlone(t *testing.T) {
	c := cluster.Start(t, 2, cluster.Props{"transaction.partition.verification.enable": "false"})
	createAssigned(t, c, "orders", []int32{1, 2}, []int32{2, 1}, []int32{1, 2})
	h := newHanging(t, c)
	where := []string{"--topic", "orders", "--partition", "0"}
	h.requireFound("--broker-id", "1")
	h.requireFound(where...)
	h.requireGone("--topic", "orders", "--partition", "1")
	if got := h.run("list"); strings.Count(got, "\n") != 1 {
		t.Errorf("list prints\n%s\nwant nothing but names of columns", got)
	}
	h.run(append([]string{"abort", "--start-offset", h.start}, where...)...)
	awaitStable(t, c)
	h.requireGone("--broker-id", "1")
	// As of a broker that cannot describe producers.
	h = newHanging(t, c)
	h.run(append([]string{"abort", "--producer-id", fmt.Sprint(h.id), "--producer-epoch", "0", "--coordinator-epoch", "0"}, where...)...)
	awaitStable(t, c)
	h.requireGone(where...)
	if got := readCommitted(t, c, 0); len(got) > 0 {
		t.Errorf("read %q of transactions that were aborted", got)
	}
}

// hanging is a transaction in orders-0 that no coordinator knows of, as Kafka's tool shows it.
type hanging struct {
	t     *testing.T
	c     *cluster.Cluster
	id    int64  // of the producer
	start string // its first offset
}

// newHanging begins a transaction that nobody will end.
func newHanging(t *testing.T, c *cluster.Cluster) *hanging {
	t.Helper()
	p := newProducer(t, c)
	started := time.Now().Add(-time.Hour)
	p.sendTxn(c.Leader("orders", 0), started)
	h := &hanging{t: t, c: c, id: p.id}
	producers := h.run("describe-producers", "--topic", "orders", "--partition", "0")
	row := regexp.MustCompile(`(?m)^` + fmt.Sprint(p.id) + `\s+0\s+-1\s+1\s+(\d+)\s+(\d+)`).FindStringSubmatch(producers)
	if row == nil || row[1] != fmt.Sprint(started.UnixMilli()) {
		t.Fatalf("describe-producers prints\n%s\nwant producer %d with sequence 1 at %d", producers, p.id, started.UnixMilli())
	}
	h.start = row[2]
	return h
}

func (h *hanging) run(args ...string) string {
	h.t.Helper()
	return string(cluster.MustTool(h.t, nil, "kafka-transactions", append([]string{"--bootstrap-server", h.c.Bootstrap()}, args...)...))
}

// find returns what find-hanging prints of a broker or of a partition.
func (h *hanging) find(where []string) string {
	h.t.Helper()
	return h.run(append([]string{"find-hanging", "--max-transaction-timeout", "30"}, where...)...)
}

// requireFound fails if find-hanging does not print the transaction and no other.
func (h *hanging) requireFound(where ...string) {
	h.t.Helper()
	got := h.find(where)
	if lines := strings.Split(strings.TrimSpace(got), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "orders") || !strings.Contains(lines[1], fmt.Sprint(h.id)) {
		h.t.Fatalf("find-hanging prints\n%s\nwant one transaction of producer %d", got, h.id)
	}
}

func (h *hanging) requireGone(where ...string) {
	h.t.Helper()
	if got := h.find(where); strings.Contains(got, "orders") {
		h.t.Errorf("find-hanging prints\n%s\nwant nothing", got)
	}
}

// sendTxn produces a batch of two records to orders-0, on its leader, in a transaction that nobody has begun.
func (p *producer) sendTxn(leader int32, at time.Time) {
	p.t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{
		LeaderEpoch: -1, Transactional: true, Producer: &record.ProducerInfo{ID: p.id, Epoch: p.epoch},
	})
	for range 2 {
		if err := b.Append(record.Record{Timestamp: at.UnixMilli(), Value: []byte("hangs")}); err != nil {
			p.t.Fatal(err)
		}
	}
	batch, err := b.Build(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	name := "nobody's"
	req.TransactionID, req.Acks, req.TimeoutMillis = &name, -1, 10_000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = batch
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{part}}}
	resp, err := p.client.Broker(int(leader)).RetriableRequest(deadline(p.t), req)
	if err != nil {
		p.t.Fatal(err)
	}
	if code := resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
		p.t.Fatalf("produce: error %d", code)
	}
}
