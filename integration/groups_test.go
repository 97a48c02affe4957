package integration

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

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

// TestGroupKafkaGo consumes with kafka-go's Reader, which goes on where another one has stopped.
func TestGroupKafkaGo(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 3, 1, nil)
	for round := range 2 {
		produceValues(t, c, "orders", round*50, 50)
		r := kafkago.NewReader(kafkago.ReaderConfig{
			Brokers: c.Addrs(), GroupID: "kafka-go", Topic: "orders", MaxWait: 100 * time.Millisecond,
			StartOffset: kafkago.FirstOffset, SessionTimeout: 6 * time.Second, RebalanceTimeout: 6 * time.Second,
		})
		seen := &consumed{}
		for range 50 {
			m, err := r.ReadMessage(deadline(t))
			if err != nil {
				t.Fatal(err)
			}
			seen.add(string(m.Value))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		for i := round * 50; i < round*50+50; i++ {
			if seen.times[fmt.Sprint(i)] != 1 {
				t.Errorf("round %d: record %d came %d times", round, i, seen.times[fmt.Sprint(i)])
			}
		}
	}
	requireCommitted(t, c, "kafka-go", "orders", 100)
}

// TestGroupTools consumes with librdkafka and with Java's consumer in one group after the other, and looks at the
// groups with Kafka's tool.
func TestGroupTools(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 2, 1, nil)
	produceValues(t, c, "orders", 0, 20)
	got := cluster.Kcat(t, nil, "-b", c.Bootstrap(), "-q", "-c", "20", "-o", "earliest", "-X", "auto.offset.reset=earliest",
		"-f", "%s\n", "-G", "rdkafka", "orders")
	if n := len(strings.Fields(string(got))); n != 20 {
		t.Errorf("kcat consumed %d records, want 20: %q", n, got)
	}
	requireCommitted(t, c, "rdkafka", "orders", 20)
	server := []string{"--bootstrap-server", c.Bootstrap()}
	run := func(tool string, args ...string) string {
		t.Helper()
		return string(cluster.MustTool(t, nil, tool, append(server, args...)...))
	}
	out := run("kafka-console-consumer", "--topic", "orders", "--group", "java", "--from-beginning", "--max-messages", "20")
	if n := len(strings.Fields(out)); n != 20 {
		t.Errorf("the console consumer printed %d records, want 20: %q", n, out)
	}
	requireCommitted(t, c, "java", "orders", 20)
	if out := run("kafka-consumer-groups", "--list"); !strings.Contains(out, "java") || !strings.Contains(out, "rdkafka") {
		t.Errorf("list printed %q", out)
	}
	out = run("kafka-consumer-groups", "--describe", "--group", "java")
	if strings.Count(out, "orders") != 2 || !strings.Contains(out, "java") {
		t.Errorf("describe printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--describe", "--group", "java", "--state"); !strings.Contains(out, "Empty") {
		t.Errorf("describe --state printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--delete-offsets", "--group", "java", "--topic", "orders:0"); !strings.Contains(out, "Successful") {
		t.Errorf("delete-offsets printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--delete", "--group", "rdkafka"); !strings.Contains(out, "was successful") {
		t.Errorf("delete printed %q", out)
	}
	if out := run("kafka-consumer-groups", "--list"); strings.Contains(out, "rdkafka") {
		t.Errorf("the deleted group is still listed: %q", out)
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
		check()
		commitAll()
		check()
		c.Restart(b.ID())
	}
}

// TestOldOffsets keeps the offsets of consumers before Kafka 0.9 in ZooKeeper, where Kafka's brokers find them.
func TestOldOffsets(t *testing.T) {
	c := cluster.Start(t, 0, groupProps)
	brokers := []*cluster.Broker{c.Add(nil), c.AddKafka(nil)}
	c.AwaitBrokers()
	c.CreateTopic("orders", 1, 2, nil)
	c.AwaitTopic("orders")
	for i, b := range brokers {
		other := brokers[1-i]
		for _, offset := range []int64{5, 7} { // made, then changed
			commit := kmsg.NewPtrOffsetCommitRequest()
			part, topic := kmsg.NewOffsetCommitRequestTopicPartition(), kmsg.NewOffsetCommitRequestTopic()
			part.Offset, part.Metadata = offset, kmsg.StringPtr("")
			topic.Topic, topic.Partitions = "orders", append(topic.Partitions, part)
			commit.Group, commit.Topics = fmt.Sprint("old-", i), append(commit.Topics, topic)
			if resp := askBroker(t, b, commit, 0).(*kmsg.OffsetCommitResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Fatalf("broker %d: commit: error %d", b.ID(), resp.Topics[0].Partitions[0].ErrorCode)
			}
			fetch := kmsg.NewPtrOffsetFetchRequest()
			fetch.Group, fetch.Topics = commit.Group, []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: []int32{0}}}
			p := askBroker(t, other, fetch, 0).(*kmsg.OffsetFetchResponse).Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.Offset != offset {
				t.Errorf("broker %d found offset %d, error %d, want %d", other.ID(), p.Offset, p.ErrorCode, offset)
			}
		}
	}
}

// askBroker sends a broker a request in the given version of its API.
func askBroker(t *testing.T, b *cluster.Broker, req kmsg.Request, version int16) kmsg.Response {
	t.Helper()
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(req.Key(), version)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	resp, err := client.SeedBrokers()[0].RetriableRequest(deadline(t), req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// saramaHandler marks what it sees; sarama commits it.
type saramaHandler struct{ seen *consumed }

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }
func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		h.seen.add(string(m.Value))
		s.MarkMessage(m, "")
	}
	return nil
}

// TestGroupSarama shares a topic between two members of sarama's, of which one leaves.
func TestGroupSarama(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 4, 1, nil)
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	seen := &consumed{}
	start := func() (stop func()) {
		g, err := sarama.NewConsumerGroup(c.Addrs(), "sarama", cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			for ctx.Err() == nil {
				if err := g.Consume(ctx, []string{"orders"}, saramaHandler{seen}); err != nil {
					return // the group is closed
				}
			}
		})
		return sync.OnceFunc(func() {
			cancel()
			running.Wait()
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	first := start()
	defer first()
	second := start()
	defer second()
	produceValues(t, c, "orders", 0, 500)
	await(t, "two members have all", func() bool { return seen.len() == 500 })
	first()
	produceValues(t, c, "orders", 500, 500)
	await(t, "the other has all", func() bool { return seen.len() == 1000 })
	requireCommitted(t, c, "sarama", "orders", 1000)
}

// TestGroupJavaCooperative shares a topic between two consumers of Java's that rebalance cooperatively.
func TestGroupJavaCooperative(t *testing.T) {
	c := cluster.Start(t, 1, groupProps)
	c.CreateTopic("orders", 4, 1, nil)
	produceValues(t, c, "orders", 0, 200)
	args := []string{
		"--bootstrap-server", c.Bootstrap(), "--topic", "orders", "--group", "java", "--from-beginning", "--timeout-ms", "8000",
		"--consumer-property", "partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
	}
	var outputs [2]string
	var running sync.WaitGroup
	for i := range outputs {
		running.Go(func() { outputs[i] = string(cluster.Tool(t, nil, "kafka-console-consumer", args...).Stdout) })
	}
	running.Wait()
	values := map[string]bool{}
	for _, v := range strings.Fields(outputs[0] + outputs[1]) {
		values[v] = true
	}
	if len(values) != 200 {
		t.Errorf("two consumers printed %d of 200 records", len(values))
	}
	requireCommitted(t, c, "java", "orders", 200)
}
