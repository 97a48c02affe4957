package integration

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// alter runs Kafka's own kafka-configs with --alter; add is as in name=value,name=value.
func alter(t *testing.T, c *cluster.Cluster, kind, name, add string) {
	t.Helper()
	args := []string{"--bootstrap-server", c.Bootstrap(), "--alter", "--add-config", add, "--entity-type", kind}
	if name == "" {
		args = append(args, "--entity-default")
	} else {
		args = append(args, "--entity-name", name)
	}
	cluster.MustTool(t, nil, "kafka-configs", args...)
}

// alterAt has a broker set properties of a topic, a broker or, without a name, all brokers. Nil unsets.
func alterAt(t *testing.T, c *cluster.Cluster, b *cluster.Broker, kind kmsg.ConfigResourceType, name string, set map[string]*string) {
	t.Helper()
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kind, name
	for key, value := range set {
		op := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		op.Name, op.Value = key, value
		if value == nil {
			op.Op = kmsg.IncrementalAlterConfigOpDelete
		}
		resource.Configs = append(resource.Configs, op)
	}
	req.Resources = append(req.Resources, resource)
	resp, err := req.RequestWith(t.Context(), c.Client(kgo.SeedBrokers(b.Addr())).Broker(int(b.ID())))
	if err != nil {
		t.Fatal(err)
	}
	if r := resp.Resources[0]; r.ErrorCode != 0 {
		t.Fatalf("alter %s of %q: %v: %s", kind, name, kerr.ErrorForCode(r.ErrorCode), *r.ErrorMessage)
	}
}

// described returns the value of a property as a broker shows it, and where that is from.
func described(t *testing.T, c *cluster.Cluster, b *cluster.Broker, kind kmsg.ConfigResourceType, name, property string) (value string, source kmsg.ConfigSource) {
	t.Helper()
	client := c.Client(kgo.SeedBrokers(b.Addr()))
	req := kmsg.NewPtrDescribeConfigsRequest()
	asked := kmsg.NewDescribeConfigsRequestResource()
	asked.ResourceType, asked.ResourceName, asked.ConfigNames = kind, name, []string{property}
	req.Resources = append(req.Resources, asked)
	resp, err := req.RequestWith(t.Context(), client.Broker(int(b.ID())))
	if err != nil {
		t.Fatal(err)
	}
	got := resp.Resources[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil || len(got.Configs) != 1 {
		t.Fatalf("describe %s of %q: %v, %+v", property, name, err, got.Configs)
	}
	if value = "null"; got.Configs[0].Value != nil {
		value = *got.Configs[0].Value
	}
	return value, got.Configs[0].Source
}

// produceOne sends one record to partition 0 and returns what the broker says to it.
func produceOne(t *testing.T, client *kgo.Client, topic string, size int) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: bytes.Repeat([]byte("v"), size)}).FirstErr()
}

// TestTopicConfigsTakeEffect: a topic's properties are changed by Kafka's tool, and hold without a restart, and
// after one.
func TestTopicConfigsTakeEffect(t *testing.T) {
	c := cluster.Start(t, 2, cluster.Props{
		"log.retention.check.interval.ms": "200", "log.initial.task.delay.ms": "0", "replica.lag.time.max.ms": "1500",
	})
	c.CreateTopic("orders", 1, 2, nil)
	client := c.Client(kgo.ProducerBatchMaxBytes(2<<20), kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := produceOne(t, client, "orders", 500_000); err != nil {
		t.Fatal(err)
	}

	alter(t, c, "topics", "orders", "max.message.bytes=1000,segment.bytes=2000")
	c.Await("refusal of a large record", func() bool {
		return errors.Is(produceOne(t, client, "orders", 5000), kerr.MessageTooLarge)
	})
	alter(t, c, "topics", "orders", "retention.bytes=0")
	c.Await("deletion of what is beyond retention.bytes", func() bool {
		if err := produceOne(t, client, "orders", 500); err != nil {
			t.Fatal(err)
		}
		return startOffset(t, client, "orders") > 0
	})

	alter(t, c, "topics", "orders", "min.insync.replicas=2")
	follower := 3 - c.Leader("orders", 0)
	c.Stop(follower)
	c.Await("refusal for want of in-sync replicas", func() bool {
		return errors.Is(produceOne(t, client, "orders", 10), kerr.NotEnoughReplicas)
	})
	alter(t, c, "topics", "orders", "min.insync.replicas=1")
	c.Await("produce with one replica", func() bool { return produceOne(t, client, "orders", 10) == nil })

	leader := c.Broker(3 - follower)
	c.Restart(leader.ID())
	c.AwaitTopic("orders")
	c.Await("an answer after a restart", func() bool {
		err := produceOne(t, client, "orders", 5000)
		if err == nil {
			t.Error("a large record is taken after a restart")
		}
		return err == nil || errors.Is(err, kerr.MessageTooLarge)
	})
	cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", leader.Addr(), "--alter", "--delete-config", "max.message.bytes",
		"--entity-type", "topics", "--entity-name", "orders")
	c.Await("the default again", func() bool { return produceOne(t, client, "orders", 1500) == nil })
}

