package groups

import (
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/api/repeat"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

// groupOperations are what an unauthenticated client of a broker without an authorizer may do with a group,
// 1<<code each (AclEntry.supportedOperations).
const groupOperations = 1<<3 | 1<<6 | 1<<8

// classicType is the type of all groups of this coordinator.
const classicType = "classic"

// DescribeGroups shows groups and their members, versions 0 to 5.
func (h *Handlers) DescribeGroups(r *request.Request) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	var guard repeat.Guard[string]
	for _, id := range req.Groups {
		if guard.Refuse(id) {
			resp.Groups = append(resp.Groups, described(req, id, kerr.InvalidRequest.Code, nil))
			continue
		}
		code, s := h.Groups.Describe(id)
		guard.Answered(id, membersSize(s.Members))
		resp.Groups = append(resp.Groups, described(req, id, code, &s))
	}
	r.Reply(resp)
}

// membersSize is about what members take in a response.
func membersSize(members []group.MemberSummary) (n int) {
	for i := range members {
		m := &members[i]
		n += len(m.ID) + len(m.ClientID) + len(m.ClientHost) + len(m.Metadata) + len(m.Assignment)
	}
	return n
}

func described(req *kmsg.DescribeGroupsRequest, id string, code int16, s *group.Summary) kmsg.DescribeGroupsResponseGroup {
	g := kmsg.NewDescribeGroupsResponseGroup()
	if g.Group, g.ErrorCode = id, code; code != 0 {
		return g
	}
	g.State, g.ProtocolType, g.Protocol = s.State.String(), s.ProtocolType, s.Protocol
	for i := range s.Members {
		m, out := &s.Members[i], kmsg.NewDescribeGroupsResponseGroupMember()
		out.MemberID, out.InstanceID, out.ClientID, out.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		out.ProtocolMetadata, out.MemberAssignment = m.Metadata, m.Assignment
		g.Members = append(g.Members, out)
	}
	if g.AuthorizedOperations = math.MinInt32; req.IncludeAuthorizedOperations {
		g.AuthorizedOperations = groupOperations
	}
	return g
}

// ListGroups lists the groups that this broker coordinates, versions 0 to 5.
func (h *Handlers) ListGroups(r *request.Request) {
	req := kmsg.NewPtrListGroupsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ListGroupsResponse)
	var groups []group.Summary
	resp.ErrorCode, groups = h.Groups.List(req.StatesFilter)
	classic := func(s string) bool { return strings.EqualFold(s, classicType) }
	if len(req.TypesFilter) > 0 && !slices.ContainsFunc(req.TypesFilter, classic) {
		groups = nil
	}
	for i := range groups {
		g := kmsg.NewListGroupsResponseGroup()
		g.Group, g.ProtocolType = groups[i].ID, groups[i].ProtocolType
		g.GroupState, g.GroupType = groups[i].State.String(), classicType
		resp.Groups = append(resp.Groups, g)
	}
	r.Reply(resp)
}

// DeleteGroups deletes groups without members, versions 0 to 2.
func (h *Handlers) DeleteGroups(r *request.Request) {
	req := kmsg.NewPtrDeleteGroupsRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.DeleteGroupsResponse)
	seen := map[string]bool{}
	for _, id := range req.Groups {
		if seen[id] {
			continue
		}
		seen[id] = true
		g := kmsg.NewDeleteGroupsResponseGroup()
		g.Group, g.ErrorCode = id, h.Groups.Delete(id)
		resp.Groups = append(resp.Groups, g)
	}
	r.Reply(resp)
}

// OffsetDelete deletes committed offsets of topics that the group does not subscribe to (KIP-496), version 0.
func (h *Handlers) OffsetDelete(r *request.Request) {
	req := kmsg.NewPtrOffsetDeleteRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
	cluster := h.Metadata.Load()
	var known []topic.Partition
	var out []*int16
	for i := range req.Topics {
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = req.Topics[i].Topic
		t.Partitions = make([]kmsg.OffsetDeleteResponseTopicPartition, len(req.Topics[i].Partitions))
		for j := range t.Partitions {
			p := topic.Partition{Topic: t.Topic, Index: req.Topics[i].Partitions[j].Partition}
			if t.Partitions[j].Partition = p.Index; cluster.Partition(p) == nil {
				t.Partitions[j].ErrorCode = kerr.UnknownTopicOrPartition.Code
				continue
			}
			known, out = append(known, p), append(out, &t.Partitions[j].ErrorCode)
		}
		resp.Topics = append(resp.Topics, t)
	}
	var codes []int16
	if resp.ErrorCode, codes = h.Groups.DeleteOffsets(req.Group, known); resp.ErrorCode != 0 {
		resp.Topics = nil
	}
	for i, code := range codes {
		*out[i] = code
	}
	r.Reply(resp)
}

// ConsumerGroupHeartbeat is of the group protocol that needs KRaft (KIP-848).
func (h *Handlers) ConsumerGroupHeartbeat(r *request.Request) {
	req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	r.Reply(resp)
}

// ConsumerGroupDescribe is of the group protocol that needs KRaft (KIP-848).
func (h *Handlers) ConsumerGroupDescribe(r *request.Request) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
	for _, id := range req.Groups {
		g := kmsg.NewConsumerGroupDescribeResponseGroup()
		g.Group, g.ErrorCode = id, kerr.UnsupportedVersion.Code
		resp.Groups = append(resp.Groups, g)
	}
	r.Reply(resp)
}
