package main

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// groupsProps are those of the broker that the session of kafka-consumer-groups was recorded with.
var groupsProps = cluster.Props{
	"offsets.topic.num.partitions":     "5",
	"offsets.topic.replication.factor": "1",
	"group.initial.rebalance.delay.ms": "0",
	"log.retention.ms":                 "-1", // the records are old
	"auto.create.topics.enable":        "false",
}

// startGroups starts a broker with groups in every state. With GREGORCTL_KAFKA set it is Apache Kafka's.
func startGroups(t *testing.T) *cluster.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs ZooKeeper and a broker")
	}
	c := cluster.Start(t, 0, groupsProps)
	if os.Getenv("GREGORCTL_KAFKA") != "" {
		c.AddKafka(nil)
	} else {
		c.Add(nil)
	}
	c.AwaitBrokers()
	for topic, counts := range groupTopics {
		c.CreateTopic(topic, int32(len(counts)), 1, nil)
		fillGroupTopic(t, c, topic, counts)
	}
	admin := kadm.NewClient(c.Client())
	deleted := kadm.Offsets{}
	deleted.AddOffset("orders", 1, 3, -1)
	if _, err := admin.DeleteRecords(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	commitGroups(t, admin)
	startActive(t, c)
	startUnfinished(t, c)
	return c
}

// groupTopics are the topics with the number of records in each partition, an hour apart from midnight on.
var groupTopics = map[string][]int{
	"orders":                             {10, 20, 0, 5, 7},
	"payments":                           {3, 4, 5},
	"audit":                              {2},
	"a-topic-with-a-rather-long-name.v1": {1, 2},
	"late":                               {1},
	"numbers":                            {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
}

func fillGroupTopic(t *testing.T, c *cluster.Cluster, topic string, counts []int) {
	t.Helper()
	client := c.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	var records []*kgo.Record
	for partition, n := range counts {
		for i := range n {
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(partition), Value: []byte("v"),
				Timestamp: start.Add(time.Duration(i) * time.Hour)})
		}
	}
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// commitGroups commits offsets for groups without members.
func commitGroups(t *testing.T, admin *kadm.Client) {
	t.Helper()
	all := map[string]map[string][]int64{ // -1: none
		"empty":   {"orders": {5, 5, 0, 5, 1}},
		"partial": {"orders": {2, -1, -1, 4}, "payments": {1, 1, -1}},
		"many":    {"orders": {1, 9, 0, 1, 1}, "payments": {3, 4, 5}, "audit": {1}, "a-topic-with-a-rather-long-name.v1": {0, 1}},
		"wide":    {"numbers": {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 1}},
		"ahead":   {"orders": {99, 1, 7}},
		"a-group-with-a-name-that-needs-a-wide-column": {"a-topic-with-a-rather-long-name.v1": {1, 1}},
		"gone":              {"late": {1}, "orders": {1}},
		"with space, comma": {"audit": {1}},
		"reset-1":           {"orders": {5, 5, 0, 5, 1}},
		"reset-2":           {"orders": {5, 5, 0, 5, 1}, "payments": {1, 1, 1}},
		"reset-3":           {"orders": {5, 5, 0, 5, 1}, "payments": {1, 1, 1}},
		"delete-1":          {"orders": {5, 5, 0, 5, 1}},
		"delete-2":          {"orders": {5, 5, 0, 5, 1}},
		"delete-3":          {"orders": {5, 5, 0, 5, 1}, "payments": {1, 1, 1}},
	}
	for group, topics := range all {
		offsets := kadm.Offsets{}
		for topic, of := range topics {
			for partition, offset := range of {
				if offset >= 0 {
					offsets.AddOffset(topic, int32(partition), offset, -1)
				}
			}
		}
		if err := admin.CommitAllOffsets(t.Context(), group, offsets); err != nil {
			t.Fatalf("commit for %s: %v", group, err)
		}
	}
	if _, err := admin.DeleteTopics(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
}

// startActive starts the members of a stable group: each has another number of partitions, one of them none.
func startActive(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	join := func(id string, opts ...kgo.Opt) *kgo.Client {
		client := c.Client(append([]kgo.Opt{kgo.ClientID(id), kgo.ConsumerGroup("active"), kgo.Balancers(kgo.RangeBalancer()),
			kgo.DisableAutoCommit(), kgo.HeartbeatInterval(100 * time.Millisecond)}, opts...)...)
		go client.PollFetches(t.Context())
		return client
	}
	member := join("app1", kgo.ConsumeTopics("orders"))
	join("app2", kgo.ConsumeTopics("orders", "payments"), kgo.InstanceID("static-1"))
	join("a-client-with-a-long-name", kgo.ConsumeTopics("audit"))
	join("idle", kgo.ConsumeTopics("audit"))
	admin := kadm.NewClient(c.Client())
	c.Await("the active group to be stable", func() bool {
		described, err := admin.DescribeGroups(t.Context(), "active")
		group := described["active"]
		return err == nil && group.State == "Stable" && len(group.Members) == 4
	})
	committed := map[string]map[int32]kgo.EpochOffset{
		"orders":  {0: {Epoch: -1, Offset: 5}, 4: {Epoch: -1, Offset: 7}},
		"numbers": {3: {Epoch: -1, Offset: 1}, 12: {Epoch: -1, Offset: 0}},
	}
	c.Await("the commit of the active group", func() bool {
		var failure error
		member.CommitOffsetsSync(t.Context(), committed, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			if failure = err; err == nil {
				failure = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
			}
		})
		return failure == nil
	})
}

