package conformance

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// bystandersTopic is the topic that the others work with while a campaign is under way.
const bystandersTopic = "bystanders"

// bystanders produce with acks=all, and consume in a group, all the while.
type bystanders struct {
	t      *testing.T
	c      *cluster.Cluster
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	acked    int // records 0 to acked-1 are acknowledged
	consumed int // records that the group has been given
}

func newBystanders(t *testing.T, c *cluster.Cluster, replicas int16) *bystanders {
	t.Helper()
	w := &bystanders{t: t, c: c}
	resp := ask[*kmsg.CreateTopicsResponse](t, c.Broker(c.Controller()).Addr(), withVersion(createTopics(topicOf(bystandersTopic, sized(1, replicas))), 7))
	if list := errorsIn(resp); len(list) > 0 {
		t.Fatal(list)
	}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(t.Context())
	producer := w.client(kgo.DefaultProduceTopic(bystandersTopic), kgo.RequiredAcks(kgo.AllISRAcks()))
	consumer := w.client(kgo.ConsumeTopics(bystandersTopic), kgo.ConsumerGroup("bystanders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	w.wg.Go(func() { w.produce(ctx, producer) })
	w.wg.Go(func() { w.consume(ctx, consumer) })
	t.Cleanup(w.stop)
	return w
}

func (w *bystanders) client(opts ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	// A broker that has not heard of the topic yet does not make it unknown.
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.c.Addrs()...), kgo.UnknownTopicRetries(-1))...)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

func (w *bystanders) produce(ctx context.Context, client *kgo.Client) {
	defer client.Close()
	for n := 0; ; n++ {
		err := client.ProduceSync(ctx, kgo.StringRecord(strconv.Itoa(n))).FirstErr()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.t.Errorf("record %d: %v", n, err)
			return
		}
		w.mu.Lock()
		w.acked = n + 1
		w.mu.Unlock()
	}
}

func (w *bystanders) consume(ctx context.Context, client *kgo.Client) {
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		w.mu.Lock()
		w.consumed += fetches.NumRecords()
		w.mu.Unlock()
	}
}

// await waits until n more records are acknowledged and consumed.
func (w *bystanders) await(n int) {
	w.t.Helper()
	acked, consumed := w.progress()
	cluster.Await(w.t, 2*patience, fmt.Sprintf("%d records produced and consumed by others", n), func() bool {
		a, b := w.progress()
		return w.t.Failed() || a >= acked+n && b >= consumed+n
	})
}

func (w *bystanders) progress() (acked, consumed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.acked, w.consumed
}

func (w *bystanders) stop() {
	w.cancel()
	w.wg.Wait()
}

// check reads everything: what was acknowledged is there, once and in order.
func (w *bystanders) check() {
	w.t.Helper()
	acked, _ := w.progress()
	client := w.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{bystandersTopic: {0: kgo.NewOffset().AtStart()}}))
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	var got []string
	for len(got) < acked && ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if len(got) < acked {
		w.t.Fatalf("%d of %d acknowledged records are there", len(got), acked)
	}
	for n := range acked {
		if got[n] != strconv.Itoa(n) {
			w.t.Fatalf("record %q stands where record %d was acknowledged", got[n], n)
		}
	}
	w.t.Logf("%d acknowledged records are there", acked)
}
