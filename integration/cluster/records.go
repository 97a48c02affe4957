package cluster

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

// Place is where a record lies.
type Place struct {
	Partition int32
	Offset    int64
}

// Acked are records that brokers have acknowledged, their values by their places.
type Acked map[Place]string

// dialer makes clients connect from the observer's node.
func (c *Cluster) dialer() kgo.Opt { return Dialer(c.observer) }

// Dialer makes a franz-go client connect from a node; nil is loopback.
func Dialer(node *netns.Node) kgo.Opt {
	if node == nil {
		return kgo.Dialer((&net.Dialer{Timeout: 10 * time.Second}).DialContext) // its default
	}
	return kgo.Dialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return node.DialContext(ctx, network, address)
	})
}

// Client returns a franz-go client of the cluster that is closed when the test ends.
func (c *Cluster) Client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...), c.dialer()}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(client.Close)
	return client
}

// CreateTopic creates a topic with the given properties and waits until every broker knows its leaders.
func (c *Cluster) CreateTopic(topic string, partitions int32, replicas int16, props Props) {
	c.t.Helper()
	configs := make(map[string]*string)
	for name, value := range props {
		configs[name] = &value
	}
	ctx, cancel := context.WithTimeout(context.Background(), awaitTimeout)
	defer cancel()
	admin := kadm.NewClient(c.Client())
	admin.SetTimeoutMillis(int32(awaitTimeout.Milliseconds()))
	if _, err := admin.CreateTopic(ctx, partitions, replicas, configs, topic); err != nil {
		c.t.Fatalf("create topic %s: %v", topic, err)
	}
	c.AwaitTopic(topic)
}

// Produce sends n records to a topic, acknowledged by all in-sync replicas, and returns those that
// were. Records that are not acknowledged within two minutes are no error, but are logged: brokers may be dying.
// A broker that stops may close a connection before its first request, in which franz-go, unless told otherwise,
// sees a listener with SASL, and gives up.
func (c *Cluster) Produce(topic string, n int, opts ...kgo.Opt) Acked {
	c.t.Helper()
	opts = append([]kgo.Opt{kgo.RecordDeliveryTimeout(awaitTimeout), kgo.AllowAutoTopicCreation(), kgo.AlwaysRetryEOF()}, opts...)
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Addrs()...), c.dialer()}, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	var mu sync.Mutex
	acked, refused := make(Acked), make(map[string]int)
	for i := range n {
		record := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%s record %d of %d", topic, i, n)}
		client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused[err.Error()]++
				return
			}
			acked[Place{r.Partition, r.Offset}] = string(r.Value)
		})
	}
	client.Flush(context.Background()) // ends at the latest with the delivery timeout
	mu.Lock()
	defer mu.Unlock()
	for err, records := range refused {
		c.t.Logf("%d of %d records for %s were not acknowledged: %s", records, n, topic, err)
	}
	return acked
}

// RequireReadable reads the topic from its start and fails the test unless every acknowledged record
// is found where it was said to be, within timeout.
func (c *Cluster) RequireReadable(topic string, acked Acked, timeout time.Duration) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), c.dialer(), kgo.AlwaysRetryEOF(), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var last error
	for found := 0; found < len(acked); {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(_ string, _ int32, err error) { last = err })
		fetches.EachRecord(func(r *kgo.Record) {
			want, ok := acked[Place{r.Partition, r.Offset}]
			if !ok {
				return
			}
			found++
			if string(r.Value) != want {
				c.t.Errorf("%s-%d holds %q at %d, acknowledged was %q", topic, r.Partition, r.Value, r.Offset, want)
			}
		})
		if ctx.Err() != nil && found < len(acked) {
			c.t.Fatalf("found %d of %d acknowledged records of %s within %v (%v)", found, len(acked), topic, timeout, last)
		}
	}
}
