package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// groupProps make a small cluster's groups quick.
var groupProps = cluster.Props{
	"offsets.topic.num.partitions":        "5",
	"offsets.topic.replication.factor":    "1",
	"group.initial.rebalance.delay.ms":    "200",
	"group.min.session.timeout.ms":        "1000",
	"offsets.topic.compression.codec":     "3",
	"offsets.retention.check.interval.ms": "1000",
}

// consumed counts how often each value was processed.
type consumed struct {
	mu    sync.Mutex
	times map[string]int
}

func (c *consumed) add(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times == nil {
		c.times = map[string]int{}
	}
	c.times[value]++
}

func (c *consumed) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.times)
}

// produceValues produces first, first+1, ... as values.
func produceValues(t *testing.T, c *cluster.Cluster, topic string, first, n int) {
	t.Helper()
	client := c.Client()
	defer client.Close()
	for i := first; i < first+n; i++ {
		value := fmt.Sprint(i)
		client.Produce(deadline(t), &kgo.Record{Topic: topic, Key: []byte(value), Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	if err := client.Flush(deadline(t)); err != nil {
		t.Error(err)
	}
}

// member is a franz-go consumer that commits after each poll.
type member struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}
}

func startMember(t *testing.T, c *cluster.Cluster, topic, group string, seen *consumed, opts ...kgo.Opt) *member {
	t.Helper()
	opts = append([]kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(100 * time.Millisecond),
		kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(300 * time.Millisecond),
	}, opts...)
	ctx, cancel := context.WithCancel(t.Context())
	m := &member{client: c.Client(opts...), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		for ctx.Err() == nil {
			fetches := m.client.PollFetches(ctx)
			fetches.EachRecord(func(r *kgo.Record) { seen.add(string(r.Value)) })
			_ = m.client.CommitUncommittedOffsets(ctx) // what is not committed is processed again
			m.client.AllowRebalance()
		}
	}()
	t.Cleanup(m.stop)
	return m
}

// stop leaves the group, unless the member is static.
func (m *member) stop() {
	m.cancel()
	<-m.done
	m.client.Close()
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting until %s", what)
		}
	}
}

// TestGroupMembersComeAndGo lets members of each kind share a topic under load: each record is processed.
func TestGroupMembersComeAndGo(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	for name, opts := range map[string]func(i int) []kgo.Opt{
		"eager":       func(int) []kgo.Opt { return []kgo.Opt{kgo.Balancers(kgo.RangeBalancer())} },
		"cooperative": func(int) []kgo.Opt { return []kgo.Opt{kgo.Balancers(kgo.CooperativeStickyBalancer())} },
		"static": func(i int) []kgo.Opt {
			return []kgo.Opt{kgo.InstanceID(fmt.Sprint("instance-", i)), kgo.Balancers(kgo.RangeBalancer())}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.CreateTopic(name, 6, 1, nil)
			seen := &consumed{}
			produceValues(t, c, name, 0, 500)
			startMember(t, c, name, "g-"+name, seen, opts(0)...)
			await(t, "the first member has all", func() bool { return seen.len() == 500 })
			second := startMember(t, c, name, "g-"+name, seen, opts(1)...)
			startMember(t, c, name, "g-"+name, seen, opts(2)...)
			produceValues(t, c, name, 500, 500)
			await(t, "three members have all", func() bool { return seen.len() == 1000 })
			second.stop()
			produceValues(t, c, name, 1000, 500)
			await(t, "the others have all", func() bool { return seen.len() == 1500 })
			requireCommitted(t, c, "g-"+name, name, 1500)
		})
	}
}

// requireCommitted waits until the offsets that a group has committed for a topic add up to n.
func requireCommitted(t *testing.T, c *cluster.Cluster, group, topic string, n int64) {
	t.Helper()
	sum, err := int64(-1), error(nil)
	for end := time.Now().Add(patience); sum != n; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("group %s has committed %d, want %d; last error: %v", group, sum, n, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var offsets kadm.OffsetResponses
		client := c.Client() // one that has asked a dead coordinator asks it again and again
		offsets, err = kadm.NewClient(client).FetchOffsets(ctx, group)
		client.Close()
		cancel()
		if err != nil {
			continue
		}
		sum = 0
		offsets.Each(func(o kadm.OffsetResponse) {
			if o.Topic == topic {
				sum += o.At
			}
		})
	}
}

