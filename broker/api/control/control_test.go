package control

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func handlers(b *fixture.Broker) *Handlers {
	return &Handlers{BrokerID: fixture.BrokerID, Replicas: b.Replicas, Metadata: b.Metadata, Groups: &groups{}}
}

// groups notes what it is told.
type groups struct{ told []string }

func (g *groups) Elected(partition, epoch int32) {
	g.told = append(g.told, fmt.Sprintf("elected %d in %d", partition, epoch))
}

func (g *groups) Resigned(partition, epoch int32) {
	g.told = append(g.told, fmt.Sprintf("resigned %d in %d", partition, epoch))
}

func (g *groups) Deleted(partitions []topic.Partition) {
	for _, p := range partitions {
		g.told = append(g.told, "deleted "+p.String())
	}
}

// TestGroupsAreTold tells the coordinator of groups which partitions of __consumer_offsets are its part, and of
// partitions that are deleted; nothing of what was refused, and nothing of other topics' leaders.
func TestGroupsAreTold(t *testing.T) {
	h := handlers(fixture.New(t))
	lead := func(leader, epoch int32) {
		req := leadership(7, 1, -1, "orders", topic.ConsumerOffsets)
		for i := range req.TopicStates {
			p := &req.TopicStates[i].PartitionStates[0]
			p.Leader, p.LeaderEpoch, p.ZKVersion = leader, epoch, epoch
		}
		fixture.Do(t, request.HandlerFunc(h.LeaderAndIsr), req, kmsg.NewPtrLeaderAndISRResponse())
	}
	lead(1, 4)
	lead(2, 3) // past
	lead(2, 5)
	stop := &wire.StopReplicaRequest{StopReplicaRequest: kmsg.NewStopReplicaRequest()}
	stop.Version, stop.ControllerID, stop.ControllerEpoch, stop.BrokerEpoch = 4, 1, 1, -1
	for _, name := range []string{"orders", topic.ConsumerOffsets} {
		s := kmsg.NewStopReplicaRequestTopic()
		p := kmsg.NewStopReplicaRequestTopicPartitionState()
		p.LeaderEpoch, p.Delete = -2, true
		s.Topic, s.PartitionStates = name, append(s.PartitionStates, p)
		stop.Topics = append(stop.Topics, s)
	}
	fixture.Do(t, request.HandlerFunc(h.StopReplica), stop, kmsg.NewPtrStopReplicaResponse())
	update := kmsg.NewPtrUpdateMetadataRequest()
	update.Version, update.ControllerID, update.ControllerEpoch, update.BrokerEpoch = 8, 1, 1, -1
	s := kmsg.NewUpdateMetadataRequestTopicState()
	p := kmsg.NewUpdateMetadataRequestTopicPartition()
	p.Leader = -2
	s.Topic, s.PartitionStates = "orders", append(s.PartitionStates, p)
	update.TopicStates = append(update.TopicStates, s)
	updated := kmsg.NewPtrUpdateMetadataResponse()
	if fixture.Do(t, request.HandlerFunc(h.UpdateMetadata), update, updated); updated.ErrorCode != 0 {
		t.Errorf("UpdateMetadata: error %d", updated.ErrorCode)
	}
	want := []string{"elected 0 in 4", "resigned 0 in 5", "resigned 0 in -1", "deleted orders-0"}
	if got := h.Groups.(*groups).told; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// slowGroups takes its time to hear.
type slowGroups struct {
	groups
	epochs []int32
}

func (g *slowGroups) hear(epoch int32) {
	for range 100 {
		runtime.Gosched()
	}
	g.epochs = append(g.epochs, epoch)
}

func (g *slowGroups) Elected(_, epoch int32)  { g.hear(epoch) }
func (g *slowGroups) Resigned(_, epoch int32) { g.hear(epoch) }

// TestGroupsAreToldInOrder has a partition lost and won by requests that come at the same time, as those of an old and a new
// controller do: were the election told first, the coordinator would go on with what it knew before another broker led.
func TestGroupsAreToldInOrder(t *testing.T) {
	h := handlers(fixture.New(t))
	g := &slowGroups{}
	h.Groups = g
	var next atomic.Int32
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for epoch := next.Add(1); epoch <= 200; epoch = next.Add(1) {
				req := leadership(7, 1, -1, topic.ConsumerOffsets)
				p := &req.TopicStates[0].PartitionStates[0]
				p.Leader, p.LeaderEpoch, p.ZKVersion = 1+epoch%2, epoch, epoch
				fixture.Do(t, request.HandlerFunc(h.LeaderAndIsr), req, kmsg.NewPtrLeaderAndISRResponse())
			}
		})
	}
	senders.Wait()
	if !slices.IsSorted(g.epochs) || len(g.epochs) == 0 {
		t.Errorf("told of leader epochs in the order %v", g.epochs)
	}
}

