// Package control serves what the controller orders (LeaderAndIsr, UpdateMetadata, StopReplica), and what
// brokers ask of the controller.
package control

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Handlers serve the three APIs. All exported fields are required.
type Handlers struct {
	BrokerID int32
	Replicas *replica.Manager
	Metadata *metadata.Cache
	Groups   Groups

	// turns is held from a change of replicas until Groups knows of it.
	turns sync.Mutex
}

// Groups coordinates consumer groups; it is told which partitions of __consumer_offsets are its part, in the order in which the
// replicas change, whichever controllers' requests do that. A leader epoch that is not news is ignored there.
type Groups interface {
	// Elected: this broker leads the partition.
	Elected(partition, leaderEpoch int32)
	// Resigned: it does not; a leader epoch of -1 is any.
	Resigned(partition, leaderEpoch int32)
	// Deleted: these partitions, of any topic, are no more.
	Deleted(partitions []topic.Partition)
}

// LeaderAndIsr makes this broker lead or follow partitions.
func (h *Handlers) LeaderAndIsr(r *request.Request) {
	req := kmsg.NewPtrLeaderAndISRRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.LeaderAndISRResponse)
	states := partitionStates(req)
	command := replica.Command{ControllerID: req.ControllerID, ControllerEpoch: req.ControllerEpoch, BrokerEpoch: req.BrokerEpoch}
	errs, err := h.apply(command, states)
	resp.ErrorCode = status.Code(err)
	if req.Version < 5 {
		for i, s := range states {
			p := kmsg.NewLeaderAndISRResponseTopicPartition()
			p.Topic, p.Partition, p.ErrorCode = s.Topic, s.Index, status.Code(errs[i])
			resp.Partitions = append(resp.Partitions, p)
		}
		r.Reply(resp)
		return
	}
	resp.Topics = topicErrors(req, errs, err != nil)
	r.Reply(resp)
}

// topicErrors groups the errors of a request's partitions, which are in its order, by topic id. A request that is refused as a
// whole is answered for all topics, also for those without partitions (LeaderAndIsrRequest.getErrorResponse).
func topicErrors(req *kmsg.LeaderAndISRRequest, errs []error, all bool) []kmsg.LeaderAndISRResponseTopic {
	var topics []kmsg.LeaderAndISRResponseTopic
	at := map[topic.ID]int{}
	for i := range req.TopicStates {
		s := &req.TopicStates[i]
		if len(s.PartitionStates) == 0 && !all {
			continue
		}
		n, ok := at[s.TopicID]
		if !ok {
			n = len(topics)
			at[s.TopicID] = n
			t := kmsg.NewLeaderAndISRResponseTopic()
			t.TopicID = s.TopicID
			topics = append(topics, t)
		}
		for j := range s.PartitionStates {
			p := kmsg.NewLeaderAndISRResponseTopicPartition()
			p.Partition, p.ErrorCode = s.PartitionStates[j].Partition, status.Code(errs[j])
			topics[n].Partitions = append(topics[n].Partitions, p)
		}
		errs = errs[len(s.PartitionStates):]
	}
	return topics
}

// apply makes replicas what states say, tells Groups of its partitions, and returns an error for each and for the whole.
func (h *Handlers) apply(command replica.Command, states []replica.PartitionState) ([]error, error) {
	h.turns.Lock()
	defer h.turns.Unlock()
	errs, err := h.Replicas.Apply(command, states)
	if err != nil {
		return slices.Repeat([]error{err}, len(states)), err
	}
	for i := range states {
		s := &states[i]
		switch {
		case errs[i] != nil || s.Topic != topic.ConsumerOffsets:
		case s.Leader == h.BrokerID:
			h.Groups.Elected(s.Index, s.LeaderEpoch)
		default:
			h.Groups.Resigned(s.Index, s.LeaderEpoch)
		}
	}
	return errs, nil
}