// TestGroupSurvivesItsCoordinator kills the coordinator while members consume and commit, and in the middle of a
// rebalance: they go on with another one, no committed offset goes back, and each record is processed.
func TestGroupSurvivesItsCoordinator(t *testing.T) {
	props := cluster.Props{}
	for k, v := range groupProps {
		props[k] = v
	}
	props["offsets.topic.replication.factor"] = "3"
	props["min.insync.replicas"] = "2"
	c := cluster.Start(t, 3, props)
	c.CreateTopic("orders", 6, 3, nil)
	seen := &consumed{}
	produceValues(t, c, "orders", 0, 500)
	startMember(t, c, "orders", "g", seen)
	startMember(t, c, "orders", "g", seen)
	await(t, "all is consumed", func() bool { return seen.len() == 500 })
	requireCommitted(t, c, "g", "orders", 500)
	highest := map[int32]int64{}
	watch := func() {
		for _, o := range committedOffsets(t, c, "g") {
			if o.At < highest[o.Partition] {
				t.Fatalf("the committed offset of partition %d went back from %d to %d", o.Partition, highest[o.Partition], o.At)
			}
			highest[o.Partition] = o.At
		}
	}
	produced := 500
	for range 2 {
		watch()
		victim := coordinatorOf(t, c, "g")
		startMember(t, c, "orders", "g", seen) // a rebalance begins
		var producing sync.WaitGroup
		from := produced
		producing.Go(func() { produceValues(t, c, "orders", from, 500) })
		produced += 500
		c.Kill(victim)
		await(t, "the rest is consumed", func() bool {
			watch()
			return seen.len() == produced
		})
		producing.Wait()
		requireCommitted(t, c, "g", "orders", int64(produced))
		c.Restart(victim)
		await(t, "all replicas are in sync", func() bool {
			for p := range int32(6) {
				if p < 5 && len(c.ISR("__consumer_offsets", p)) != 3 || len(c.ISR("orders", p)) != 3 {
					return false
				}
			}
			return true
		})
	}
}

// committedOffsets returns what a group has committed; nothing while no coordinator answers.
func committedOffsets(t *testing.T, c *cluster.Cluster, group string) (list []kadm.Offset) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	client := c.Client()
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil {
		return nil
	}
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil {
			list = append(list, o.Offset)
		}
	})
	return list
}

// coordinatorOf returns the broker that coordinates a group.
func coordinatorOf(t *testing.T, c *cluster.Cluster, group string) (id int32) {
	t.Helper()
	client := c.Client()
	defer client.Close()
	await(t, "group "+group+" has a coordinator", func() bool {
		d := kadm.NewClient(client).FindGroupCoordinators(deadline(t), group)[group]
		id = d.NodeID
		return d.Err == nil
	})
	return id
}

// TestGroupsWithKafka lets Gregor and Kafka coordinate the same groups in turn: each reads what the other has written,
// offsets and members, and goes on from there.
func TestGroupsWithKafka(t *testing.T) {
	props := cluster.Props{}
	for k, v := range groupProps {
		props[k] = v
	}
	props["offsets.topic.replication.factor"] = "2"
	c := cluster.Start(t, 0, props)
	kafka := c.AddKafka(nil)
	gregor := c.Add(nil)
	c.AwaitBrokers()
	c.CreateTopic("orders", 4, 2, nil)
	seen := &consumed{}
	startMember(t, c, "orders", "members", seen, kgo.InstanceID("one"))
	groups := []string{"a", "b", "c", "d", "e", "f"} // of several partitions
	committed := int64(0)
	commitAll := func() {
		t.Helper()
		committed += 10
		for _, group := range groups {
			var offsets kadm.Offsets
			offsets.Add(kadm.Offset{Topic: "orders", Partition: 0, At: committed, LeaderEpoch: -1, Metadata: "from " + group})
			await(t, "group "+group+" commits", func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				client := c.Client()
				defer client.Close()
				return kadm.NewClient(client).CommitAllOffsets(ctx, group, offsets) == nil
			})
		}
		produceValues(t, c, "orders", int(committed)*10, 100)
		await(t, "the member has all", func() bool { return seen.len() == int(committed)*10 })
	}
	check := func() {
		t.Helper()
		for _, group := range groups {
			requireCommitted(t, c, group, "orders", committed)
		}
		requireCommitted(t, c, "members", "orders", committed*10)
	}
	commitAll()
	for _, b := range []*cluster.Broker{kafka, gregor, kafka} {
		await(t, "both replicas are in sync", func() bool {
			for p := range int32(5) {
				if len(c.ISR("__consumer_offsets", p)) != 2 || p < 4 && len(c.ISR("orders", p)) != 2 {
					return false
				}
			}
			return true
		})
		c.Kill(b.ID())
		c.EndSession(b.ID()) // which a Kafka controller waits for
		check()
		commitAll()
		check()
		c.Restart(b.ID())
	}
}
