package discovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

var (
	ordersID = topic.ID{15: 1}
	goneID   = topic.ID{15: 9}
)

// cluster has brokers 1 and 2 on the fixture's listener and broker 3, the controller, on another one.
// Partition i of orders is led by broker i; that of 0 has no leader and a dead replica.
func cluster() *Handlers {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 8, 3
	rack := "r1"
	for _, id := range []int32{2, 1, 3} {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
		b.ID, e.ListenerName, e.Host, e.Port = id, fixture.Listener, fmt.Sprintf("b%d", id), 9090+id
		if id == 3 {
			e.ListenerName = "OTHER"
		}
		if id == 1 {
			b.Rack = &rack
		}
		b.Endpoints = append(b.Endpoints, e)
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	orders := kmsg.UpdateMetadataRequestTopicState{Topic: "orders", TopicID: ordersID}
	for i, leader := range []int32{-1, 1, 2, 3} {
		p := kmsg.NewUpdateMetadataRequestTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch, p.ISR, p.Replicas = int32(i), leader, 4, []int32{leader}, []int32{leader}
		if leader < 0 {
			p.ISR, p.Replicas, p.OfflineReplicas = []int32{8}, []int32{8, 1}, []int32{8}
		}
		orders.PartitionStates = append(orders.PartitionStates, p)
	}
	internal := kmsg.UpdateMetadataRequestTopicState{Topic: topic.ConsumerOffsets, TopicID: topic.ID{15: 2}}
	internal.PartitionStates = []kmsg.UpdateMetadataRequestTopicPartition{{Leader: 1, ISR: []int32{1}, Replicas: []int32{1, 8}}}
	transactions := internal
	transactions.Topic, transactions.TopicID = topic.TransactionState, topic.ID{15: 3}
	transactions.PartitionStates = slices.Clone(internal.PartitionStates)
	transactions.PartitionStates[0].Leader = 2
	req.TopicStates = append(req.TopicStates, orders, internal, transactions)
	h := &Handlers{
		ClusterID: "cluster", Cluster: &metadata.Cache{}, Features: func() Features { return Features{Epoch: -1} },
		GroupPartition:       func(group string) int32 { return int32(group[0] - 'g') },
		TransactionPartition: func(id string) int32 { return int32(id[0] - 'g') },
	}
	h.Cluster.Apply(req)
	return h
}

func ask(t testing.TB, h *Handlers, version int16, change func(*kmsg.MetadataRequest), names ...string) *kmsg.MetadataResponse {
	t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.Version, req.Topics = version, []kmsg.MetadataRequestTopic{}
	for i := range names {
		req.Topics = append(req.Topics, kmsg.MetadataRequestTopic{Topic: &names[i]})
	}
	if change != nil {
		change(req)
	}
	resp := kmsg.NewPtrMetadataResponse()
	fixture.Do(t, request.HandlerFunc(h.Metadata), req, resp)
	return resp
}

// outline prints topics as name:code, those without a name as their id's last digit.
func outline(topics []kmsg.MetadataResponseTopic) string {
	var parts []string
	for _, t := range topics {
		name := fmt.Sprint("#", t.TopicID[15])
		if t.Topic != nil {
			name = *t.Topic
		}
		parts = append(parts, fmt.Sprintf("%s:%d", name, t.ErrorCode))
	}
	return strings.Join(parts, " ")
}

func TestMetadataOfPartitions(t *testing.T) {
	for version, want := range map[int16][]int16{
		0:  {5, 0, 0, 5},
		1:  {5, 0, 0, 5},
		5:  {5, 0, 0, 5},
		6:  {5, 0, 0, 72},
		12: {5, 0, 0, 72},
	} {
		resp := ask(t, cluster(), version, nil, "orders", topic.ConsumerOffsets)
		for i, p := range resp.Topics[0].Partitions {
			if p.ErrorCode != want[i] || p.Leader != []int32{-1, 1, 2, -1}[i] {
				t.Errorf("v%d: partition %d has leader %d and error %d, want error %d", version, i, p.Leader, p.ErrorCode, want[i])
			}
		}
		first, internal := resp.Topics[0].Partitions[0], resp.Topics[1]
		if version == 0 {
			if len(first.Replicas) != 1 || len(first.ISR) != 0 || internal.Partitions[0].ErrorCode != 9 {
				t.Errorf("v0: dead replicas are shown: %+v; error %d, want REPLICA_NOT_AVAILABLE", first, internal.Partitions[0].ErrorCode)
			}
		} else if len(first.Replicas) != 2 || !internal.IsInternal || internal.Partitions[0].ErrorCode != 0 {
			t.Errorf("v%d: %+v, %+v", version, first, internal)
		}
		if version >= 7 && first.LeaderEpoch != 4 || version >= 5 && !slices.Equal(first.OfflineReplicas, []int32{8}) {
			t.Errorf("v%d: %+v", version, first)
		}
		if version >= 10 && topic.ID(resp.Topics[0].TopicID) != ordersID {
			t.Errorf("v%d: topic id %x", version, resp.Topics[0].TopicID)
		}
	}
}

func TestMetadataOfBrokers(t *testing.T) {
	resp := ask(t, cluster(), 9, nil)
	if len(resp.Brokers) != 2 || resp.Brokers[0].NodeID != 1 || *resp.Brokers[0].Rack != "r1" || resp.Brokers[1].Host != "b2" || resp.Brokers[1].Rack != nil {
		t.Errorf("brokers %+v, want those with the listener, by id", resp.Brokers)
	}
	if resp.ControllerID != 3 || *resp.ClusterID != "cluster" {
		t.Errorf("controller %d of cluster %s", resp.ControllerID, *resp.ClusterID)
	}
}

func TestMetadataOfTopics(t *testing.T) {
	null := func(r *kmsg.MetadataRequest) { r.Topics = nil }
	ids := func(list ...topic.ID) func(*kmsg.MetadataRequest) {
		return func(r *kmsg.MetadataRequest) {
			for _, id := range list {
				r.Topics = append(r.Topics, kmsg.MetadataRequestTopic{TopicID: id})
			}
		}
	}
	tests := []struct {
		name    string
		version int16
		change  func(*kmsg.MetadataRequest)
		names   []string
		want    string
	}{
		{"v0: no names are all", 0, nil, nil, "__consumer_offsets:0 __transaction_state:0 orders:0"},
		{"no names are none", 1, nil, nil, ""},
		{"null is all", 1, null, nil, "__consumer_offsets:0 __transaction_state:0 orders:0"},
		{"null is all, flexible", 12, null, nil, "__consumer_offsets:0 __transaction_state:0 orders:0"},
		{"unknown, invalid, twice", 9, nil, []string{"nowhere", "a b", "orders", "nowhere"}, "nowhere:3 a b:17 orders:0"},
		{"by id", 12, ids(ordersID, goneID, ordersID), nil, "orders:0 #9:100"},
		{"names beside ids do not count", 12, ids(goneID), []string{"orders"}, "#9:100"},
		{"ids before their time", 11, ids(ordersID), []string{"orders"}, "orders:42 :42"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := outline(ask(t, cluster(), tt.version, tt.change, tt.names...).Topics); got != tt.want {
				t.Errorf("topics %s, want %s", got, tt.want)
			}
		})
	}
}

