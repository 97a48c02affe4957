package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// startThree starts three brokers as those that the sessions were recorded with: each in a rack of its own,
// the third with two log directories. With GREGORCTL_KAFKA set they are Apache Kafka's.
func startThree(t *testing.T) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs ZooKeeper and brokers")
	}
	c := cluster.Start(t, 0, cluster.Props{"auto.leader.rebalance.enable": "false", "offsets.topic.num.partitions": "5"})
	dirs := t.TempDir()
	for id := range 3 {
		props := cluster.Props{"broker.rack": fmt.Sprintf("rack%d", id+1), "log.dirs": filepath.Join(dirs, fmt.Sprint(id+1))}
		if id == 2 {
			props["log.dirs"] += "," + filepath.Join(dirs, "3b")
		}
		if os.Getenv("GREGORCTL_KAFKA") != "" {
			c.AddKafka(props)
		} else {
			c.Add(props)
		}
	}
	t.Setenv("DIRS", dirs)
	return c
}

// session replays a session with three brokers.
func session(t *testing.T, c *cluster.Cluster, name string, rules []rule, happen func(note string)) {
	t.Helper()
	words := strings.NewReplacer("127.0.0.1:22061", c.Addrs()[0], "127.0.0.1:22999", closedAddress(t), "127.0.0.1:22006/kafka", c.ZooKeeper(), "/var/lib/kafka", os.Getenv("DIRS"))
	replay(t, name, rules, words.Replace, happen)
}

// fillTopic sends records of a size to a topic.
func fillTopic(t *testing.T, c *cluster.Cluster, topic string, records, size int) {
	t.Helper()
	client := c.Client(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range records {
		client.Produce(ctx, &kgo.Record{Value: bytes.Repeat([]byte("x"), size)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce to %s: %v", topic, err)
			}
		})
	}
	if err := client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// awaitReplicas waits until all brokers know so many replicas of each partition of a topic.
func awaitReplicas(t *testing.T, c *cluster.Cluster, topic string, counts ...int) {
	t.Helper()
	client := c.Client()
	c.Await(fmt.Sprintf("%d replicas of %s", counts, topic), func() bool {
		for _, b := range c.Brokers() {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &topic})
			resp, err := client.Broker(int(b.ID())).Request(t.Context(), req)
			if err != nil {
				return false
			}
			for _, p := range resp.(*kmsg.MetadataResponse).Topics[0].Partitions {
				if len(p.Replicas) != counts[p.Partition] {
					return false
				}
			}
		}
		return true
	})
}

// TestReassignSession replays moves of replicas between brokers and between directories.
func TestReassignSession(t *testing.T) {
	c := startThree(t)
	known := func(counts ...int) func(*testing.T) {
		return func(t *testing.T) { awaitReplicas(t, c, "moving", counts...) }
	}
	rules := []rule{
		{contains: "--generate", random: true},
		{contains: "--additional", before: known(3, 3)},
		{contains: "--execute --throttle 1000", before: known(2, 2)},
		{contains: "dirs.json --execute", before: known(3, 2)},
		{contains: "--list", eventual: true},
		{contains: "--verify", eventual: true},
		{contains: "--describe", eventual: true},
	}
	session(t, c, "kafka-reassign-partitions", rules, func(note string) {
		if strings.HasPrefix(note, "kafka-producer-perf-test") {
			fillTopic(t, c, "moving", 12_000, 1000)
		}
	})
	requireDirs(t, c)
}

