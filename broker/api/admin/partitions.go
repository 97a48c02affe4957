package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
	"github.com/gregor-mq/gregor/controller/assign"
)

// CreatePartitions grows topics, versions 0 to 3, and answers once the new partitions have leaders.
func (h *Handlers) CreatePartitions(r *request.Request) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	if h.IsController() {
		h.grow(req, resp)
	} else {
		for _, t := range req.Topics {
			resp.Topics = append(resp.Topics, h.grown(t.Topic, kerr.NotController))
		}
	}
	r.Reply(resp)
}

// grown is the answer for one topic.
func (h *Handlers) grown(name string, err error) kmsg.CreatePartitionsResponseTopic {
	out := kmsg.NewCreatePartitionsResponseTopic()
	out.Topic = name
	out.ErrorCode, out.ErrorMessage = h.failed("CreatePartitions", name, err)
	return out
}

func (h *Handlers) grow(req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse) {
	ctx, cancel := h.storeContext()
	defer cancel()
	times := map[string]int{}
	for _, t := range req.Topics {
		times[t.Topic]++
	}
	marked, err := h.Store.MarkedForDeletion(ctx)
	if err != nil {
		for name := range times {
			resp.Topics = append(resp.Topics, h.grown(name, err))
		}
		return
	}
	var waiting []NewTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		n := times[t.Topic]
		if times[t.Topic] = 0; n == 0 {
			continue // named before
		}
		err := error(status.New(kerr.InvalidRequest, "Duplicate topic in request."))
		if n == 1 {
			var made NewTopic
			made, err = h.growOne(ctx, t, slices.Contains(marked, t.Topic), req.ValidateOnly)
			for errors.Is(err, ErrChanged) { // by another request, which comes first then
				made, err = h.growOne(ctx, t, false, req.ValidateOnly)
			}
			if _, ok := errors.AsType[*InvalidPath](err); ok {
				h.abandonGrowth(req, resp, err)
				return
			}
			if err == nil && !req.ValidateOnly {
				waiting = append(waiting, made)
			}
		}
		resp.Topics = append(resp.Topics, h.grown(t.Topic, err))
	}
	h.awaitGrown(req.TimeoutMillis, resp, waiting)
}

// abandonGrowth answers a request that names what can be no topic: Kafka fails on it with an exception, and so for all topics,
// also for those before it, which have their partitions by then.
func (h *Handlers) abandonGrowth(req *kmsg.CreatePartitionsRequest, resp *kmsg.CreatePartitionsResponse, err error) {
	h.Logger.WithError(err).Error("CreatePartitions failed")
	resp.Topics = nil
	for i := range req.Topics {
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic, out.ErrorCode = req.Topics[i].Topic, kerr.UnknownServerError.Code
		resp.Topics = append(resp.Topics, out)
	}
}

