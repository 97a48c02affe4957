package admin

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// deletionDisabledVersion is the first version of DeleteTopics that knows TOPIC_DELETION_DISABLED.
const deletionDisabledVersion = 3

// DeleteTopics marks topics for deletion, versions 0 to 6, and answers once they have left this
// broker's metadata.
func (h *Handlers) DeleteTopics(r *request.Request) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	if err := wire.Decode(r, req); err != nil {
		r.Drop(err)
		return
	}
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	s := h.Cluster.Load()
	switch {
	case !h.IsController():
		resp.Topics = refuseDeletion(req, kerr.NotController.Code)
	case !h.Config.Bool("delete.topic.enable"):
		code := kerr.TopicDeletionDisabled.Code
		if req.Version < deletionDisabledVersion {
			code = kerr.InvalidRequest.Code
		}
		resp.Topics = refuseDeletion(req, code)
	default:
		resp.Topics = resolveDeletion(s, req)
		h.delete(req, resp)
	}
	r.Reply(resp)
}

func refuseDeletion(req *kmsg.DeleteTopicsRequest, code int16) []kmsg.DeleteTopicsResponseTopic {
	topics := deletionTopics(req)
	for i := range topics {
		topics[i].ErrorCode = code
	}
	return topics
}

// deletionTopics lists what the request names, each name or id once.
func deletionTopics(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsResponseTopic {
	var topics []kmsg.DeleteTopicsResponseTopic
	names, ids := map[string]bool{}, map[topic.ID]bool{}
	add := func(name *string, id topic.ID) {
		if name != nil && names[*name] || name == nil && ids[id] {
			return
		}
		if name != nil {
			names[*name] = true
		} else {
			ids[id] = true
		}
		t := kmsg.NewDeleteTopicsResponseTopic()
		t.Topic, t.TopicID = name, id
		topics = append(topics, t)
	}
	for i := range req.TopicNames {
		add(&req.TopicNames[i], topic.ID{})
	}
	for i := range req.Topics {
		add(req.Topics[i].Topic, req.Topics[i].TopicID)
	}
	return topics
}

// resolveDeletion finds names for ids and ids for names, and refuses what does not exist.
func resolveDeletion(s *metadata.Snapshot, req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsResponseTopic {
	topics := deletionTopics(req)
	for i := range topics {
		t := &topics[i]
		id := topic.ID(t.TopicID)
		switch {
		case t.Topic != nil && !id.IsZero():
			t.ErrorCode = kerr.InvalidRequest.Code
		case t.Topic != nil:
			if known := s.Topic(*t.Topic); known != nil {
				t.TopicID = known.ID
			} else {
				t.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
		case id.IsZero():
			t.ErrorCode = kerr.TopicAuthorizationFailed.Code
		default:
			if known := s.TopicByID(id); known != nil {
				t.Topic = &known.Name
			} else {
				t.ErrorCode = kerr.UnknownTopicID.Code
			}
		}
	}
	return topics
}

// delete marks the topics without an error and waits for their end.
func (h *Handlers) delete(req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse) {
	var names []string
	var at []int
	for i := range resp.Topics {
		if resp.Topics[i].ErrorCode == 0 {
			names, at = append(names, *resp.Topics[i].Topic), append(at, i)
		}
	}
	if len(names) == 0 {
		return
	}
	ctx, cancel := h.storeContext()
	defer cancel()
	var waiting []int
	for i, err := range h.Store.DeleteTopics(ctx, names) {
		out := &resp.Topics[at[i]]
		if out.ErrorCode, _ = h.failed("DeleteTopics", names[i], err); err == nil {
			waiting = append(waiting, at[i])
		}
	}
	h.awaitDeletion(req.TimeoutMillis, resp, waiting)
}

// awaitDeletion sets REQUEST_TIMED_OUT for what is still there when the time is over.
func (h *Handlers) awaitDeletion(timeoutMs int32, resp *kmsg.DeleteTopicsResponse, waiting []int) {
	gone := func(s *metadata.Snapshot, i int) bool {
		known := s.Topic(*resp.Topics[i].Topic)
		return known == nil || known.ID != resp.Topics[i].TopicID
	}
	wait, cancel := h.within(timeoutMs)
	defer cancel()
	left := waiting
	err := h.Cluster.WaitFor(wait, func(s *metadata.Snapshot) bool {
		for len(left) > 0 && gone(s, left[0]) {
			left = left[1:]
		}
		return len(left) == 0
	})
	if err == nil && timeoutMs > 0 {
		return
	}
	s := h.Cluster.Load()
	for _, i := range waiting {
		if timeoutMs <= 0 || !gone(s, i) {
			resp.Topics[i].ErrorCode = kerr.RequestTimedOut.Code
		}
	}
}