// startUnfinished leaves groups in the middle of a rebalance, and one that is not of consumers.
func startUnfinished(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	syncRaw(t, c, "preparing", joinRaw(t, c, "preparing", "consumer"))
	second := c.Client(kgo.ClientID("second"), kgo.RequestTimeoutOverhead(15*time.Minute))
	go join(t.Context(), second, "preparing", "consumer") // it waits for the first
	joinRaw(t, c, "completing", "consumer")
	syncRaw(t, c, "connectors", joinRaw(t, c, "connectors", "connect"))
	admin := kadm.NewClient(c.Client())
	for group, state := range map[string]string{"preparing": "PreparingRebalance", "completing": "CompletingRebalance", "connectors": "Stable"} {
		c.Await(fmt.Sprintf("%s to be %s", group, state), func() bool {
			described, err := admin.DescribeGroups(t.Context(), group)
			return err == nil && described[group].State == state
		})
	}
}

// joinRaw makes a member of a group that does nothing more.
func joinRaw(t *testing.T, c *cluster.Cluster, group, protocolType string) *kmsg.JoinGroupResponse {
	t.Helper()
	resp, err := join(t.Context(), c.Client(kgo.ClientID("raw"), kgo.RequestTimeoutOverhead(15*time.Minute)), group, protocolType)
	if err != nil {
		t.Fatalf("join %s: %v", group, err)
	}
	return resp
}

func join(ctx context.Context, client *kgo.Client, group, protocolType string) (*kmsg.JoinGroupResponse, error) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = group, protocolType
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 1_800_000, 1_800_000
	protocol := kmsg.NewJoinGroupRequestProtocol()
	protocol.Name = "range"
	metadata := kmsg.NewConsumerMemberMetadata()
	metadata.Topics = []string{"orders"}
	protocol.Metadata = metadata.AppendTo(nil)
	req.Protocols = append(req.Protocols, protocol)
	for {
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return nil, err
		}
		if resp.ErrorCode != kerr.MemberIDRequired.Code {
			return resp, kerr.ErrorForCode(resp.ErrorCode)
		}
		req.MemberID = resp.MemberID
	}
}

func syncRaw(t *testing.T, c *cluster.Cluster, group string, joined *kmsg.JoinGroupResponse) {
	t.Helper()
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation = group, joined.MemberID, joined.Generation
	req.ProtocolType, req.Protocol = joined.ProtocolType, joined.Protocol
	assignment := kmsg.NewSyncGroupRequestGroupAssignment()
	assignment.MemberID = joined.MemberID
	of := kmsg.NewConsumerMemberAssignment()
	of.Topics = append(of.Topics, kmsg.ConsumerMemberAssignmentTopic{Topic: "orders", Partitions: []int32{0, 1, 2, 3, 4}})
	assignment.MemberAssignment = of.AppendTo(nil)
	req.GroupAssignment = append(req.GroupAssignment, assignment)
	resp, err := c.Client().Request(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.(*kmsg.SyncGroupResponse).ErrorCode); err != nil {
		t.Fatalf("sync %s: %v", group, err)
	}
}

// TestGroupsSession replays what kafka-consumer-groups answered about groups in every state.
func TestGroupsSession(t *testing.T) {
	c := startGroups(t)
	rules := []rule{
		{contains: " --list", unsorted: true}, // in the order in which brokers list them, where Java's does not tell
		{contains: "--all-groups", unsorted: true},
		{contains: "--members", unsorted: true},
	}
	session(t, c, "kafka-consumer-groups", rules, func(string) {})
}