// requireDirs checks that the directories of brokers hold what the session has put there.
func requireDirs(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	stdout, stderr, status := execute(t, "", "kafka-log-dirs", "--bootstrap-server", c.Addrs()[0], "--describe", "--topic-list", "moving")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if status != 0 || len(lines) != 3 || lines[1] != "Received log directory information from brokers 1,2,3" {
		t.Fatalf("ended with %d\n%s%s", status, stdout, stderr)
	}
	var described struct {
		Brokers []struct {
			Broker  int
			LogDirs []struct {
				LogDir     string
				Error      *string
				Partitions []struct {
					Partition string
					Size      int64
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(lines[2]), &described); err != nil {
		t.Fatal(err)
	}
	places := map[string]string{}
	for _, b := range described.Brokers {
		for _, dir := range b.LogDirs {
			for _, p := range dir.Partitions {
				if p.Size < 1_000_000 || dir.Error != nil {
					t.Errorf("%s in %s: %+v", p.Partition, dir.LogDir, p)
				}
				places[fmt.Sprintf("%s-%d", p.Partition, b.Broker)] = filepath.Base(dir.LogDir)
			}
		}
	}
	for replica, want := range map[string]string{"moving-0-1": "1", "moving-0-2": "2", "moving-0-3": "3b", "moving-1-2": "2"} {
		if places[replica] != want {
			t.Errorf("%s lies in %q, want %q", replica, places[replica], want)
		}
	}
}

// TestElectionSession replays elections while the third broker dies and comes back.
func TestElectionSession(t *testing.T) {
	c := startThree(t)
	ofSession := regexp.MustCompile(`Topic: el\d?\t`)
	rules := []rule{
		{contains: "--under-replicated-partitions", only: ofSession},
		{contains: "--at-min-isr-partitions", only: ofSession},
		{contains: "--topic only3", skip: "takes the controller 30 seconds"},
		{contains: "kafka-topics --bootstrap-server " + c.Addrs()[0] + " --list", skip: "shows the topics of a longer session"},
		{contains: "--election-type preferred --all-topic-partitions", only: regexp.MustCompile("^Timeout")},
		{contains: "--describe", eventual: true},
	}
	state := func(topic string, leader int32, isr ...int32) {
		t.Helper()
		c.Await(fmt.Sprintf("leader %d of %s-0", leader, topic), func() bool {
			now := c.ISR(topic, 0)
			slices.Sort(now)
			return c.Leader(topic, 0) == leader && slices.Equal(now, isr)
		})
	}
	session(t, c, "kafka-leader-election", rules, func(note string) {
		switch note {
		case "broker 3 is killed, its session has expired":
			c.Kill(3)
			state("el", 1, 1)
		case "broker 3 is started again":
			c.Restart(3)
		case "broker 3 is killed and started again; leader of el2-0 stays on broker 1":
			c.Kill(3)
			state("el2", 1, 1)
			c.Restart(3)
			state("el2", 1, 1, 3)
		}
	})
}

// TestConfigsSession replays changes of configurations, quotas and credentials.
func TestConfigsSession(t *testing.T) {
	c := startThree(t)
	create := func(topic string, further ...string) {
		t.Helper()
		args := append([]string{"kafka-topics", "--bootstrap-server", c.Addrs()[0], "--create", "--topic", topic}, further...)
		if _, stderr, status := execute(t, "", args...); status != 0 {
			t.Fatalf("%v ended with %d\n%s", args, status, stderr)
		}
	}
	create("placed", "--replica-assignment", "1:2:3,2:3:1")
	create("x")
	create("orders", "--partitions", "5", "--replication-factor", "2")
	create("logs", "--replication-factor", "3", "--config", "cleanup.policy=compact", "--config", "min.insync.replicas=2")
	rules := []rule{
		{contains: "--describe --broker 1 --all", skip: "depends on how brokers are configured"},
		{contains: "--describe --entity-type broker-loggers", skip: "brokers have loggers of their own"},
		{contains: "--broker 99 ", skip: "waits for a broker that never comes"},
		{contains: "--delete-config producer_byte_rate,request_percentage", needs: kmsg.AlterClientQuotas, once: true},
		{contains: "SCRAM", needs: kmsg.AlterUserSCRAMCredentials},
		{contains: "--user bob", needs: kmsg.AlterUserSCRAMCredentials},
		{contains: "_rate=", needs: kmsg.AlterClientQuotas},
		{contains: "--delete-config connection_creation_rate", needs: kmsg.AlterClientQuotas},
		{contains: "--describe --entity-type clients", needs: kmsg.DescribeClientQuotas},
		{contains: "--describe --entity-type ips", needs: kmsg.DescribeClientQuotas},
		{contains: "--describe --user alice", needs: kmsg.DescribeClientQuotas},
		{contains: "--describe --entity-type users", needs: kmsg.DescribeUserSCRAMCredentials},
		{contains: "--describe", eventual: true},
	}
	session(t, c, "kafka-configs", servedRules(t, c.Addrs()[0], rules), func(string) {})
}

// TestConfigsRefused replays command lines that are refused, and those about quotas and credentials with a broker that has no such
// thing.
func TestConfigsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("needs ZooKeeper and a broker")
	}
	c := cluster.Start(t, 0, nil)
	if os.Getenv("GREGORCTL_KAFKA") != "" {
		c.AddKafka(nil)
	} else {
		c.Add(nil)
	}
	c.CreateTopic("orders", 1, 1, nil)
	t.Run("refused", func(t *testing.T) { session(t, c, "kafka-configs-refused", nil, func(string) {}) })
	t.Run("unserved", func(t *testing.T) {
		for _, key := range []kmsg.Key{kmsg.AlterClientQuotas, kmsg.AlterUserSCRAMCredentials} {
			if serves(t, c.Addrs()[0], key) {
				t.Skipf("the broker serves %s", key.Name())
			}
		}
		session(t, c, "kafka-configs-unserved", nil, func(string) {})
	})
}
