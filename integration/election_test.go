package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// createAssigned creates a topic whose partitions have the given replicas.
func createAssigned(t *testing.T, c *cluster.Cluster, name string, replicas ...[]int32) {
	t.Helper()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
	for i, ids := range replicas {
		topic.ReplicaAssignment = append(topic.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: ids})
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Topics, req.TimeoutMillis = append(req.Topics, topic), int32(patience.Milliseconds())
	resp, err := req.RequestWith(t.Context(), c.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.AwaitTopic(name)
}

// openZooKeeper returns a session with the cluster's ZooKeeper that lasts as long as the test.
func openZooKeeper(t *testing.T, c *cluster.Cluster) *zkutil.Client {
	t.Helper()
	zk, err := zkutil.Connect(t.Context(), zkutil.Options{Connect: c.ZooKeeper(), SessionTimeout: 10 * time.Second, ConnectionTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(zk.Close)
	return zk
}

// leaders returns who leads each of the partitions of a topic.
func leaders(c *cluster.Cluster, topic string, partitions int32) (ids []int32) {
	for p := range partitions {
		ids = append(ids, c.Leader(topic, p))
	}
	return ids
}

// other returns a broker that is not the controller.
func other(c *cluster.Cluster) int32 {
	return c.Controller()%int32(len(c.Brokers())) + 1
}

// TestPreferredLeaders: after a restart the others lead, until an administrator wants the preferred leaders
// back, by request or by the older way through ZooKeeper.
func TestPreferredLeaders(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"auto.leader.rebalance.enable": "false"})
	preferred := []int32{1, 2, 3, 1, 2, 3}
	createAssigned(t, c, "orders", []int32{1, 2, 3}, []int32{2, 3, 1}, []int32{3, 1, 2}, []int32{1, 3, 2}, []int32{2, 1, 3}, []int32{3, 2, 1})
	restarted := other(c)
	lose := func() {
		c.Restart(restarted)
		awaitISR(c, "orders", 6, 3)
		if slices.Contains(leaders(c, "orders", 6), restarted) {
			t.Fatalf("broker %d leads again by itself", restarted)
		}
	}
	lose()
	admin := kadm.NewClient(c.Client())
	results, err := admin.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, kadm.TopicsSet{"orders": {0: {}, 1: {}, 2: {}}})
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		want := kerr.ElectionNotNeeded
		if preferred[p] == restarted {
			want = nil
		}
		if got := results["orders"][p]; want == nil && got.Err != nil || want != nil && got.Err != want {
			t.Errorf("orders-%d: %v, want %v", p, got.Err, want)
		}
	}
	if got := leaders(c, "orders", 3); !slices.Equal(got, preferred[:3]) {
		t.Errorf("leaders %v, want %v", got, preferred[:3])
	}
	out := cluster.MustTool(t, nil, "kafka-leader-election", "--bootstrap-server", c.Bootstrap(), "--election-type", "preferred", "--all-topic-partitions")
	if got := leaders(c, "orders", 6); !slices.Equal(got, preferred) {
		t.Errorf("leaders %v, want %v; kafka-leader-election says\n%s", got, preferred, out)
	}

	lose()
	zk := openZooKeeper(t, c)
	for p := range int32(6) {
		wish := zkutil.EncodePreferredElection([]topic.Partition{{Topic: "orders", Index: p}, {Topic: "nowhere"}})
		if _, err := zk.Create(t.Context(), zkutil.PreferredElectionPath, wish, zkutil.Persistent); err != nil {
			t.Fatal(err)
		}
		c.Await("end of the wish", func() bool {
			exists, _, err := zk.Exists(t.Context(), zkutil.PreferredElectionPath)
			return err == nil && !exists
		})
	}
	if got := leaders(c, "orders", 6); !slices.Equal(got, preferred) {
		t.Errorf("leaders %v, want %v", got, preferred)
	}
	acked := c.Produce("orders", 600, everywhere)
	if len(acked) != 600 {
		t.Errorf("%d of 600 records were acknowledged", len(acked))
	}
	c.RequireReadable("orders", acked, patience)
}

// TestLeadersGoBack: the controller gives a broker back what it should lead, once it is in step again.
func TestLeadersGoBack(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"leader.imbalance.check.interval.seconds": "1"})
	createAssigned(t, c, "orders", []int32{1, 2, 3}, []int32{2, 3, 1}, []int32{3, 1, 2})
	c.Restart(other(c))
	c.Await("preferred leaders", func() bool { return slices.Equal(leaders(c, "orders", 3), []int32{1, 2, 3}) })
	// The next controller does the same.
	controller := c.Controller()
	c.Restart(controller)
	c.Await("preferred leaders again", func() bool { return slices.Equal(leaders(c, "orders", 3), []int32{1, 2, 3}) })
}

// TestUncleanElection: a partition whose last in-sync replica is gone has no leader until an administrator
// says that it may lose records; what was lost is then the same everywhere.
func TestUncleanElection(t *testing.T) {
	c := cluster.Start(t, 3, cluster.Props{"replica.lag.time.max.ms": "1000", "zookeeper.session.timeout.ms": "4000"})
	controller := c.Controller()
	leader, follower := controller%3+1, (controller+1)%3+1
	createAssigned(t, c, "orders", []int32{leader, follower})
	kept := c.Produce("orders", 100)
	awaitISR(c, "orders", 1, 2) // the follower has them all, even if it was too slow for the ISR meanwhile
	c.Kill(follower)
	awaitISR(c, "orders", 1, 1)
	c.Produce("orders", 100)
	c.Kill(leader)
	c.Restart(follower)
	admin := kadm.NewClient(c.Client())
	ask := func(how kadm.ElectLeadersHow) error {
		results, err := admin.ElectLeaders(t.Context(), how, kadm.TopicsSet{"orders": {0: {}}})
		if err != nil {
			t.Fatal(err)
		}
		return results["orders"][0].Err
	}
	c.Await("death of the leader", func() bool { return ask(kadm.ElectPreferredReplica) == kerr.PreferredLeaderNotAvailable })
	if err := ask(kadm.ElectLiveReplica); err != nil {
		t.Fatalf("unclean election: %v", err)
	}
	if got := c.Leader("orders", 0); got != follower {
		t.Fatalf("leader %d, want %d", got, follower)
	}
	if err := ask(kadm.ElectLiveReplica); err != kerr.ElectionNotNeeded {
		t.Errorf("a second unclean election: %v", err)
	}
	for place, value := range c.Produce("orders", 100) {
		kept[place] = value
	}
	c.Restart(leader)
	awaitISR(c, "orders", 1, 2)
	c.RequireReadable("orders", kept, patience)
}