// TestMetadataRefusedWhole: a request that is refused is told nothing of the cluster.
func TestMetadataRefusedWhole(t *testing.T) {
	resp := ask(t, cluster(), 11, func(r *kmsg.MetadataRequest) {
		r.Topics = []kmsg.MetadataRequestTopic{{TopicID: ordersID}}
		r.IncludeClusterAuthorizedOperations = false
	})
	if len(resp.Brokers) != 0 || resp.ControllerID != -1 || resp.ClusterID != nil {
		t.Errorf("brokers %v, controller %d, cluster %v beside the error", resp.Brokers, resp.ControllerID, resp.ClusterID)
	}
}

func TestMetadataOperations(t *testing.T) {
	resp := ask(t, cluster(), 8, func(r *kmsg.MetadataRequest) {
		r.IncludeClusterAuthorizedOperations, r.IncludeTopicAuthorizedOperations = true, true
	}, "orders", "nowhere")
	if resp.AuthorizedOperations != clusterOperations {
		t.Errorf("of the cluster: %b", resp.AuthorizedOperations)
	}
	for _, topic := range resp.Topics {
		if topic.AuthorizedOperations != topicOperations {
			t.Errorf("of %s: %b", *topic.Topic, topic.AuthorizedOperations)
		}
	}
	if resp := ask(t, cluster(), 8, nil, "orders"); resp.AuthorizedOperations != -1<<31 || resp.Topics[0].AuthorizedOperations != -1<<31 {
		t.Errorf("unasked: %d, %d", resp.AuthorizedOperations, resp.Topics[0].AuthorizedOperations)
	}
}