func startOffset(t *testing.T, client *kgo.Client, topic string) int64 {
	t.Helper()
	return offsetAt(t, client, topic, -2)
}

// offsetAt asks for an offset of partition 0 by a timestamp, or what stands for one.
func offsetAt(t *testing.T, client *kgo.Client, topic string, timestamp int64) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Timestamp = timestamp
	asked.Partitions = append(asked.Partitions, part)
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0].Offset
}

// TestBrokerConfigsTakeEffect: defaults of topics are changed for all brokers and for one, and unset.
func TestBrokerConfigsTakeEffect(t *testing.T) {
	c := cluster.Start(t, 2, nil)
	c.CreateTopic("orders", 1, 1, nil)
	c.CreateTopic("large", 1, 1, cluster.Props{"max.message.bytes": "3000"})
	client := c.Client(kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	alter(t, c, "brokers", "", "message.max.bytes=2000")
	c.Await("the default of all", func() bool {
		return errors.Is(produceOne(t, client, "orders", 2500), kerr.MessageTooLarge)
	})
	if err := produceOne(t, client, "large", 2500); err != nil {
		t.Errorf("a topic's own limit: %v", err)
	}
	leader := c.Broker(c.Leader("orders", 0))
	if value, source := described(t, c, leader, kmsg.ConfigResourceTypeTopic, "orders", "max.message.bytes"); value != "2000" || source != kmsg.ConfigSourceDynamicDefaultBrokerConfig {
		t.Errorf("the topic shows %s from %s", value, source)
	}
	id := string('0' + rune(leader.ID()))
	alter(t, c, "brokers", id, "message.max.bytes=4000,max.connections.per.ip=100")
	c.Await("this broker's own", func() bool { return produceOne(t, client, "orders", 2500) == nil })
	c.Restart(leader.ID())
	c.AwaitTopic("orders")
	if value, source := described(t, c, leader, kmsg.ConfigResourceTypeBroker, id, "message.max.bytes"); value != "4000" || source != kmsg.ConfigSourceDynamicBrokerConfig {
		t.Errorf("after a restart the broker shows %s from %s", value, source)
	}
	out := string(cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", leader.Addr(), "--describe", "--entity-type", "brokers", "--entity-name", id))
	for _, want := range []string{
		"message.max.bytes=4000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:message.max.bytes=4000, " +
			"DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000, DEFAULT_CONFIG:message.max.bytes=1048588}",
		"max.connections.per.ip=100 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:max.connections.per.ip=100, DEFAULT_CONFIG:max.connections.per.ip=2147483647}",
	} {
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool { return strings.TrimSpace(line) == want }) {
			t.Errorf("kafka-configs does not show %q:\n%s", want, out)
		}
	}
}

// TestConfigsWithKafka: what a Kafka broker is told to change takes effect in Gregor, and the other way round.
func TestConfigsWithKafka(t *testing.T) {
	c := cluster.Start(t, 0, cluster.Props{"password.encoder.secret": "both"})
	kafka := c.AddKafka(nil)
	gregor := c.Add(nil)
	brokers := map[int32]*cluster.Broker{kafka.ID(): kafka, gregor.ID(): gregor}
	client := c.Client(kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	refused := func(topic string, size int) bool {
		return errors.Is(produceOne(t, client, topic, size), kerr.MessageTooLarge)
	}
	for name, other := range map[string]*cluster.Broker{"led-by-gregor": kafka, "led-by-kafka": gregor} {
		for tries := 0; ; tries++ { // until the leader is who it must be
			topic := name + strconv.Itoa(tries)
			c.CreateTopic(topic, 1, 1, nil)
			if brokers[c.Leader(topic, 0)] == other {
				continue
			}
			alterAt(t, c, other, kmsg.ConfigResourceTypeTopic, topic, map[string]*string{"max.message.bytes": new("1000")})
			c.Await("the topic's limit on "+topic, func() bool { return refused(topic, 1500) })
			alterAt(t, c, other, kmsg.ConfigResourceTypeTopic, topic, map[string]*string{"max.message.bytes": nil})
			c.Await("no limit of the topic "+topic, func() bool { return !refused(topic, 1500) })
			alterAt(t, c, other, kmsg.ConfigResourceTypeBroker, "", map[string]*string{"message.max.bytes": new("2000")})
			c.Await("the limit of all brokers on "+topic, func() bool { return refused(topic, 2500) })
			alterAt(t, c, other, kmsg.ConfigResourceTypeBroker, "", map[string]*string{"message.max.bytes": nil})
			c.Await("the default on "+topic, func() bool { return !refused(topic, 2500) })
			break
		}
	}
	// Quotas of clients are Kafka's affair; their notes must not disturb.
	limitUser(t, c, kafka)
	alterAt(t, c, kafka, kmsg.ConfigResourceTypeBroker, "", map[string]*string{"log.retention.ms": new("12345678")})
	c.Await("a change after that of a quota", func() bool {
		value, source := described(t, c, gregor, kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(gregor.ID())), "log.retention.ms")
		return value == "12345678" && source == kmsg.ConfigSourceDynamicDefaultBrokerConfig
	})
	// Both describe it in the same way.
	if g, k := describedByTool(t, gregor), describedByTool(t, kafka); g != k {
		t.Errorf("Gregor describes the defaults of brokers as\n%s\nKafka as\n%s", g, k)
	}
}

// limitUser has a Kafka broker set a quota for a user with any client id.
func limitUser(t *testing.T, c *cluster.Cluster, b *cluster.Broker) {
	t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = []kmsg.AlterClientQuotasRequestEntry{{
		Entity: []kmsg.AlterClientQuotasRequestEntryEntity{{Type: "user", Name: new("alice")}, {Type: "client-id"}},
		Ops:    []kmsg.AlterClientQuotasRequestEntryOp{{Key: "producer_byte_rate", Value: 1e8}},
	}}
	resp, err := req.RequestWith(t.Context(), c.Client(kgo.SeedBrokers(b.Addr())).Broker(int(b.ID())))
	if err != nil || resp.Entries[0].ErrorCode != 0 {
		t.Fatalf("limit a user: %v, %+v", err, resp)
	}
}

func describedByTool(t *testing.T, b *cluster.Broker) string {
	t.Helper()
	return string(cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", b.Addr(), "--describe", "--entity-type", "brokers", "--entity-default"))
}

// TestConfigsAfterALostSession: a broker that was away while a configuration was changed, and while the note of
// that came and went, has it in force when it is back.
func TestConfigsAfterALostSession(t *testing.T) {
	c := cluster.Start(t, 2, nil)
	c.CreateTopic("orders", 1, 1, nil)
	client := c.Client(kgo.RecordRetries(0), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	away := c.Leader("orders", 0)
	other := c.Broker(3 - away)
	epoch := c.Epoch(away)
	c.Pause(away)
	c.EndSession(away)
	c.Controller() // without one no configuration is written, and it may have been the broker that is away
	alterAt(t, c, other, kmsg.ConfigResourceTypeTopic, "orders", map[string]*string{"max.message.bytes": new("1000")})
	alterAt(t, c, other, kmsg.ConfigResourceTypeBroker, "", map[string]*string{"log.retention.ms": new("12345678")})
	zk := connectZooKeeper(t, c)
	notes, _, err := zk.Children(t.Context(), zkutil.ConfigChangesPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, note := range notes {
		if err := zk.Delete(t.Context(), zkutil.Join(zkutil.ConfigChangesPath, note), zkutil.AnyVersion); err != nil {
			t.Fatal(err)
		}
	}
	c.Resume(away)
	c.Await("return", func() bool { return c.Epoch(away) > epoch })
	c.Await("the topic's limit", func() bool { return errors.Is(produceOne(t, client, "orders", 1500), kerr.MessageTooLarge) })
	c.Await("the default of all brokers", func() bool {
		value, _ := described(t, c, c.Broker(away), kmsg.ConfigResourceTypeTopic, "orders", "retention.ms")
		return value == "12345678"
	})
}

// TestLevelsOfLoggers are changed by Kafka's tool, and forgotten at a restart.
func TestLevelsOfLoggers(t *testing.T) {
	c := cluster.Start(t, 1, nil)
	level := func(name string) string {
		value, source := described(t, c, c.Broker(1), kmsg.ConfigResourceTypeBrokerLogger, "1", name)
		if source != kmsg.ConfigSourceDynamicBrokerLoggerConfig {
			t.Errorf("%s is from %s", name, source)
		}
		return value
	}
	alter(t, c, "broker-loggers", "1", "kafka.log.LogManager=DEBUG,root=WARN")
	if got := []string{level("kafka.log.LogManager"), level("root"), level("kafka.controller.KafkaController")}; !slices.Equal(got, []string{"DEBUG", "WARN", "WARN"}) {
		t.Errorf("levels %v", got)
	}
	c.CreateTopic("orders", 1, 1, nil)
	c.Await("debugging output", func() bool { return strings.Contains(c.Broker(1).LogSince(0), "] DEBUG Created log") })
	c.Restart(1)
	if got := level("kafka.log.LogManager"); got != "INFO" {
		t.Errorf("after a restart the level is %s", got)
	}
}

// TestListenersChange: a broker listens on one more address, says so, and not any more.
func TestListenersChange(t *testing.T) {
	c := cluster.Start(t, 2, cluster.Props{"listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,EXTRA:PLAINTEXT"})
	c.CreateTopic("orders", 1, 2, nil)
	b := c.Broker(1)
	port, err := cluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	extra := "127.0.0.1:" + strconv.Itoa(port)
	alterAt(t, c, b, kmsg.ConfigResourceTypeBroker, "1", map[string]*string{
		"listeners": new("PLAINTEXT://" + b.Addr() + ",EXTRA://" + extra), "max.connections.per.ip": new("200"),
	})
	brokers := func(addr string, timeout time.Duration) (endpoints []string) {
		client, err := kgo.NewClient(kgo.SeedBrokers(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		if err != nil {
			return nil
		}
		for _, b := range resp.Brokers {
			endpoints = append(endpoints, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
		}
		return endpoints
	}
	c.Await("metadata of the new listener", func() bool { return slices.Equal(brokers(extra, time.Second), []string{extra}) })
	if got := brokers(b.Addr(), patience); len(got) != 2 {
		t.Errorf("brokers %v on the listener that has stayed", got)
	}
	alterAt(t, c, b, kmsg.ConfigResourceTypeBroker, "1", map[string]*string{"listeners": nil})
	c.Await("end of the new listener", func() bool {
		conn, err := net.DialTimeout("tcp", extra, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	acked := c.Produce("orders", 100)
	c.RequireReadable("orders", acked, patience)

	alterAt(t, c, b, kmsg.ConfigResourceTypeBroker, "1", map[string]*string{"advertised.listeners": new("PLAINTEXT://localhost:" + strings.Split(b.Addr(), ":")[1])})
	c.Await("another name for the broker", func() bool {
		return slices.ContainsFunc(brokers(c.Broker(2).Addr(), patience), func(e string) bool { return strings.HasPrefix(e, "localhost:") })
	})
}

// TestUncleanElectionIsAllowedLater: a partition whose in-sync replicas are dead gets a leader once its topic, or
// the default of brokers, allows it.
func TestUncleanElectionIsAllowedLater(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"replica.lag.time.max.ms": "1500", "controlled.shutdown.enable": "false"})
	controller := c.Controller()
	var followers []int32
	for _, b := range c.Brokers() {
		if b.ID() != controller {
			followers = append(followers, b.ID())
		}
	}
	names := []string{"by-topic", "by-default"}
	for _, name := range names {
		createOn(t, c, name, followers)
	}
	kill := func(id int32) {
		c.Kill(id)
		c.EndSession(id)
	}
	kill(followers[1])
	for _, name := range names {
		c.Await("ISR of one", func() bool { return len(c.ISR(name, 0)) == 1 })
	}
	kill(followers[0])
	c.Restart(followers[1])
	zk := connectZooKeeper(t, c)
	led := func(name string) func() bool {
		return func() bool {
			state := zk.PartitionStates(t.Context(), []topic.Partition{{Topic: name}})[0]
			return state.Err == nil && state.State.Leader == followers[1]
		}
	}
	for _, name := range names {
		if led(name)() {
			t.Fatalf("%s is led by a replica that was out of sync", name)
		}
	}
	b := c.Broker(controller)
	alterAt(t, c, b, kmsg.ConfigResourceTypeTopic, "by-topic", map[string]*string{"unclean.leader.election.enable": new("true")})
	c.Await("a leader of the topic that allows it", led("by-topic"))
	if led("by-default")() {
		t.Error("another topic has got a leader, too")
	}
	alterAt(t, c, b, kmsg.ConfigResourceTypeBroker, "", map[string]*string{"unclean.leader.election.enable": new("true")})
	c.Await("a leader by default", led("by-default"))
}

func connectZooKeeper(t *testing.T, c *cluster.Cluster) *zkutil.Client {
	t.Helper()
	zk, err := zkutil.Connect(t.Context(), zkutil.Options{Connect: c.ZooKeeper(), SessionTimeout: 10 * time.Second, ConnectionTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(zk.Close)
	return zk
}

// createOn creates a topic of one partition on the given brokers, the first of which leads.
func createOn(t *testing.T, c *cluster.Cluster, topic string, replicas []int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = topic, -1, -1
	asked.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Replicas: replicas}}
	req.Topics, req.TimeoutMillis = append(req.Topics, asked), int32(patience.Milliseconds())
	resp, err := req.RequestWith(t.Context(), c.Client())
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		t.Fatalf("create %s: %v, %+v", topic, err, resp)
	}
}
