package conformance

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// single is one broker with a topic that holds a few records, to be asked simple things.
type single struct {
	t    testing.TB
	c    *cluster.Cluster
	zk   *zooKeeper
	addr string

	epoch      int64
	controller int32
	topicID    [16]byte
	names      int // topics that were named
}

// theTopic is the topic of a single.
const theTopic = "orders"

func newSingle(t testing.TB, props cluster.Props) *single {
	t.Helper()
	s := &single{t: t, c: start(t, 1, props)}
	s.addr = s.c.Broker(1).Addr()
	s.zk = openZooKeeper(t, s.c.ZooKeeper(), 30*time.Second)
	s.epoch, s.controller = s.c.Epoch(1), 1
	resp := ask[*kmsg.CreateTopicsResponse](t, s.addr, withVersion(createTopics(topicOf(theTopic)), 7))
	if list := errorsIn(resp); len(list) > 0 {
		t.Fatal(list)
	}
	s.topicID = resp.Topics[0].TopicID
	s.serves()
	return s
}

// serves fails the test unless the broker still takes a record and gives it back, on new connections.
func (s *single) serves() {
	s.t.Helper()
	c := dial(s.t, s.addr)
	defer c.Close()
	produced, err := c.ask(withVersion(produce(theTopic, 0, newBatch()), 9))
	if err != nil {
		s.t.Fatal(err)
	}
	if list := errorsIn(produced); len(list) > 0 {
		s.t.Fatalf("produce: %v", list)
	}
	offset := produced.(*kmsg.ProduceResponse).Topics[0].Partitions[0].BaseOffset
	fetched, err := c.ask(withVersion(fetch(part(theTopic, 0), fromOffset(offset)), 12))
	if err != nil {
		s.t.Fatal(err)
	}
	if p := fetched.(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || len(p.RecordBatches) == 0 {
		s.t.Fatalf("fetch at offset %d: error %d, %d bytes", offset, p.ErrorCode, len(p.RecordBatches))
	}
}

// fresh returns a name that no topic has had.
func (s *single) fresh() string {
	s.names++
	return "t" + strconv.Itoa(s.names)
}

// existing creates a topic and returns its name.
func (s *single) existing() string {
	s.t.Helper()
	name := s.fresh()
	s.create(name)
	return name
}

func (s *single) create(name string) {
	s.t.Helper()
	if list := s.tryCreate(name); len(list) > 0 {
		s.t.Fatalf("create topic %s: %v", name, list)
	}
}

func (s *single) tryCreate(name string) []found {
	s.t.Helper()
	return errorsIn(ask[*kmsg.CreateTopicsResponse](s.t, s.addr, withVersion(createTopics(topicOf(name)), 7)))
}

// minimal returns a small request of an API that has everything in it to be answered without an
// error. What it does it does to topics of its own.
func (s *single) minimal(api string, version int16) kmsg.Request {
	s.t.Helper()
	req := s.minimalOf(api, version)
	if req == nil {
		s.t.Fatalf("no minimal request of %s", api)
	}
	return withVersion(req, version)
}

func (s *single) minimalOf(api string, version int16) kmsg.Request {
	switch api {
	case "Produce":
		return produce(theTopic, 0, recordsFor(version))
	case "Fetch":
		return fetch(partOf{topic: theTopic, id: s.topicID})
	case "ListOffsets":
		return listOffsets(part(theTopic, 0), -1, -1)
	case "Metadata":
		return metadata(theTopic)
	case "LeaderAndIsr":
		return s.leaderAndISR(s.fresh(), version)
	case "StopReplica":
		return s.stopReplica(s.existing(), version)
	case "UpdateMetadata":
		return s.updateMetadata()
	case "ControlledShutdown":
		return controlledShutdown(99) // nobody: the only broker has more to do
	case "FindCoordinator":
		return findCoordinator(0, "group")
	case "ApiVersions":
		return apiVersions("test")
	case "CreateTopics":
		return createTopics(topicOf(s.fresh()))
	case "DeleteTopics":
		return deleteTopics(20_000, s.existing())
	case "DeleteRecords":
		return deleteRecords(part(theTopic, 0), 0)
	case "InitProducerId":
		return initProducerID(nil, 60_000, -1, -1)
	case "OffsetForLeaderEpoch":
		return offsetForEpoch(part(theTopic, 0), -1, 0)
	case "DescribeConfigs":
		return describeConfigs(topicResource, theTopic)
	case "CreatePartitions":
		return createPartitions(s.existing(), 2)
	case "DescribeCluster":
		return describeCluster(1)
	case "DescribeProducers":
		return describeProducers(part(theTopic, 0))
	case "WriteTxnMarkers":
		return writeTxnMarkers(part(theTopic, 0))
	case "ListTransactions":
		return kmsg.NewPtrListTransactionsRequest()
	case "DescribeTransactions":
		return kmsg.NewPtrDescribeTransactionsRequest()
	}
	for _, of := range []func(string) kmsg.Request{minimalOfGroups, minimalOfSecurity} {
		if req := of(api); req != nil {
			return req
		}
	}
	return s.minimalOfCluster(api)
}

// minimalOfGroups is minimalOf for the APIs of consumer groups.
func minimalOfGroups(api string) kmsg.Request {
	switch api {
	case "OffsetCommit":
		return offsetCommit("group", theTopic)
	case "OffsetFetch":
		return offsetFetch("group", theTopic)
	case "JoinGroup":
		return joinGroup("group", "member-of-no-group")
	case "Heartbeat":
		r := kmsg.NewPtrHeartbeatRequest()
		r.Group, r.MemberID = "group", "member"
		return r
	case "LeaveGroup":
		r := kmsg.NewPtrLeaveGroupRequest()
		r.Group, r.MemberID, r.Members = "group", "member", []kmsg.LeaveGroupRequestMember{{MemberID: "member"}}
		return r
	case "SyncGroup":
		r := kmsg.NewPtrSyncGroupRequest()
		r.Group, r.MemberID, r.ProtocolType, r.Protocol = "group", "member", ptr("consumer"), ptr("range")
		return r
	case "DescribeGroups":
		r := kmsg.NewPtrDescribeGroupsRequest()
		r.Groups = []string{"group"}
		return r
	case "ListGroups":
		return kmsg.NewPtrListGroupsRequest()
	case "DeleteGroups":
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Groups = []string{"group"}
		return r
	case "OffsetDelete":
		r := kmsg.NewPtrOffsetDeleteRequest()
		r.Group = "group"
		r.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: theTopic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{}}}}
		return r
	case "ConsumerGroupHeartbeat":
		r := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		r.Group = "group"
		return r
	case "ConsumerGroupDescribe":
		r := kmsg.NewPtrConsumerGroupDescribeRequest()
		r.Groups = []string{"group"}
		return r
	case "TxnOffsetCommit":
		return txnOffsetCommit("group", theTopic)
	}
	return nil
}

