package integration

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
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

// described returns the value of a property as a broker shows it, and where that is from.
func described(t *testing.T, c *cluster.Cluster, b *cluster.Broker, kind kmsg.ConfigResourceType, name, property string) (string, kmsg.ConfigSource) {
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
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil || len(got.Configs) != 1 || got.Configs[0].Value == nil {
		t.Fatalf("describe %s of %q: %v, %+v", property, name, err, got.Configs)
	}
	return *got.Configs[0].Value, got.Configs[0].Source
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
	if err := produceOne(t, client, "orders", 5000); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("after a restart: %v, want MESSAGE_TOO_LARGE", err)
	}
	cluster.MustTool(t, nil, "kafka-configs", "--bootstrap-server", leader.Addr(), "--alter", "--delete-config", "max.message.bytes",
		"--entity-type", "topics", "--entity-name", "orders")
	c.Await("the default again", func() bool { return produceOne(t, client, "orders", 1500) == nil })
}

func startOffset(t *testing.T, client *kgo.Client, topic string) int64 {
	t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	asked := kmsg.NewListOffsetsRequestTopic()
	asked.Topic = topic
	part := kmsg.NewListOffsetsRequestTopicPartition()
	part.Timestamp = -2
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
