package admin

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
)

// moverStub is a controller that writes down what it is asked for.
type moverStub struct {
	asked []string
	errs  []error
	err   error
	moves []Move
}

func (m *moverStub) Reassign(_ context.Context, ps []topic.Partition, goals [][]int32) ([]error, error) {
	for i := range ps {
		m.asked = append(m.asked, fmt.Sprintf("%s to %v, cancelled: %v", ps[i], goals[i], goals[i] == nil))
	}
	return m.errs, m.err
}

func (m *moverStub) Moves(_ context.Context, ps []topic.Partition, all bool) ([]Move, error) {
	m.asked = append(m.asked, fmt.Sprint(ps, all))
	return m.moves, m.err
}

// TestAlterPartitionReassignments: null is told from an empty list, the last of two entries counts, and
// answers stand where their questions do.
func TestAlterPartitionReassignments(t *testing.T) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	part := func(index int32, replicas []int32) kmsg.AlterPartitionAssignmentsRequestTopicPartition {
		return kmsg.AlterPartitionAssignmentsRequestTopicPartition{Partition: index, Replicas: replicas}
	}
	req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{
		{Topic: "a", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{part(0, []int32{1}), part(1, nil), part(0, []int32{2, 3})}},
		{Topic: "b", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{part(0, []int32{})}},
		{Topic: "a", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{part(2, []int32{1})}}, // again
	}
	stub := &moverStub{errs: []error{nil, status.New(kerr.NoReassignmentInProgress, "none"), status.New(kerr.InvalidReplicaAssignment, "empty"), nil}}
	h := &Reassignments{Controller: stub, Context: t.Context()}
	resp := kmsg.NewPtrAlterPartitionAssignmentsResponse()
	fixture.Do(t, request.HandlerFunc(h.AlterPartitionReassignments), req, resp)
	want := []string{"a-0 to [2 3], cancelled: false", "a-1 to [], cancelled: true", "b-0 to [], cancelled: false", "a-2 to [1], cancelled: false"}
	if !slices.Equal(stub.asked, want) {
		t.Errorf("asked %q, want %q", stub.asked, want)
	}
	var got []string
	for _, r := range resp.Topics {
		for _, p := range r.Partitions {
			got = append(got, fmt.Sprintf("%s-%d %d %s", r.Topic, p.Partition, p.ErrorCode, text(p.ErrorMessage)))
		}
	}
	if want := []string{"a-0 0 <null>", "a-1 85 none", "a-2 0 <null>", "b-0 39 empty"}; !slices.Equal(got, want) || resp.ErrorCode != 0 || text(resp.ErrorMessage) != "" || len(resp.Topics) != 2 {
		t.Errorf("answers %q in %d topics (%d, message %s), want %q", got, len(resp.Topics), resp.ErrorCode, text(resp.ErrorMessage), want)
	}

	stub.errs, stub.err = nil, status.New(kerr.NotController, "not me")
	fixture.Do(t, request.HandlerFunc(h.AlterPartitionReassignments), req, resp)
	if resp.ErrorCode != kerr.NotController.Code || text(resp.ErrorMessage) != "not me" || len(resp.Topics) != 0 {
		t.Errorf("not the controller: %+v", resp)
	}
}

func TestListPartitionReassignments(t *testing.T) {
	moves := []Move{
		{topic.Partition{Topic: "a"}, []int32{3, 1}, []int32{3}, []int32{1}},
		{topic.Partition{Topic: "a", Index: 2}, []int32{1, 2}, nil, []int32{2}},
		{topic.Partition{Topic: "b"}, []int32{1, 2}, []int32{2}, nil},
	}
	stub := &moverStub{moves: moves}
	h := &Reassignments{Controller: stub, Context: t.Context()}
	resp := kmsg.NewPtrListPartitionReassignmentsResponse()
	for _, topics := range [][]kmsg.ListPartitionReassignmentsRequestTopic{nil, {}, {{Topic: "a", Partitions: []int32{0, 2}}}} {
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.Topics = topics
		fixture.Do(t, request.HandlerFunc(h.ListPartitionReassignments), req, resp)
	}
	if want := []string{"[] true", "[] false", "[a-0 a-2] false"}; !slices.Equal(stub.asked, want) {
		t.Errorf("asked %q, want %q", stub.asked, want)
	}
	var got []string
	for _, r := range resp.Topics {
		for _, p := range r.Partitions {
			got = append(got, fmt.Sprint(r.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas))
		}
	}
	if want := []string{"a0 [3 1] [3] [1]", "a2 [1 2] [] [2]", "b0 [1 2] [2] []"}; !slices.Equal(got, want) || len(resp.Topics) != 2 || text(resp.ErrorMessage) != "" {
		t.Errorf("answers %q in %d topics, message %s, want %q", got, len(resp.Topics), text(resp.ErrorMessage), want)
	}
}