// recordsFor returns one record in the format that a version of Produce carries.
func recordsFor(version int16) []byte {
	switch {
	case version < 2:
		return message(0, false)
	case version < 3:
		return message(1, false)
	}
	return newBatch()
}

func (s *single) leaderAndISR(topic string, version int16) *kmsg.LeaderAndISRRequest {
	p := kmsg.NewLeaderAndISRRequestTopicPartition()
	p.ControllerEpoch, p.Leader, p.ISR, p.Replicas, p.IsNew = s.controller, 1, []int32{1}, []int32{1}, true
	r := kmsg.NewPtrLeaderAndISRRequest()
	r.ControllerID, r.ControllerEpoch, r.BrokerEpoch = 1, s.controller, s.epoch
	r.LiveLeaders = []kmsg.LeaderAndISRRequestLiveLeader{{BrokerID: 1, Host: "127.0.0.1", Port: int32(s.port())}}
	if version < 2 {
		p.Topic = topic
		r.PartitionStates = append(r.PartitionStates, p)
		return r
	}
	t := kmsg.NewLeaderAndISRRequestTopicState()
	t.Topic, t.PartitionStates = topic, []kmsg.LeaderAndISRRequestTopicPartition{p}
	copy(t.TopicID[:], fmt.Sprintf("%16s", topic))
	r.TopicStates = append(r.TopicStates, t)
	return r
}

// kafkaStopReplica is a StopReplica request in Kafka's order of fields, which version 4 of kmsg's is
// not in.
type kafkaStopReplica struct{ *kmsg.StopReplicaRequest }

func (r kafkaStopReplica) AppendTo(dst []byte) []byte {
	body := r.StopReplicaRequest.AppendTo(nil)
	if r.Version >= 4 {
		body = swapStopReplica(body, 4)
	}
	return append(dst, body...)
}

func (s *single) stopReplica(topic string, version int16) kmsg.Request {
	r := kmsg.NewPtrStopReplicaRequest()
	r.ControllerID, r.ControllerEpoch, r.BrokerEpoch, r.DeletePartitions = 1, s.controller, s.epoch, true
	t := kmsg.NewStopReplicaRequestTopic()
	t.Topic = topic
	p := kmsg.NewStopReplicaRequestTopicPartitionState()
	p.LeaderEpoch, p.Delete = -2, true // of a topic that is being deleted
	if version < 3 {
		t.Partitions = []int32{0}
	} else {
		t.PartitionStates = append(t.PartitionStates, p)
	}
	r.Topics = append(r.Topics, t)
	return kafkaStopReplica{r}
}

func controlledShutdown(broker int32) *kmsg.ControlledShutdownRequest {
	r := kmsg.NewPtrControlledShutdownRequest()
	r.BrokerID = broker
	return r
}

// updateMetadata tells the broker what it knows already.
func (s *single) updateMetadata() *kmsg.UpdateMetadataRequest {
	r := kmsg.NewPtrUpdateMetadataRequest()
	r.ControllerID, r.ControllerEpoch, r.BrokerEpoch = 1, s.controller, s.epoch
	b := kmsg.NewUpdateMetadataRequestLiveBroker()
	b.ID, b.Host, b.Port = 1, "127.0.0.1", int32(s.port())
	e := kmsg.NewUpdateMetadataRequestLiveBrokerEndpoint()
	e.Host, e.Port, e.ListenerName = b.Host, b.Port, "PLAINTEXT"
	b.Endpoints = append(b.Endpoints, e)
	r.LiveBrokers = append(r.LiveBrokers, b)
	return r
}

func (s *single) port() int {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}