// leadership is a LeaderAndIsr for partition 0 of each topic, which broker 1 leads.
func leadership(version int16, controllerEpoch int32, brokerEpoch int64, names ...string) *kmsg.LeaderAndISRRequest {
	req := kmsg.NewPtrLeaderAndISRRequest()
	req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = version, 1, controllerEpoch, brokerEpoch
	for i, name := range names {
		p := kmsg.NewLeaderAndISRRequestTopicPartition()
		p.Topic, p.ControllerEpoch, p.Leader, p.ISR, p.Replicas, p.IsNew = name, controllerEpoch, 1, []int32{1}, []int32{1}, true
		if version < 2 {
			req.PartitionStates = append(req.PartitionStates, p)
			continue
		}
		t := kmsg.NewLeaderAndISRRequestTopicState()
		t.Topic, t.TopicID = name, topic.ID{15: byte(i + 1)}
		t.PartitionStates = append(t.PartitionStates, p)
		req.TopicStates = append(req.TopicStates, t)
	}
	return req
}

// codes lists what was answered for each partition, whatever the version.
func codes(resp *kmsg.LeaderAndISRResponse) (codes []int16) {
	for _, p := range resp.Partitions {
		codes = append(codes, p.ErrorCode)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	return codes
}

func TestLeaderAndISR(t *testing.T) {
	for version := int16(0); version <= 7; version++ {
		b := fixture.New(t)
		h := handlers(b)
		send := func(req *kmsg.LeaderAndISRRequest) *kmsg.LeaderAndISRResponse {
			resp := kmsg.NewPtrLeaderAndISRResponse()
			fixture.Do(t, request.HandlerFunc(h.LeaderAndIsr), req, resp)
			return resp
		}
		all := func(resp *kmsg.LeaderAndISRResponse, whole, each int16) {
			t.Helper()
			got := codes(resp)
			if resp.ErrorCode != whole || len(got) != 2 || got[0] != each || got[1] != each {
				t.Errorf("v%d: error %d, of partitions %v; want %d and %d twice", version, resp.ErrorCode, got, whole, each)
			}
		}
		all(send(leadership(version, 5, -1, "a", "b")), 0, 0)
		if p, err := b.Replicas.Partition(topic.Partition{Topic: "b"}); err != nil {
			t.Errorf("v%d: %v", version, err)
		} else if leader, epoch := p.LeaderAndEpoch(); leader != 1 || epoch != 0 {
			t.Errorf("v%d: led by %d in epoch %d", version, leader, epoch)
		}
		all(send(leadership(version, 5, -1, "a", "b")), 0, 11) // said before
		all(send(leadership(version, 4, -1, "a", "b")), 11, 11)
		if version >= 2 { // the fixture's broker epoch is 1
			all(send(leadership(version, 5, 0, "a", "b")), 77, 77)
		}
		b.FailDir()
		all(send(leadership(version, 5, -1, "a", "b")), 0, 56)
	}
}

// TestLeaderAndISRWithoutPartitions: a topic without partitions is in the answer if the request is refused as a whole.
func TestLeaderAndISRWithoutPartitions(t *testing.T) {
	h := handlers(fixture.New(t))
	for _, tt := range []struct {
		brokerEpoch int64
		code        int16
		topics      int
	}{{-1, 0, 1}, {0, 77, 2}} { // the fixture's broker epoch is 1
		req := leadership(7, 5, tt.brokerEpoch, "a", "b")
		req.TopicStates[0].PartitionStates = nil
		resp := kmsg.NewPtrLeaderAndISRResponse()
		fixture.Do(t, request.HandlerFunc(h.LeaderAndIsr), req, resp)
		last := resp.Topics[len(resp.Topics)-1]
		if resp.ErrorCode != tt.code || len(resp.Topics) != tt.topics || last.TopicID != req.TopicStates[1].TopicID || last.Partitions[0].ErrorCode != tt.code {
			t.Errorf("broker epoch %d: %+v, want error %d and %d topics", tt.brokerEpoch, resp, tt.code, tt.topics)
		}
	}
}

func TestUpdateMetadata(t *testing.T) {
	b := fixture.New(t)
	h := handlers(b)
	send := func(controllerEpoch int32, brokerEpoch int64, name string) int16 {
		req := kmsg.NewPtrUpdateMetadataRequest()
		req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch = 8, 1, controllerEpoch, brokerEpoch
		s := kmsg.NewUpdateMetadataRequestTopicState()
		p := kmsg.NewUpdateMetadataRequestTopicPartition()
		s.Topic, s.PartitionStates = name, append(s.PartitionStates, p)
		req.TopicStates = append(req.TopicStates, s)
		resp := kmsg.NewPtrUpdateMetadataResponse()
		fixture.Do(t, request.HandlerFunc(h.UpdateMetadata), req, resp)
		return resp.ErrorCode
	}
	for _, tt := range []struct {
		controllerEpoch int32
		brokerEpoch     int64
		topic           string
		code            int16
	}{{5, 1, "a", 0}, {4, 1, "b", 11}, {5, 0, "c", 77}, {5, 2, "d", 0}} {
		if got := send(tt.controllerEpoch, tt.brokerEpoch, tt.topic); got != tt.code {
			t.Errorf("%s: error %d, want %d", tt.topic, got, tt.code)
		}
		if known := b.Metadata.Load().Topic(tt.topic) != nil; known != (tt.code == 0) {
			t.Errorf("%s is known: %v after error %d", tt.topic, known, tt.code)
		}
	}
}

func TestStopReplica(t *testing.T) {
	for version := int16(0); version <= 4; version++ {
		b := fixture.New(t)
		b.Topic(t, "a", 1, []int32{1}, nil)
		b.Topic(t, "b", 1, []int32{1}, nil)
		h := handlers(b)
		stop := func(controllerEpoch int32, remove bool, names ...string) *kmsg.StopReplicaResponse {
			req := &wire.StopReplicaRequest{StopReplicaRequest: kmsg.NewStopReplicaRequest()}
			req.Version, req.ControllerID, req.ControllerEpoch, req.BrokerEpoch, req.DeletePartitions = version, 1, controllerEpoch, -1, remove
			for _, name := range names {
				s := kmsg.NewStopReplicaRequestTopic()
				s.Topic, s.Partitions = name, []int32{0}
				s.PartitionStates = []kmsg.StopReplicaRequestTopicPartitionState{{LeaderEpoch: -2, Delete: remove}}
				req.Topics = append(req.Topics, s)
			}
			resp := kmsg.NewPtrStopReplicaResponse()
			fixture.Do(t, request.HandlerFunc(h.StopReplica), req, resp)
			return resp
		}
		if got := stop(0, true, "a"); got.ErrorCode != 11 || len(got.Partitions) != 0 {
			t.Errorf("v%d: a replaced controller: %+v", version, got)
		}
		got := stop(1, true, "a", "nowhere")
		if got.ErrorCode != 0 || len(got.Partitions) != 2 || got.Partitions[0].ErrorCode != 0 || got.Partitions[1].ErrorCode != 0 {
			t.Errorf("v%d: %+v, want two successes", version, got)
		}
		if b.Storage.Log(topic.Partition{Topic: "a"}) != nil {
			t.Errorf("v%d: the log is still there", version)
		}
		b.FailDir()
		if got := stop(1, true, "b"); len(got.Partitions) != 1 || got.Partitions[0].ErrorCode != 56 {
			t.Errorf("v%d: with a failed directory: %+v", version, got)
		}
	}
}

func TestGarbageDropsTheConnection(t *testing.T) {
	h := handlers(fixture.New(t))
	for key, handle := range map[int16]func(*request.Request){4: h.LeaderAndIsr, 5: h.StopReplica, 6: h.UpdateMetadata, 56: (&Asked{}).AlterPartition, 67: (&Asked{}).AllocateProducerIDs} {
		if fixture.SendBody(request.HandlerFunc(handle), key, wire.Lookup(key).Max, []byte{1, 2}).Dropped() == nil {
			t.Errorf("key %d: a body that cannot be decoded must close the connection", key)
		}
	}
}

// asked is a controller that writes down what it is asked and answers later.
type asked struct {
	req    *kmsg.AlterPartitionRequest
	answer func(*kmsg.AlterPartitionResponse)
}

func (a *asked) AlterPartition(req *kmsg.AlterPartitionRequest, answer func(*kmsg.AlterPartitionResponse)) {
	a.req, a.answer = req, answer
}

func TestAlterPartitionIsAskedAndAnswered(t *testing.T) {
	for version := int16(0); version <= 3; version++ {
		a := &asked{}
		h := &Asked{Controller: func() Controller { return a }}
		req := kmsg.NewPtrAlterPartitionRequest()
		req.Version, req.BrokerID, req.BrokerEpoch = version, 4, 44
		req.Topics = []kmsg.AlterPartitionRequestTopic{{Partitions: []kmsg.AlterPartitionRequestTopicPartition{{Partition: 7, PartitionEpoch: 9}}}}
		handle := request.HandlerFunc(func(r *request.Request) {
			h.AlterPartition(r)
			resp := a.req.ResponseKind().(*kmsg.AlterPartitionResponse)
			resp.ErrorCode = 41
			a.answer(resp)
		})
		resp := kmsg.NewPtrAlterPartitionResponse()
		fixture.Do(t, handle, req, resp)
		if a.req.BrokerID != 4 || a.req.BrokerEpoch != 44 || len(a.req.Topics) != 1 || a.req.Topics[0].Partitions[0].PartitionEpoch != 9 {
			t.Errorf("v%d: the controller is asked %+v", version, a.req)
		}
		if resp.ErrorCode != 41 {
			t.Errorf("v%d: answer %+v", version, resp)
		}
	}
}

func (a *asked) AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest, answer func(*kmsg.AllocateProducerIDsResponse)) {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	resp.ProducerIDStart, resp.ProducerIDLen = 1000*int64(req.BrokerID)+req.BrokerEpoch, 7
	answer(resp)
}

