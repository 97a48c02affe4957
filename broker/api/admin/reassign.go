package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Move is a partition that is given other replicas, and has not got there yet (KIP-455).
type Move struct {
	topic.Partition
	Replicas, Adding, Removing []int32
}

// Mover is the controller as Reassignments need it. Its errors are Kafka's, with their texts.
type Mover interface {
	// Reassign gives partitions the replicas of goals, where nil cancels what has not ended, and returns an
	// error for each partition; or one for all.
	Reassign(ctx context.Context, ps []topic.Partition, goals [][]int32) ([]error, error)
	// Moves lists all moves, or only those of ps, ordered by topic.
	Moves(ctx context.Context, ps []topic.Partition, all bool) ([]Move, error)
}

// Reassignments serves AlterPartitionReassignments and ListPartitionReassignments. All fields are required.
type Reassignments struct {
	Controller Mover
	Context    context.Context // ends when the broker stops, and waiting with it
}

// AlterPartitionReassignments begins and cancels moves, version 0. Of a partition that is named twice, the
// last entry counts. It does not wait for moves to end.
func (h *Reassignments) AlterPartitionReassignments(r *request.Request) {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	var ps []topic.Partition
	var goals [][]int32
	at := map[topic.Partition]int{}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			name := topic.Partition{Topic: t.Topic, Index: p.Partition}
			i, again := at[name]
			if !again {
				i, ps, goals = len(ps), append(ps, name), append(goals, nil)
				at[name] = i
			}
			goals[i] = p.Replicas
		}
	}
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	failed, err := h.Controller.Reassign(h.Context, ps, goals)
	resp.ErrorCode, resp.ErrorMessage = status.Code(err), wholeMessage(err)
	topics := map[string]int{} // places in the response, where each topic has one entry
	for i := range failed {
		place, begun := topics[ps[i].Topic]
		if !begun {
			t := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			t.Topic = ps[i].Topic
			place, resp.Topics = len(resp.Topics), append(resp.Topics, t)
			topics[t.Topic] = place
		}
		t := &resp.Topics[place]
		p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
		p.Partition, p.ErrorCode, p.ErrorMessage = ps[i].Index, status.Code(failed[i]), status.Message(failed[i])
		t.Partitions = append(t.Partitions, p)
	}
	r.Reply(resp)
}

// ListPartitionReassignments tells which moves have not ended, version 0. Partitions that are not being
// moved, or do not exist, are left out.
func (h *Reassignments) ListPartitionReassignments(r *request.Request) {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	var ps []topic.Partition
	for _, t := range req.Topics {
		for _, index := range t.Partitions {
			ps = append(ps, topic.Partition{Topic: t.Topic, Index: index})
		}
	}
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	moves, err := h.Controller.Moves(h.Context, ps, req.Topics == nil)
	resp.ErrorCode, resp.ErrorMessage = status.Code(err), wholeMessage(err)
	for i, m := range moves {
		if i == 0 || m.Topic != moves[i-1].Topic {
			t := kmsg.NewListPartitionReassignmentsResponseTopic()
			t.Topic = m.Topic
			resp.Topics = append(resp.Topics, t)
		}
		t := &resp.Topics[len(resp.Topics)-1]
		p := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas = m.Index, m.Replicas, m.Adding, m.Removing
		t.Partitions = append(t.Partitions, p)
	}
	r.Reply(resp)
}

// wholeMessage is the message about a request as a whole: of one that did not fail it is empty, which is the schema's default.
func wholeMessage(err error) *string {
	if err == nil {
		return new(string)
	}
	return status.Message(err)
}