// partitionStates flattens the two shapes of the request: by partition before version 2, by topic since.
func partitionStates(req *kmsg.LeaderAndISRRequest) []replica.PartitionState {
	n := len(req.PartitionStates)
	for i := range req.TopicStates {
		n += len(req.TopicStates[i].PartitionStates)
	}
	states := make([]replica.PartitionState, 0, n)
	for i := range req.PartitionStates {
		p := &req.PartitionStates[i]
		states = append(states, partitionState(p.Topic, topic.ID{}, p))
	}
	for i := range req.TopicStates {
		t := &req.TopicStates[i]
		for j := range t.PartitionStates {
			states = append(states, partitionState(t.Topic, t.TopicID, &t.PartitionStates[j]))
		}
	}
	return states
}

func partitionState(name string, id topic.ID, p *kmsg.LeaderAndISRRequestTopicPartition) replica.PartitionState {
	return replica.PartitionState{
		Partition:       topic.Partition{Topic: name, Index: p.Partition},
		TopicID:         id,
		ControllerEpoch: p.ControllerEpoch,
		Leader:          p.Leader,
		LeaderEpoch:     p.LeaderEpoch,
		PartitionEpoch:  p.ZKVersion,
		ISR:             p.ISR,
		Replicas:        p.Replicas,
		IsNew:           p.IsNew,
	}
}

// UpdateMetadata replaces what this broker knows of the cluster.
func (h *Handlers) UpdateMetadata(r *request.Request) {
	req := kmsg.NewPtrUpdateMetadataRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.UpdateMetadataResponse)
	command := replica.Command{ControllerID: req.ControllerID, ControllerEpoch: req.ControllerEpoch, BrokerEpoch: req.BrokerEpoch}
	var deleted []topic.Partition
	resp.ErrorCode = status.Code(h.Replicas.Obey(command, func() { deleted = h.Metadata.Apply(req) }))
	h.Groups.Deleted(deleted)
	r.Reply(resp)
}

// StopReplica ends replicas of this broker, and deletes their logs where it says so.
func (h *Handlers) StopReplica(r *request.Request) {
	req := kmsg.NewPtrStopReplicaRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.StopReplicaResponse)
	stops := stopsOf(req)
	command := replica.Command{ControllerID: req.ControllerID, ControllerEpoch: req.ControllerEpoch, BrokerEpoch: req.BrokerEpoch}
	errs, err := h.stop(command, stops)
	resp.ErrorCode = status.Code(err)
	for i, e := range errs {
		p := kmsg.NewStopReplicaResponsePartition()
		p.Topic, p.Partition, p.ErrorCode = stops[i].Topic, stops[i].Index, status.Code(e)
		resp.Partitions = append(resp.Partitions, p)
	}
	r.Reply(resp)
}

// stop ends replicas, tells Groups of its partitions, and returns an error for each, and for the whole.
func (h *Handlers) stop(command replica.Command, stops []replica.Stop) ([]error, error) {
	h.turns.Lock()
	defer h.turns.Unlock()
	errs, err := h.Replicas.StopReplicas(command, stops)
	for i, e := range errs {
		if e == nil && stops[i].Topic == topic.ConsumerOffsets {
			h.Groups.Resigned(stops[i].Index, max(stops[i].LeaderEpoch, -1))
		}
	}
	return errs, err
}

// stopsOf flattens the three shapes of the request (versions 0, 1-2 and 3 on).
func stopsOf(req *kmsg.StopReplicaRequest) []replica.Stop {
	var stops []replica.Stop
	add := func(name string, index, epoch int32, remove bool) {
		stops = append(stops, replica.Stop{
			Partition: topic.Partition{Topic: name, Index: index}, LeaderEpoch: epoch, Delete: remove,
		})
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		switch {
		case req.Version == 0:
			add(t.Topic, t.Partition, -1, req.DeletePartitions)
		case req.Version < 3:
			for _, p := range t.Partitions {
				add(t.Topic, p, -1, req.DeletePartitions)
			}
		default:
			for _, p := range t.PartitionStates {
				add(t.Topic, p.Partition, p.LeaderEpoch, p.Delete)
			}
		}
	}
	return stops
}
