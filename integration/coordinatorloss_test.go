package integration

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// coordinatorLosses are the ways to lose the coordinator of all transactions, of two brokers that may be it.
var coordinatorLosses = []struct {
	name string
	// lose kills it; what is done before anybody coordinates again is done by between.
	lose func(t *testing.T, c *cluster.Cluster, between func())
}{
	{"replaced", func(t *testing.T, c *cluster.Cluster, between func()) {
		killed := c.Leader(topic.TransactionState, 0)
		c.Kill(killed)
		between()
		c.EndSession(killed) // before which no other is elected
		for p := range int32(3) {
			c.Await("another coordinator", func() bool { id := c.Leader(topic.TransactionState, p); return id > 0 && id != killed })
		}
		c.Restart(killed)
		awaitISR(c, topic.TransactionState, 3, 2)
	}},
	{"restarted", func(t *testing.T, c *cluster.Cluster, between func()) {
		c.Kill(1)
		c.Kill(2)
		between()
		c.EndSession(1) // before which they do not start
		c.EndSession(2)
		c.Restart(1)
		c.Restart(2)
		awaitISR(c, topic.TransactionState, 3, 2)
	}},
}

// TestCoordinatorIsKilled in the middle of transactions, and between its word that a transaction is committed or aborted and the
// markers. The next one, or the same one again, goes on with what is open, aborts what nobody ends, and writes the markers of what is
// decided to the partitions that lack them: among them one that was without a leader all the while.
func TestCoordinatorIsKilled(t *testing.T) {
	c := startCoordinators(t, 2, 2, cluster.Props{"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"})
	const only = 3 // the one replica of orders-0, and of the groups
	createAssigned(t, c, topic.ConsumerOffsets, []int32{only}, []int32{only}, []int32{only})
	createAssigned(t, c, "orders", []int32{only}, []int32{4}, []int32{4})
	awaitISR(c, topic.TransactionState, 3, 2)
	var want []string
	offset := int64(0)
	for _, loss := range coordinatorLosses {
		t.Run(loss.name, func(t *testing.T) {
			x := &lossTest{t: t, c: c, offsets: newOffsetTxn(t, c, "offsets-"+loss.name)}
			open, forgotten := x.begin("open-"+loss.name), x.begin("forgotten-"+loss.name, kgo.TransactionTimeout(15*time.Second))
			forgotten.Close()
			x.offsets.commit(offset + 1)
			loss.lose(t, c, func() {})
			x.end(open, kgo.TryCommit)
			want = append(want, x.valuesOf("open-"+loss.name)...)
			x.offsets.end(true)
			x.offsets.expect("the offset of a transaction that went on", offset+1, false)
			awaitStable(t, c) // the forgotten one, too, once its time is over

			committed, aborted := x.begin("committed-"+loss.name), x.begin("aborted-"+loss.name)
			x.offsets.commit(offset + 2)
			c.Kill(only)
			x.end(committed, kgo.TryCommit)
			x.end(aborted, kgo.TryAbort)
			x.offsets.end(true)
			want = append(want, x.valuesOf("committed-"+loss.name)...)
			x.requireDecided("committed-"+loss.name, "PrepareCommit")
			x.requireDecided("aborted-"+loss.name, "PrepareAbort")
			loss.lose(t, c, func() {
				c.Restart(only)
				c.Await("a leader of orders-0", func() bool { return c.Leader("orders", 0) == only })
			})
			x.offsets.expect("the offset of a transaction that was committed", offset+2, false)
			awaitStable(t, c)
			slices.Sort(want)
			sameValues(t, "franz-go", readCommitted(t, c, len(want)), want)
			x.requireNoneOpen()
			offset += 2
		})
	}
}

// lossTest is one loss of a coordinator.
type lossTest struct {
	t       *testing.T
	c       *cluster.Cluster
	offsets *offsetTxn
}

// begin has a producer write the first half of a transaction, one record to each partition.
func (x *lossTest) begin(name string, opts ...kgo.Opt) *kgo.Client {
	x.t.Helper()
	client := transactional(x.c, name, opts...)
	if err := client.BeginTransaction(); err != nil {
		x.t.Fatal(err)
	}
	for p, value := range x.valuesOf(name) {
		if err := client.ProduceSync(deadline(x.t), &kgo.Record{Topic: "orders", Partition: int32(p), Value: []byte(value)}).FirstErr(); err != nil {
			x.t.Fatal(err)
		}
	}
	return client
}