func TestAllocateProducerIDsIsAsked(t *testing.T) {
	h := &Asked{Controller: func() Controller { return &asked{} }}
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = 3, 12
	resp := kmsg.NewPtrAllocateProducerIDsResponse()
	fixture.Do(t, request.HandlerFunc(h.AllocateProducerIDs), req, resp)
	if resp.ErrorCode != 0 || resp.ProducerIDStart != 3012 || resp.ProducerIDLen != 7 {
		t.Errorf("answer %+v", resp)
	}
}

// keeper is a controller that does not answer yet.
type keeper struct{ answers []func() }

func (k *keeper) AlterPartition(req *kmsg.AlterPartitionRequest, answer func(*kmsg.AlterPartitionResponse)) {
	k.answers = append(k.answers, func() { answer(req.ResponseKind().(*kmsg.AlterPartitionResponse)) })
}

func (k *keeper) AllocateProducerIDs(req *kmsg.AllocateProducerIDsRequest, answer func(*kmsg.AllocateProducerIDsResponse)) {
	k.answers = append(k.answers, func() { answer(req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)) })
}

func TestAskedRequestsAreBounded(t *testing.T) {
	k := &keeper{}
	h := &Asked{Controller: func() Controller { return k }}
	alter, allocate := kmsg.NewPtrAlterPartitionRequest(), kmsg.NewPtrAllocateProducerIDsRequest()
	alter.Version = 3
	for i := range askedMax {
		if i%2 == 0 {
			fixture.SendBody(request.HandlerFunc(h.AlterPartition), 56, 3, alter.AppendTo(nil))
		} else {
			fixture.SendBody(request.HandlerFunc(h.AllocateProducerIDs), 67, 0, allocate.AppendTo(nil))
		}
	}
	altered, allocated := kmsg.NewPtrAlterPartitionResponse(), kmsg.NewPtrAllocateProducerIDsResponse()
	fixture.Do(t, request.HandlerFunc(h.AlterPartition), alter, altered)
	fixture.Do(t, request.HandlerFunc(h.AllocateProducerIDs), allocate, allocated)
	if len(k.answers) != askedMax || altered.ErrorCode != 41 || allocated.ErrorCode != 41 {
		t.Errorf("%d wait, one more is told %d and %d", len(k.answers), altered.ErrorCode, allocated.ErrorCode)
	}
	for _, answer := range k.answers {
		answer()
	}
	if n := h.waiting.Load(); n != 0 {
		t.Errorf("%d wait after all are answered", n)
	}
}
