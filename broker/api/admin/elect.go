package admin

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/status"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Elector is the controller as Elections need it. Its errors are Kafka's, with their texts.
type Elector interface {
	// Elect holds an election for each partition, and returns who leads it now, or an error; or one
	// error for all.
	Elect(ctx context.Context, ps []topic.Partition, unclean bool) (leaders []int32, errs []error, err error)
}

// Elections serves ElectLeaders. All fields are required.
type Elections struct {
	Controller Elector
	Cluster    *metadata.Cache
	Context    context.Context // ends when the broker stops, and waiting with it
}

// Types of elections (ElectionType.java).
const (
	electPreferred int8 = 0
	electUnclean   int8 = 1
)

// ElectLeaders elects the preferred leaders of partitions (KIP-183) or, where nobody is left who could lead,
// unclean ones (KIP-460), versions 0 to 2, and answers once they lead in this broker's metadata. Asked for
// all partitions, it does not tell of those that need no election.
func (h *Elections) ElectLeaders(r *request.Request) {
	req := kmsg.NewPtrElectLeadersRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	deadline := time.Now().Add(time.Duration(req.TimeoutMillis) * time.Millisecond)
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	ps := h.named(req)
	var errs []error
	if req.ElectionType != electPreferred && req.ElectionType != electUnclean {
		errs = failAll(len(ps), kerr.UnknownServerError)
		resp.ErrorCode = kerr.UnknownServerError.Code
	} else {
		errs = h.elect(ps, req.ElectionType == electUnclean, deadline)
	}
	at := map[string]int{}
	for i, p := range ps {
		if req.Topics == nil && status.Code(errs[i]) == kerr.ElectionNotNeeded.Code {
			continue
		}
		n, known := at[p.Topic]
		if !known {
			n = len(resp.Topics)
			at[p.Topic] = n
			t := kmsg.NewElectLeadersResponseTopic()
			t.Topic = p.Topic
			resp.Topics = append(resp.Topics, t)
		}
		out := kmsg.NewElectLeadersResponseTopicPartition()
		out.Partition, out.ErrorCode, out.ErrorMessage = p.Index, status.Code(errs[i]), status.Message(errs[i])
		resp.Topics[n].Partitions = append(resp.Topics[n].Partitions, out)
	}
	r.Reply(resp)
}

// named lists the partitions that req is about, each once: without any, all that this broker knows.
func (h *Elections) named(req *kmsg.ElectLeadersRequest) (ps []topic.Partition) {
	if req.Topics == nil {
		for t := range h.Cluster.Load().Topics() {
			for _, p := range t.Partitions {
				ps = append(ps, topic.Partition{Topic: t.Name, Index: p.Index})
			}
		}
		return ps
	}
	listed := map[topic.Partition]bool{}
	for _, t := range req.Topics {
		for _, index := range t.Partitions {
			if p := (topic.Partition{Topic: t.Topic, Index: index}); !listed[p] {
				listed[p] = true
				ps = append(ps, p)
			}
		}
	}
	return ps
}

func failAll(n int, err error) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// elect holds the elections and waits until deadline for the new leaders (DelayedElectLeader).
func (h *Elections) elect(ps []topic.Partition, unclean bool, deadline time.Time) []error {
	leaders, errs, err := h.Controller.Elect(h.Context, ps, unclean)
	if err != nil {
		return failAll(len(ps), err)
	}
	waiting := map[topic.Partition]int{} // to its place
	for i, err := range errs {
		if err == nil {
			waiting[ps[i]] = i
		}
	}
	if len(waiting) == 0 {
		return errs
	}
	ctx, cancel := context.WithDeadline(h.Context, deadline)
	defer cancel()
	if h.Cluster.WaitFor(ctx, func(s *metadata.Snapshot) bool {
		for p, i := range waiting {
			if known := s.Partition(p); known != nil && known.Leader == leaders[i] {
				delete(waiting, p) // once it has led, its election has been held
			}
		}
		return len(waiting) == 0
	}) == nil {
		return errs
	}
	for _, i := range waiting {
		errs[i] = kerr.RequestTimedOut
	}
	return errs
}