// growOne writes the partitions of one topic and returns the topic as it will be
// (ZkAdminManager.createPartitions).
func (h *Handlers) growOne(ctx context.Context, t *kmsg.CreatePartitionsRequestTopic, marked, validateOnly bool) (NewTopic, error) {
	made := NewTopic{Name: t.Topic}
	if marked {
		return made, status.New(kerr.InvalidTopicException, "The topic is queued for deletion.")
	}
	present, err := h.Store.Assignment(ctx, t.Topic)
	_, impossible := errors.AsType[*InvalidPath](err)
	switch {
	case impossible:
		return made, err
	case topic.ValidateName(t.Topic) != nil, status.Code(err) == kerr.UnknownTopicOrPartition.Code:
		return made, status.New(kerr.UnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", t.Topic))
	case err != nil:
		return made, err
	case present.Reassigning:
		return made, status.New(kerr.ReassignmentInProgress, "A partition reassignment is in progress for the topic '"+t.Topic+"'.")
	}
	n := int32(len(present.Replicas))
	switch {
	case t.Count < n:
		return made, status.New(kerr.InvalidPartitions, fmt.Sprintf("Topic currently has %d partitions, which is higher than the requested %d.", n, t.Count))
	case t.Count == n:
		return made, status.New(kerr.InvalidPartitions, fmt.Sprintf("Topic already has %d partitions.", n))
	}
	s := h.Cluster.Load()
	added, err := addedReplicas(s, present, t, int(t.Count-n))
	if err != nil {
		return made, err
	}
	for i, replicas := range added {
		present.Replicas[n+int32(i)] = replicas
	}
	made.Replicas = make([][]int32, len(present.Replicas))
	if validateOnly {
		return made, nil
	}
	return made, h.Store.SetPartitions(ctx, t.Topic, present)
}

// addedReplicas decides where the new partitions go: where the client says, or by the usual
// algorithm, which goes on where partition 0's first replica stands.
func addedReplicas(s *metadata.Snapshot, present Assignment, t *kmsg.CreatePartitionsRequestTopic, n int) ([][]int32, error) {
	first := present.Replicas[0]
	if len(first) == 0 {
		return nil, invalidAssignment("Unexpected existing replica assignment for topic '%s', partition id 0 is missing.", t.Topic)
	}
	if t.Assignment != nil {
		return chosenReplicas(s, t, len(present.Replicas), len(first), n)
	}
	live := brokers(s)
	added, err := assign.Assign(live, assign.Options{
		Partitions: n, ReplicationFactor: len(first), FirstPartition: len(present.Replicas), Start: assign.StartOf(live, first[0]),
	})
	return added, refused(err)
}

// chosenReplicas checks the replicas that a client chose (AdminZkClient.validateReplicaAssignment).
func chosenReplicas(s *metadata.Snapshot, t *kmsg.CreatePartitionsRequestTopic, from, factor, n int) ([][]int32, error) {
	var unknown []int32
	for _, a := range t.Assignment {
		for _, id := range a.Replicas {
			if s.Broker(id) == nil && !slices.Contains(unknown, id) {
				unknown = append(unknown, id)
			}
		}
	}
	if len(unknown) > 0 {
		return nil, invalidAssignment("Unknown broker(s) in replica assignment: %s.", join(unknown))
	}
	if len(t.Assignment) != n {
		return nil, invalidAssignment("Increasing the number of partitions by %d but %d assignments provided.", n, len(t.Assignment))
	}
	var odd, factors []string
	chosen := make([][]int32, n)
	for i, a := range t.Assignment {
		switch id := from + i; {
		case len(a.Replicas) == 0:
			return nil, invalidAssignment("Cannot have replication factor of 0 for partition id %d.", id)
		case repeats(a.Replicas):
			return nil, invalidAssignment("Duplicate brokers not allowed in replica assignment: %s for partition id %d.", join(a.Replicas), id)
		case len(a.Replicas) != factor:
			odd, factors = append(odd, fmt.Sprint(id)), append(factors, fmt.Sprint(len(a.Replicas)))
		}
		chosen[i] = a.Replicas
	}
	if len(odd) > 0 {
		return nil, invalidAssignment("Inconsistent replication factor between partitions, partition 0 has %d while partitions [%s] have replication factors [%s], respectively.",
			factor, strings.Join(odd, ", "), strings.Join(factors, ", "))
	}
	return chosen, nil
}

// awaitGrown waits until the new partitions have leaders; topics where they do not get
// REQUEST_TIMED_OUT.
func (h *Handlers) awaitGrown(timeoutMs int32, resp *kmsg.CreatePartitionsResponse, waiting []NewTopic) {
	for _, i := range h.await(timeoutMs, len(waiting), func(s *metadata.Snapshot, i int) bool { return complete(s, &waiting[i]) }) {
		at := slices.IndexFunc(resp.Topics, func(t kmsg.CreatePartitionsResponseTopic) bool { return t.Topic == waiting[i].Name })
		resp.Topics[at] = h.grown(waiting[i].Name, kerr.RequestTimedOut)
	}
}
