package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// pipe consumes topic orders and produces to topic copies what it reads, in transactions with the offsets, some of which it aborts.
func pipe(t *testing.T, ctx context.Context, c *cluster.Cluster, id int) {
	s, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(c.Addrs()...), kgo.TransactionalID(fmt.Sprint("pipe-", id)), kgo.DefaultProduceTopic("copies"),
		kgo.ConsumerGroup("pipes"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(300*time.Millisecond), kgo.MetadataMinAge(50*time.Millisecond),
		kgo.TransactionTimeout(patience), // who exceeds it is fenced
	)
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	for turn := 0; ctx.Err() == nil; turn++ {
		fetches := s.PollRecords(ctx, 50)
		if fetches.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			t.Error(err)
			return
		}
		produced := kgo.AbortingFirstErrPromise(s.Client()) // a pipe that is told to leave fails what it has not sent
		fetches.EachRecord(func(r *kgo.Record) { s.Produce(ctx, kgo.StringRecord(string(r.Value)), produced.Promise()) })
		end := kgo.TransactionEndTry(produced.Err() == nil && turn%4 != 3)
		// What the session refuses to commit, because of a rebalance or a dead broker, is read again.
		if _, err := s.End(context.WithoutCancel(ctx), end); err != nil {
			t.Logf("pipe %d: %v", id, err)
		}
	}
}

// TestExactlyOnce: several processes consume, transform and produce with the offsets in the transaction, some come and go, one
// broker is killed. Every record is copied once.
func TestExactlyOnce(t *testing.T) {
	const records = 3000
	c := startTransactions(t, 3, nil)
	createAssigned(t, c, "copies", []int32{2, 3, 4}, []int32{3, 4, 2})
	awaitISR(c, "orders", 3, 3)
	awaitISR(c, topic.ConsumerOffsets, 3, 3)
	produceValues(t, c, "orders", 0, records)
	ctx, stop := context.WithCancel(t.Context())
	var pipes sync.WaitGroup
	defer func() { // also when the test ends early: pipes use it to its end
		stop()
		pipes.Wait()
	}()
	start := func(ctx context.Context, id int) { pipes.Go(func() { pipe(t, ctx, c, id) }) }
	start(ctx, 0)
	start(ctx, 1)
	passing, leave := context.WithCancel(ctx)
	start(passing, 2)
	killed := c.Leader(topic.ConsumerOffsets, 0)
	seen := copies(t, c, records, func(n int) {
		if n > records/4 && passing.Err() == nil {
			leave()
			c.Kill(killed)
			c.Restart(killed)
		}
	})
	leave()
	stop()
	pipes.Wait()
	for i := range records {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("record %d was copied %d times", i, n)
		}
	}
	requireCommitted(t, c, "pipes", "orders", records)
}

// copies reads topic copies until n different values have been seen and nothing more comes, and returns how often each was. progress
// is told how many different ones there are.
func copies(t *testing.T, c *cluster.Cluster, n int, progress func(int)) map[string]int {
	t.Helper()
	client := c.Client(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeTopics("copies"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]int{}
	for end := time.Now().Add(2 * patience); len(seen) < n; progress(len(seen)) {
		if time.Now().After(end) {
			t.Errorf("%d of %d records were copied", len(seen), n)
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
		cancel()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	return seen
}
