package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// outcomes are what clients were told of their transactions.
type outcomes struct {
	mu        sync.Mutex
	committed map[string]bool // true: committed, false: aborted; what is missing may be either
	begun     int
}

// writeTransactions writes transactions with a record for each partition of topic orders until ctx ends. A client that is fenced,
// because a transaction has taken too long, is replaced.
func writeTransactions(t *testing.T, ctx context.Context, c *cluster.Cluster, name string, o *outcomes) {
	id := 0
	open := func() *kgo.Client {
		return c.Client(kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(20*time.Second))
	}
	client := open()
	for ; ctx.Err() == nil; id++ {
		value := fmt.Sprintf("%s-%d", name, id)
		if err := client.BeginTransaction(); err != nil {
			client.Close()
			client = open()
			continue
		}
		o.mu.Lock()
		o.begun++
		o.mu.Unlock()
		var failed error
		for p := range int32(3) {
			client.Produce(context.Background(), &kgo.Record{Topic: "orders", Partition: p, Value: []byte(value)}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed = err
				}
			})
		}
		if err := client.Flush(deadline(t)); err != nil {
			failed = errors.Join(failed, err)
		}
		commit := failed == nil && id%3 != 2
		err := client.EndTransaction(deadline(t), kgo.TransactionEndTry(commit))
		switch {
		case err == nil:
			o.mu.Lock()
			o.committed[value] = commit
			o.mu.Unlock()
		case errors.Is(err, kerr.OperationNotAttempted) || ctx.Err() != nil:
		default:
			t.Logf("%s: %v", value, err)
			client.Close()
			client = open()
		}
	}
	client.Close()
}

// startWriters lets four clients write transactions until stop is called, or the test has ended, and waits for them then.
func startWriters(t *testing.T, c *cluster.Cluster) (o *outcomes, stop func()) {
	o = &outcomes{committed: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { writeTransactions(t, ctx, c, fmt.Sprint("writer", i), o) })
	}
	stop = func() {
		cancel()
		wg.Wait()
	}
	t.Cleanup(stop)
	return o, stop
}

// TestTransactionsAreAtomic while one leader after the other is killed: what a client was told is committed is there once in every
// partition, what it was told is aborted is nowhere, and of what it was told nothing, all is there or nothing.
func TestTransactionsAreAtomic(t *testing.T) {
	c := startTransactions(t, 3, cluster.Props{"min.insync.replicas": "2"})
	awaitISR(c, "orders", 3, 3)
	o, stop := startWriters(t, c)
	for _, id := range []int32{2, 3, 4} {
		before := o.decided()
		c.Kill(id)
		c.EndSession(id) // which the controller, which is Kafka's, waits for
		c.Await("transactions without the killed broker", func() bool { return o.decided() >= before+50 })
		c.Restart(id)
		awaitISR(c, "orders", 3, 3)
	}
	stop()
	awaitStable(t, c)
	checkAtomic(t, o, readAll(t, c))
	t.Logf("%d transactions were begun, %d decided", o.begun, len(o.committed))
	requireIdenticalOn(t, c.Brokers()[1:], "orders", 3)
}

func (o *outcomes) decided() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.committed)
}

// checkAtomic compares what is read of each partition with what clients were told.
func checkAtomic(t *testing.T, o *outcomes, seen map[string][3]int) {
	t.Helper()
	for value, commit := range o.committed {
		want := [3]int{}
		if commit {
			want = [3]int{1, 1, 1}
		}
		if seen[value] != want {
			t.Errorf("%s, of which the client was told commit %v, is read %v times", value, commit, seen[value])
		}
	}
	for value, n := range seen {
		if n != [3]int{1, 1, 1} {
			t.Errorf("%s is read %v times", value, n)
		}
	}
	if commits := slices.Collect(maps.Values(o.committed)); len(commits) < 150 || !slices.Contains(commits, true) || !slices.Contains(commits, false) {
		t.Errorf("only %d transactions were decided", len(commits))
	}
}

// readAll counts the values that are committed, by partition, up to the end of each, where a marker is.
func readAll(t *testing.T, c *cluster.Cluster) map[string][3]int {
	t.Helper()
	client := c.Client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	var ends kadm.ListedOffsets
	c.Await("the ends of topic orders", func() (known bool) {
		var err error
		ends, err = kadm.NewClient(client).ListEndOffsets(deadline(t), "orders")
		return err == nil && ends.Error() == nil
	})
	seen := map[string][3]int{}
	for ended, ctx := 0, deadline(t); ended < 3; {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			if end, _ := ends.Lookup("orders", r.Partition); r.Offset+1 == end.Offset {
				ended++
			}
			if r.Attrs.IsControl() {
				return
			}
			n := seen[string(r.Value)]
			n[r.Partition]++
			seen[string(r.Value)] = n
		})
		if ctx.Err() != nil {
			t.Fatalf("%d of 3 partitions were read to their ends", ended)
		}
	}
	return seen
}