// creator is an AutoCreator that notes what it is asked for.
type creator struct{ asked [][]string }

func (c *creator) Create(names []string) []int16 {
	c.asked = append(c.asked, names)
	codes := make([]int16, len(names))
	for i := range codes {
		codes[i] = int16(5 + i)
	}
	return codes
}

func TestAutoCreation(t *testing.T) {
	tests := []struct {
		name    string
		version int16
		change  func(*kmsg.MetadataRequest)
		want    string
		asked   int
	}{
		{"old clients always", 3, nil, "x:5 orders:0 a b:17 y:6", 1},
		{"new clients if they want", 4, func(r *kmsg.MetadataRequest) { r.AllowAutoTopicCreation = true }, "x:5 orders:0 a b:17 y:6", 1},
		{"and not else", 4, func(r *kmsg.MetadataRequest) { r.AllowAutoTopicCreation = false }, "x:3 orders:0 a b:17 y:3", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, c := cluster(), &creator{}
			h.AutoCreate = c
			got := outline(ask(t, h, tt.version, tt.change, "x", "orders", "a b", "y", "x").Topics)
			if got != tt.want || len(c.asked) != tt.asked {
				t.Errorf("topics %s after %v, want %s", got, c.asked, tt.want)
			}
		})
	}
}

func TestAPIVersions(t *testing.T) {
	h := cluster()
	h.Routes = []request.Route{{Key: 0, Max: 11}, {Key: 18, Max: 4}}
	h.Features = func() Features { return Features{Epoch: 7, Levels: map[string]int16{"f": 3}} }
	send := func(version int16, name string) *kmsg.ApiVersionsResponse {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, name, "1.0"
		resp := kmsg.NewPtrApiVersionsResponse()
		answered := version
		if version > latestAPIVersions {
			answered = 0
		}
		fixture.Send(request.HandlerFunc(h.APIVersions), req, "c").Wait(t, answered, resp)
		return resp
	}
	for version := int16(0); version <= latestAPIVersions; version++ {
		got := send(version, "lib-1.x")
		if got.ErrorCode != 0 || len(got.ApiKeys) != 2 || got.ApiKeys[0].MaxVersion != 11 {
			t.Errorf("v%d: %+v", version, got)
		}
		if version >= 3 && (got.FinalizedFeaturesEpoch != 7 || len(got.FinalizedFeatures) != 1 || got.FinalizedFeatures[0].MaxVersionLevel != 3) {
			t.Errorf("v%d: features %+v", version, got)
		}
	}
	if got := send(latestAPIVersions+1, "lib"); got.ErrorCode != 35 || len(got.ApiKeys) != 1 || got.ApiKeys[0].MaxVersion != latestAPIVersions {
		t.Errorf("a version from the future: %+v", got)
	}
	for _, name := range []string{"", "-lib", "a b"} {
		if got := send(3, name); got.ErrorCode != 42 || len(got.ApiKeys) != 0 {
			t.Errorf("software named %q: %+v, want INVALID_REQUEST", name, got)
		}
	}
}