// valuesOf returns what begin writes.
func (x *lossTest) valuesOf(name string) []string { return []string{name, name, name} }

func (x *lossTest) end(client *kgo.Client, commit kgo.TransactionEndTry) {
	x.t.Helper()
	if err := client.EndTransaction(deadline(x.t), commit); err != nil {
		x.t.Fatal(err)
	}
}

// requireDecided requires that a transaction is in a state in which its markers are yet to be written.
func (x *lossTest) requireDecided(name, state string) {
	x.t.Helper()
	admin := kadm.NewClient(x.c.Client())
	var described kadm.DescribedTransaction
	x.c.Await("a coordinator that describes "+name, func() bool {
		all, err := admin.DescribeTransactions(deadline(x.t), name)
		described = all[name]
		return err == nil && described.Err == nil
	})
	if described.State != state {
		x.t.Errorf("%s is in the state %s, want %s: its markers were there before the coordinator is lost", name, described.State, state)
	}
}

// requireNoneOpen fails if a partition's leader knows of a transaction that is open.
func (x *lossTest) requireNoneOpen() {
	x.t.Helper()
	described, err := kadm.NewClient(x.c.Client()).DescribeProducers(deadline(x.t), kadm.TopicsSet{
		"orders": {0: {}, 1: {}, 2: {}}, topic.ConsumerOffsets: {0: {}, 1: {}, 2: {}},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, p := range described.SortedProducers() {
		if p.CurrentTxnStartOffset >= 0 {
			x.t.Errorf("producer %d has had a transaction open in %s-%d since offset %d", p.ProducerID, p.Topic, p.Partition, p.CurrentTxnStartOffset)
		}
	}
}

// TestTransactionsAreAtomicWithoutCoordinator is TestTransactionsAreAtomic with coordinators that are killed; and Kafka's own client
// copies a topic in transactions with the offsets in Gregor's groups.
func TestTransactionsAreAtomicWithoutCoordinator(t *testing.T) {
	const records = 2000 // about a minute of the copier's, which waits for each transaction; more on a slow machine
	c := startCoordinators(t, 2, 3, cluster.Props{"min.insync.replicas": "2"})
	gregors := c.Brokers()[2:]
	for _, name := range []string{topic.ConsumerOffsets, "orders", "input", "copies"} {
		createAssigned(t, c, name, spreadOver(gregors)...)
	}
	awaitISR(c, topic.TransactionState, 3, 2)
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range records {
		client.Produce(t.Context(), &kgo.Record{Topic: "input", Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := client.Flush(deadline(t)); err != nil {
		t.Fatal(err)
	}
	o, stop := startWriters(t, c)
	copied := make(chan cluster.Result, 1)
	go func() {
		defer close(copied)
		copied <- cluster.Tool(t, nil, "transactional-message-copier", "--broker-list", c.Bootstrap(), "--transactional-id", "copier",
			"--input-topic", "input", "--input-partition", "0", "--output-topic", "copies", "--consumer-group", "copier",
			"--transaction-size", "10", "--transaction-timeout", fmt.Sprint(unhurried.Milliseconds()), "--use-group-metadata")
	}()
	c.Await("the first copies", func() bool { return endOffset(t, client, "copies") > 0 })
	for _, loss := range coordinatorLosses {
		before := o.decided()
		t.Logf("with %d offsets of the copies written, the coordinator is to be %s", endOffset(t, client, "copies"), loss.name)
		loss.lose(t, c, func() {})
		c.Await("transactions with the coordinator "+loss.name, func() bool { return o.decided() >= before+75 })
	}
	stop()
	if r := <-copied; r.Exit != 0 {
		t.Errorf("the copier ends with %d\n%.2000s%.2000s", r.Exit, r.Stdout, r.Stderr)
	}
	awaitStable(t, c)
	checkAtomic(t, o, readAll(t, c))
	t.Logf("%d transactions were begun, %d decided", o.begun, len(o.committed))
	requireIdenticalOn(t, gregors, "orders", 3)
	for i, n := range copies(t, c, records, func(int) {}) {
		if n != 1 {
			t.Errorf("record %s was copied %d times", i, n)
		}
	}
	requireCommitted(t, c, "copier", "input", records)
	(&lossTest{t: t, c: c}).requireNoneOpen()
}
