package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// startTransactions starts a Kafka broker, number 1, that coordinates transactions, and n brokers of Gregor that have everything
// else: topic orders, with 3 partitions and a replica on each, and the groups.
func startTransactions(t *testing.T, n int32, props cluster.Props) *cluster.Cluster {
	t.Helper()
	c := startCoordinators(t, 1, n, props)
	spread := spreadOver(c.Brokers()[1:])
	createAssigned(t, c, topic.ConsumerOffsets, spread...)
	createAssigned(t, c, "orders", spread...)
	return c
}

// startCoordinators starts Kafka brokers, the first of the cluster, that coordinate transactions, with a replica of each partition of
// __transaction_state on each, and n brokers of Gregor.
func startCoordinators(t *testing.T, kafkas, n int32, props cluster.Props) *cluster.Cluster {
	t.Helper()
	all := cluster.Props{
		"offsets.topic.num.partitions": "3", "offsets.topic.replication.factor": "1",
		"transaction.state.log.num.partitions": "3", "transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		"group.initial.rebalance.delay.ms": "0", "group.min.session.timeout.ms": "1000", "replica.lag.time.max.ms": "5000",
		"auto.leader.rebalance.enable": "false", "auto.create.topics.enable": "false",
	}
	maps.Copy(all, props)
	c := cluster.Start(t, 0, all)
	var coordinators []int32
	for range kafkas {
		coordinators = append(coordinators, c.AddKafka(nil).ID())
	}
	for range n {
		c.Add(nil)
	}
	createAssigned(t, c, topic.TransactionState, coordinators, coordinators, coordinators)
	return c
}

// spreadOver returns the replicas of three partitions, which each of the brokers has, and another one leads.
func spreadOver(brokers []*cluster.Broker) (partitions [][]int32) {
	for i := range 3 {
		var replicas []int32
		for j := range brokers {
			replicas = append(replicas, brokers[(i+j)%len(brokers)].ID())
		}
		partitions = append(partitions, replicas)
	}
	return partitions
}

// transact lets a client commit n transactions and abort as many, each with a record for every partition, and returns the
// committed values.
func transact(t *testing.T, client *kgo.Client, name string, n int) (committed []string) {
	t.Helper()
	for i := range 2 * n {
		value := fmt.Sprintf("%s-%d", name, i)
		end := kgo.TryAbort
		if i%2 == 0 {
			end = kgo.TryCommit
		}
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for p := range int32(3) {
			client.Produce(deadline(t), &kgo.Record{Topic: "orders", Partition: p, Value: []byte(value)}, func(_ *kgo.Record, err error) {
				if err != nil {
					t.Errorf("produce %s: %v", value, err)
				}
			})
		}
		if err := client.Flush(deadline(t)); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(deadline(t), end); err != nil {
			t.Fatalf("end %s: %v", value, err)
		}
		if end == kgo.TryCommit {
			committed = append(committed, value, value, value)
		}
	}
	slices.Sort(committed)
	return committed
}

// readCommitted returns n values of topic orders, sorted, and fails if more come.
func readCommitted(t *testing.T, c *cluster.Cluster, n int, opts ...kgo.Opt) (values []string) {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}, opts...)
	client := c.Client(opts...)
	defer client.Close()
	ctx := deadline(t)
	for len(values) < n && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	more, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	client.PollFetches(more).EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	slices.Sort(values)
	return values
}

func sameValues(t *testing.T, who string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s reads %d values, want %d: %.200v, want %.200v", who, len(got), len(want), got, want)
	}
}

// unhurried is how long transactions may take that are to end by their producer's word, whatever is started again meanwhile on a busy
// machine. Kafka allows 15 minutes.
const unhurried = 10 * time.Minute

func transactional(c *cluster.Cluster, id string, opts ...kgo.Opt) *kgo.Client {
	return c.Client(append([]kgo.Opt{
		kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(unhurried),
	}, opts...)...)
}

