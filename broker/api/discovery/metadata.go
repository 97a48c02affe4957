package discovery

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Versions at which Metadata changes (MetadataRequest.java).
const (
	allByNullVersion     = 1 // null: all topics, empty: none; before: empty is all
	autoCreateVersion    = 4 // the client decides whether a topic may be created
	listenerErrorVersion = 6 // LISTENER_NOT_FOUND exists
	idVersion            = 12
	operationsVersion    = 8 // authorized operations on demand
)

// Metadata describes brokers and topics, versions 0 to 12, and creates topics where it may.
func (h *Handlers) Metadata(r *request.Request) {
	req := kmsg.NewPtrMetadataRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	if misnamed(req) {
		resp.Topics = refuseTopics(req)
		r.Reply(resp)
		return
	}
	s := h.Cluster.Load()
	v := view{snapshot: s, listener: r.Conn.Listener, version: req.Version, operations: req.IncludeTopicAuthorizedOperations}
	resp.Topics = h.topics(&v, req)
	resp.ControllerID = s.ControllerID
	for _, n := range nodes(s, r.Conn.Listener) {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = n.id, n.host, n.port, n.rack
		resp.Brokers = append(resp.Brokers, b)
	}
	resp.ClusterID = &h.ClusterID
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	r.Reply(resp)
}

// misnamed reports whether a request before version 12 asks for topics by id, which Kafka refuses without
// telling anything of the cluster.
func misnamed(req *kmsg.MetadataRequest) bool {
	return req.Version < idVersion && slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool {
		return t.Topic == nil || t.TopicID != topic.ID{}
	})
}

func refuseTopics(req *kmsg.MetadataRequest) []kmsg.MetadataResponseTopic {
	topics := make([]kmsg.MetadataResponseTopic, len(req.Topics))
	for i := range topics {
		topics[i] = failedTopic(req.Topics[i].Topic, req.Topics[i].TopicID, kerr.InvalidRequest.Code)
		if topics[i].Topic == nil {
			topics[i].Topic = kmsg.StringPtr("")
		}
	}
	return topics
}

func failedTopic(name *string, id topic.ID, code int16) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.TopicID, t.ErrorCode = name, id, code
	t.IsInternal = name != nil && topic.IsInternal(*name)
	return t
}

// topics answers for the topics that req asks for.
func (h *Handlers) topics(v *view, req *kmsg.MetadataRequest) []kmsg.MetadataResponseTopic {
	if req.Topics == nil || req.Version < allByNullVersion && len(req.Topics) == 0 {
		all := make([]kmsg.MetadataResponseTopic, 0, v.snapshot.NumTopics())
		for t := range v.snapshot.Topics() {
			all = append(all, v.topic(t))
		}
		slices.SortFunc(all, func(a, b kmsg.MetadataResponseTopic) int { return cmp.Compare(*a.Topic, *b.Topic) })
		return all
	}
	byID := slices.ContainsFunc(req.Topics, func(t kmsg.MetadataRequestTopic) bool { return t.TopicID != topic.ID{} })
	if byID {
		return v.byID(req)
	}
	topics := make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	seen := make(map[string]bool, len(req.Topics))
	var missing []string
	var at []int // places of what is missing
	for i := range req.Topics {
		name := req.Topics[i].Topic
		switch {
		case name == nil:
			topics = append(topics, failedTopic(nil, topic.ID{}, kerr.UnknownTopicID.Code))
			continue
		case seen[*name]:
			continue
		}
		seen[*name] = true
		if t := v.snapshot.Topic(*name); t != nil {
			topics = append(topics, v.topic(t))
			continue
		}
		t := v.failed(name)
		if t.ErrorCode == kerr.UnknownTopicOrPartition.Code {
			missing, at = append(missing, *name), append(at, len(topics))
		}
		topics = append(topics, t)
	}
	if len(missing) > 0 && h.AutoCreate != nil && (req.Version < autoCreateVersion || req.AllowAutoTopicCreation) {
		for i, code := range h.AutoCreate.Create(missing) {
			topics[at[i]].ErrorCode = code
		}
	}
	return topics
}

// byID answers a request that names a topic by id: names beside ids do not count, as in Kafka.
func (v *view) byID(req *kmsg.MetadataRequest) []kmsg.MetadataResponseTopic {
	topics := make([]kmsg.MetadataResponseTopic, 0, len(req.Topics))
	seen := map[topic.ID]bool{{}: true}
	for i := range req.Topics {
		id := topic.ID(req.Topics[i].TopicID)
		if seen[id] {
			continue
		}
		seen[id] = true
		if t := v.snapshot.TopicByID(id); t != nil {
			topics = append(topics, v.topic(t))
		} else {
			topics = append(topics, failedTopic(nil, id, kerr.UnknownTopicID.Code))
		}
	}
	return topics
}

// view is the cluster as one client sees it.
type view struct {
	snapshot   *metadata.Snapshot
	listener   string
	version    int16
	operations bool
}

// named answers for a topic that a client gave by its name, or may know by it.
func (v *view) named(name *string, id topic.ID, code int16) kmsg.MetadataResponseTopic {
	out := failedTopic(name, id, code)
	if v.operations && v.version >= operationsVersion {
		out.AuthorizedOperations = topicOperations
	}
	return out
}

// failed answers for a topic that does not exist, or cannot.
func (v *view) failed(name *string) kmsg.MetadataResponseTopic {
	if topic.ValidateName(*name) != nil {
		return v.named(name, topic.ID{}, kerr.InvalidTopicException.Code)
	}
	return v.named(name, topic.ID{}, kerr.UnknownTopicOrPartition.Code)
}

func (v *view) topic(t *metadata.Topic) kmsg.MetadataResponseTopic {
	out := v.named(&t.Name, t.ID, 0)
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		out.Partitions[i] = v.partition(p)
	}
	return out
}

func (v *view) partition(p *metadata.Partition) kmsg.MetadataResponseTopicPartition {
	out := kmsg.NewMetadataResponseTopicPartition()
	out.Partition, out.Leader, out.LeaderEpoch = p.Index, p.Leader, p.LeaderEpoch
	out.Replicas, out.ISR, out.OfflineReplicas = p.Replicas, p.ISR, p.Offline
	leader := v.snapshot.Broker(p.Leader)
	if _, listens := v.snapshot.Endpoint(p.Leader, v.listener); !listens {
		out.Leader = metadata.NoLeader
		out.ErrorCode = kerr.LeaderNotAvailable.Code
		if leader != nil && v.version >= listenerErrorVersion {
			out.ErrorCode = kerr.ListenerNotFound.Code
		}
	}
	if v.version == 0 { // clients of version 0 know no dead replicas
		out.Replicas, out.ISR = v.alive(p.Replicas), v.alive(p.ISR)
		if out.ErrorCode == 0 && (len(out.Replicas) < len(p.Replicas) || len(out.ISR) < len(p.ISR)) {
			out.ErrorCode = kerr.ReplicaNotAvailable.Code
		}
	}
	return out
}

func (v *view) alive(ids []int32) []int32 {
	var alive []int32
	for _, id := range ids {
		if _, ok := v.snapshot.Endpoint(id, v.listener); ok {
			alive = append(alive, id)
		}
	}
	return alive
}
