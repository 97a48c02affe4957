package admin

import (
	"slices"

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
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	s := h.Cluster.Load()
	resp.Topics = deletionTopics(req)
	switch {
	case !h.IsController():
		refuseDeletion(resp, kerr.NotController)
	case !h.Config().Bool("delete.topic.enable") && req.Version < deletionDisabledVersion:
		refuseDeletion(resp, kerr.InvalidRequest)
	case !h.Config().Bool("delete.topic.enable"):
		refuseDeletion(resp, kerr.TopicDeletionDisabled)
	case slices.ContainsFunc(resp.Topics, ambiguous):
		refuseDeletion(resp, kerr.InvalidRequest)
	default:
		h.delete(req, resp, resolveDeletion(s, resp))
	}
	r.Reply(resp)
}

func refuseDeletion(resp *kmsg.DeleteTopicsResponse, err *kerr.Error) {
	for i := range resp.Topics {
		resp.Topics[i].ErrorCode = err.Code
	}
}

// ambiguous reports whether both a name and an id are given.
func ambiguous(t kmsg.DeleteTopicsResponseTopic) bool {
	return t.Topic != nil && t.TopicID != topic.ID{}
}

// deletionTopics lists what the request names, in the form of the answer.
func deletionTopics(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsResponseTopic {
	topics := make([]kmsg.DeleteTopicsResponseTopic, 0, len(req.TopicNames)+len(req.Topics))
	add := func(name *string, id topic.ID) {
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

// doomed is a topic that is to be deleted.
type doomed struct {
	name string
	id   topic.ID
	at   int // place in the response
}

// gone reports whether the topic has left the metadata; one of the same name may have come since.
func (d *doomed) gone(s *metadata.Snapshot) bool {
	known := s.Topic(d.name)
	return known == nil || known.ID != d.id
}

// resolveDeletion names the topics that are given by id, and refuses what does not exist.
func resolveDeletion(s *metadata.Snapshot, resp *kmsg.DeleteTopicsResponse) []doomed {
	var found []doomed
	for i := range resp.Topics {
		t := &resp.Topics[i]
		var known *metadata.Topic
		switch id := topic.ID(t.TopicID); {
		case t.Topic != nil:
			known = s.Topic(*t.Topic)
			t.ErrorCode = kerr.UnknownTopicOrPartition.Code
		case id.IsZero():
			t.ErrorCode = kerr.TopicAuthorizationFailed.Code
		default:
			known = s.TopicByID(id)
			t.ErrorCode = kerr.UnknownTopicID.Code
		}
		if known != nil {
			t.Topic, t.ErrorCode = &known.Name, 0
			found = append(found, doomed{name: known.Name, id: known.ID, at: i})
		}
	}
	return found
}

// delete marks topics for deletion and waits for their end.
func (h *Handlers) delete(req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse, topics []doomed) {
	if len(topics) == 0 {
		return
	}
	names := make([]string, len(topics))
	for i := range topics {
		names[i] = topics[i].name
	}
	ctx, cancel := h.storeContext()
	defer cancel()
	var waiting []doomed
	for i, err := range h.Store.DeleteTopics(ctx, names) {
		if err == nil {
			waiting = append(waiting, topics[i])
		}
		resp.Topics[topics[i].at].ErrorCode, _ = h.failed("DeleteTopics", names[i], err)
	}
	h.awaitDeletion(req.TimeoutMillis, resp, waiting)
}

// awaitDeletion sets REQUEST_TIMED_OUT for what is still there when the time is over.
func (h *Handlers) awaitDeletion(timeoutMs int32, resp *kmsg.DeleteTopicsResponse, waiting []doomed) {
	for _, d := range h.await(timeoutMs, len(waiting), func(s *metadata.Snapshot, i int) bool { return waiting[i].gone(s) }) {
		resp.Topics[waiting[d].at].ErrorCode = kerr.RequestTimedOut.Code
	}
}