// TestTransactions: several producers commit and abort; consumers of all kinds, and of followers, see what is committed, also
// after leaders were killed in the middle.
func TestTransactions(t *testing.T) {
	c := startTransactions(t, 3, cluster.Props{"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"})
	awaitISR(c, "orders", 3, 3)
	first, second := transactional(c, "first"), transactional(c, "second")
	want := transact(t, first, "a", 20)
	want = append(want, transact(t, second, "b", 5)...)
	slices.Sort(want)
	sameValues(t, "franz-go", readCommitted(t, c, len(want)), want)
	// What is open hides what is committed behind it.
	if err := first.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		if err := first.ProduceSync(deadline(t), &kgo.Record{Topic: "orders", Partition: p, Value: []byte("open")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	behind := transact(t, second, "c", 5)
	sameValues(t, "franz-go, of what lies before an open transaction", readCommitted(t, c, len(want)), want)
	requireUnstable(t, c)
	leader := c.Leader("orders", 0)
	c.Kill(leader)
	c.EndSession(leader)
	c.Await("another leader", func() bool { return c.Leader("orders", 0) != leader })
	sameValues(t, "franz-go, of the next leader", readCommitted(t, c, len(want)), want)
	if err := first.EndTransaction(deadline(t), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	want = append(want, behind...)
	slices.Sort(want)
	sameValues(t, "franz-go, after the open transaction was aborted", readCommitted(t, c, len(want)), want)
	c.Restart(leader)
	awaitISR(c, "orders", 3, 3)
	want = append(want, transact(t, first, "d", 5)...)
	slices.Sort(want)
	awaitStable(t, c)
	sameValues(t, "franz-go, in the end", readCommitted(t, c, len(want)), want)
	requireEverybodyReads(t, c, want)
	requireIdenticalOn(t, c.Brokers()[1:], "orders", 3)
}

// requireUnstable fails if some partition of topic orders has no records that are not stable.
func requireUnstable(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	for p, open := range openRecords(t, c) {
		if open == 0 {
			t.Errorf("partition %d has no records that are not stable", p)
		}
	}
}

// awaitStable waits until topic orders has no records that are not stable. Clients are told of the end of a transaction before its
// markers are written.
func awaitStable(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	c.Await("all transactions have ended", func() bool { return openRecords(t, c) == [3]int64{} })
}

// openRecords returns how far the ends of topic orders for each isolation level lie apart. It waits until the brokers know all leaders,
// which they hear of later than ZooKeeper.
func openRecords(t *testing.T, c *cluster.Cluster) (open [3]int64) {
	t.Helper()
	client := c.Client()
	defer client.Close()
	admin := kadm.NewClient(client)
	c.Await("the ends of topic orders", func() bool {
		ends, err := admin.ListEndOffsets(deadline(t), "orders")
		if err != nil || ends.Error() != nil {
			return false
		}
		committed, err := admin.ListCommittedOffsets(deadline(t), "orders")
		if err != nil || committed.Error() != nil {
			return false
		}
		for p := range int32(3) {
			end, _ := ends.Lookup("orders", p)
			lso, _ := committed.Lookup("orders", p)
			open[p] = end.Offset - lso.Offset
		}
		return true
	})
	return open
}

// requireEverybodyReads reads topic orders with librdkafka and with Kafka's console consumer.
func requireEverybodyReads(t *testing.T, c *cluster.Cluster, want []string) {
	t.Helper()
	out := cluster.Kcat(t, nil, "-C", "-b", c.Bootstrap(), "-t", "orders", "-e", "-q", "-X", "isolation.level=read_committed", "-f", "%s\n")
	got := strings.Fields(string(out))
	slices.Sort(got)
	sameValues(t, "kcat", got, want)
	out = cluster.MustTool(t, nil, "kafka-console-consumer", "--bootstrap-server", c.Bootstrap(), "--topic", "orders", "--from-beginning",
		"--isolation-level", "read_committed", "--max-messages", fmt.Sprint(len(want)))
	got = strings.Fields(string(out))
	slices.Sort(got)
	sameValues(t, "the console consumer", got, want)
}

// TestTransactionsFromFollowers: a read_committed consumer in the rack of a follower is served by it (KIP-392), no further than to
// what is stable there.
func TestTransactionsFromFollowers(t *testing.T) {
	c := cluster.Start(t, 0, cluster.Props{
		"replica.selector.class":               "org.apache.kafka.common.replica.RackAwareReplicaSelector",
		"transaction.state.log.num.partitions": "1", "offsets.topic.num.partitions": "1",
	})
	c.AddKafka(nil)
	c.Add(cluster.Props{"broker.rack": "a"})
	c.Add(cluster.Props{"broker.rack": "b"})
	createAssigned(t, c, topic.TransactionState, []int32{1})
	createAssigned(t, c, "orders", []int32{2, 3}, []int32{2, 3}, []int32{2, 3})
	awaitISR(c, "orders", 3, 2)
	client := transactional(c, "tx")
	want := transact(t, client, "a", 10)
	var by served
	sameValues(t, "a consumer of the follower", readCommitted(t, c, len(want), kgo.Rack("b"), kgo.WithHooks(&by)), want)
	if by[3].Load() == 0 || by[2].Load() != 0 {
		t.Errorf("%d records came from the leader, %d from the follower", by[2].Load(), by[3].Load())
	}
	requireWokenByCommit(t, c, client)
}

// requireWokenByCommit: a consumer that waits at the end, at follower 3, is woken when a transaction is committed, and not before.
func requireWokenByCommit(t *testing.T, c *cluster.Cluster, client *kgo.Client) {
	t.Helper()
	var fetches, by served
	atEnd := []kgo.Opt{kgo.Rack("b"), kgo.FetchMaxWait(30 * time.Second), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd())}
	reader := c.Client(append(atEnd, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.WithHooks(&by, (*asked)(&fetches)))...)
	c.Await("a fetch that waits at the follower", func() bool { return fetches[3].Load() > 0 })
	var uncommitted served
	c.Client(append(atEnd, kgo.ConsumeResetOffset(kgo.NewOffset().AfterMilli(time.Now().UnixMilli())), kgo.WithHooks(&uncommitted))...)
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(deadline(t), &kgo.Record{Topic: "orders", Value: []byte("late")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	c.Await("the record for those who do not wait for the commit", func() bool { return uncommitted[3].Load() > 0 })
	if n := by[3].Load(); n > 0 {
		t.Errorf("%d records of an open transaction were read", n)
	}
	if err := client.EndTransaction(deadline(t), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	if n := reader.PollFetches(deadline(t)).NumRecords(); n != 1 || time.Since(ended) > 20*time.Second {
		t.Errorf("read %d records %v after the transaction was committed", n, time.Since(ended))
	}
}

// asked counts the fetches that a client has sent to each broker.
type asked served

func (a *asked) OnBrokerWrite(b kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if b.NodeID >= 0 && int(b.NodeID) < len(a) && key == int16(kmsg.Fetch) && err == nil {
		a[b.NodeID].Add(1)
	}
}

// TestFencedProducer: the older of two producers of one transactional id cannot write any more, the newer one's transactions go on.
func TestFencedProducer(t *testing.T) {
	c := startTransactions(t, 2, nil)
	older, newer := transactional(c, "tx"), transactional(c, "tx")
	want := transact(t, older, "a", 2)
	if err := older.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := older.ProduceSync(deadline(t), &kgo.Record{Topic: "orders", Value: []byte("fenced")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	want = append(want, transact(t, newer, "b", 2)...)
	err := older.ProduceSync(deadline(t), &kgo.Record{Topic: "orders", Value: []byte("zombie")}).FirstErr()
	if !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.ProducerFenced) {
		t.Errorf("the older producer's record: %v, want INVALID_PRODUCER_EPOCH or PRODUCER_FENCED", err)
	}
	want = append(want, transact(t, newer, "c", 2)...)
	slices.Sort(want)
	sameValues(t, "franz-go", readCommitted(t, c, len(want)), want)
}

// TestKcatTransaction: librdkafka's producer puts what it is given into one transaction.
func TestKcatTransaction(t *testing.T) {
	c := startTransactions(t, 2, nil)
	var want []string
	for i := range 500 {
		want = append(want, fmt.Sprint("v", i))
	}
	slices.Sort(want)
	cluster.Kcat(t, strings.NewReader(strings.Join(want, "\n")+"\n"), "-P", "-b", c.Bootstrap(), "-t", "orders", "-X", "transactional.id=kcat")
	sameValues(t, "franz-go", readCommitted(t, c, len(want)), want)
	admin := kadm.NewClient(c.Client())
	c.Await("a complete transaction of kcat's", func() bool {
		described, err := admin.DescribeTransactions(deadline(t), "kcat")
		return err == nil && described["kcat"].State == "CompleteCommit"
	})
}

// TestJavaTransactions: Kafka's own transactional producer, which is pipelined, in many transactions.
func TestJavaTransactions(t *testing.T) {
	c := startTransactions(t, 2, nil)
	out := cluster.MustTool(t, nil, "kafka-producer-perf-test", "--topic", "orders", "--num-records", "20000", "--record-size", "100", "--throughput", "-1",
		"--transactional-id", "perf", "--transaction-duration-ms", "50", "--producer-props", "bootstrap.servers="+c.Bootstrap(), "acks=all")
	if !strings.Contains(string(out), "20000 records sent") {
		t.Errorf("the producer says %q", out)
	}
	if got := len(readCommitted(t, c, 20000)); got != 20000 {
		t.Errorf("read %d records, want 20000", got)
	}
	awaitStable(t, c)
}