func TestDescribeCluster(t *testing.T) {
	h := cluster()
	send := func(version int16, kind int8) *kmsg.DescribeClusterResponse {
		req := kmsg.NewPtrDescribeClusterRequest()
		req.Version, req.EndpointType, req.IncludeClusterAuthorizedOperations = version, kind, true
		resp := kmsg.NewPtrDescribeClusterResponse()
		fixture.Do(t, request.HandlerFunc(h.DescribeCluster), req, resp)
		return resp
	}
	for version := range int16(2) {
		got := send(version, brokerEndpoints)
		if got.ErrorCode != 0 || got.ClusterID != "cluster" || len(got.Brokers) != 2 || got.ClusterAuthorizedOperations != clusterOperations {
			t.Errorf("v%d: %+v", version, got)
		}
		if got.ControllerID != -1 {
			t.Errorf("v%d: controller %d, which is not among the brokers shown", version, got.ControllerID)
		}
	}
	for kind, want := range map[int8]int16{controllerEndpoints: 114, 3: 115, 0: 115} {
		if got := send(1, kind); got.ErrorCode != want || got.ErrorMessage == nil || len(got.Brokers) != 0 {
			t.Errorf("endpoint type %d: %+v, want error %d", kind, got, want)
		}
	}
}

// TestFindCoordinator asks for group g and transactional id g, whose partitions brokers 1 and 2 lead, and for h, whose
// partitions do not exist.
func TestFindCoordinator(t *testing.T) {
	h := cluster()
	for version := int16(0); version <= 6; version++ {
		for _, key := range []string{"g", "h"} {
			for kind, want := range map[int8]int16{0: 0, 1: 0, 2: 15, 3: 42} {
				if version == 0 && kind != 0 {
					continue // version 0 knows groups only
				}
				switch {
				case kind < 2 && key == "h":
					want = 15
				case kind == 2 && version < 6:
					want = 42
				}
				code, id, port := findCoordinator(t, h, version, kind, key)
				if broker := int32(kind) + 1; code != want || want == 0 && (id != broker || port != 9090+broker) || want != 0 && (id != -1 || port != -1) {
					t.Errorf("v%d, type %d, %s: error %d, broker %d, port %d, want error %d", version, kind, key, code, id, port, want)
				}
			}
		}
	}
}

func findCoordinator(t *testing.T, h *Handlers, version int16, kind int8, key string) (code int16, id, port int32) {
	t.Helper()
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKey, req.CoordinatorKeys, req.CoordinatorType = version, key, []string{key}, kind
	resp := kmsg.NewPtrFindCoordinatorResponse()
	fixture.Do(t, request.HandlerFunc(h.FindCoordinator), req, resp)
	if version < 4 {
		return resp.ErrorCode, resp.NodeID, resp.Port
	}
	if len(resp.Coordinators) != 1 || resp.Coordinators[0].Key != key {
		t.Fatalf("v%d: %+v", version, resp.Coordinators)
	}
	c := resp.Coordinators[0]
	return c.ErrorCode, c.NodeID, c.Port
}

// internalCreator notes what is to be created.
type internalCreator struct{ created []string }

func (c *internalCreator) Create(names []string) []int16 {
	c.created = append(c.created, names...)
	return make([]int16, len(names))
}

// TestFindCoordinatorCreatesTheTopic creates __consumer_offsets when the first client asks for a group.
func TestFindCoordinatorCreatesTheTopic(t *testing.T) {
	c := &internalCreator{}
	h := &Handlers{Cluster: &metadata.Cache{}, Internal: c, TransactionPartition: func(string) int32 { return 0 }}
	for kind := range int8(2) {
		if code, _, _ := findCoordinator(t, h, 4, kind, "g"); code != 15 {
			t.Errorf("type %d: error %d, want 15", kind, code)
		}
	}
	if !slices.Equal(c.created, []string{topic.ConsumerOffsets}) {
		t.Errorf("created %v", c.created)
	}
	c.created = nil
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKeys = 4, []string{"g", "h", "i"}
	resp := kmsg.NewPtrFindCoordinatorResponse()
	fixture.Do(t, request.HandlerFunc(h.FindCoordinator), req, resp)
	if len(resp.Coordinators) != 3 || !slices.Equal(c.created, []string{topic.ConsumerOffsets}) {
		t.Errorf("%d answers for three groups, created %v, want it to be tried once", len(resp.Coordinators), c.created)
	}
}
