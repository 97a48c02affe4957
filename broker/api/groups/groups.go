// Package groups serves the APIs of consumer groups and committed offsets.
//
// The handlers translate: what a group does is the coordinator's part. JoinGroup, SyncGroup, OffsetCommit and
// TxnOffsetCommit are answered when the coordinator calls back, from whatever goroutine. What is behind a JoinGroup or
// SyncGroup on a connection is handled once it is answered, and an OffsetFetch once the commits before it are
// (request.Route).
package groups

import (
	"context"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/coordinator"
	"github.com/gregor-mq/gregor/broker/coordinator/group"
	"github.com/gregor-mq/gregor/broker/metadata"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/verifier"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Handlers serve the APIs of the package. All fields are required.
type Handlers struct {
	Groups   *coordinator.Coordinator
	Replicas *replica.Manager
	Metadata *metadata.Cache
	// Old keeps the offsets of version 0 of OffsetCommit and OffsetFetch.
	Old         OldOffsets
	MaxMetadata int             // offset.metadata.max.bytes
	Context     context.Context // ends when the broker stops
	Logger      logrus.FieldLogger
	// Verify asks the coordinator of a transaction whether partitions belong to it, if Verifying.
	Verify    func(q verifier.Question) []int16
	Verifying func() bool // transaction.partition.verification.enable
}

// OldOffsets are the offsets that consumers before Kafka 0.9 keep in ZooKeeper.
type OldOffsets interface {
	// ConsumerOffset returns the offset; ok is false if there is none.
	ConsumerOffset(ctx context.Context, group string, p topic.Partition) (offset int64, ok bool, err error)
	SetConsumerOffset(ctx context.Context, group string, p topic.Partition, offset int64) error
}

// JoinGroup lets a member take part in the group's next generation, versions 0 to 9.
func (h *Handlers) JoinGroup(r *request.Request) {
	req := kmsg.NewPtrJoinGroupRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	j := &group.Join{
		MemberID: req.MemberID, InstanceID: req.InstanceID,
		ClientID: r.ClientID, ClientHost: "/" + r.Conn.Remote.Addr().Unmap().String(),
		SessionTimeoutMs: req.SessionTimeoutMillis, RebalanceTimeoutMs: req.RebalanceTimeoutMillis,
		ProtocolType:      req.ProtocolType,
		RequireKnownID:    req.Version >= 4 && req.InstanceID == nil,
		MaySkipAssignment: req.Version >= 9,
		Reason:            deref(req.Reason),
	}
	if req.Version == 0 {
		j.RebalanceTimeoutMs = req.SessionTimeoutMillis
	}
	seen := make(map[string]bool, len(req.Protocols))
	for i := range req.Protocols {
		p := &req.Protocols[i]
		if seen[p.Name] {
			continue // Kafka counts it as if two members knew it, and then finds none that all know
		}
		seen[p.Name] = true
		j.Protocols = append(j.Protocols, group.Protocol{Name: p.Name, Metadata: p.Metadata})
	}
	h.Groups.Join(req.Group, j, func(a group.Joined) {
		if a.Superseded {
			r.Abandon()
			return
		}
		r.Reply(joined(req, a))
	})
}

func joined(req *kmsg.JoinGroupRequest, a group.Joined) request.Body {
	resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
	resp.ErrorCode, resp.MemberID, resp.Generation = a.Code, a.MemberID, a.Generation
	resp.ProtocolType, resp.Protocol, resp.LeaderID, resp.SkipAssignment = a.ProtocolType, a.Protocol, a.Leader, a.Skip
	switch {
	case req.Version < 7 && resp.Protocol == nil:
		resp.Protocol = new(string)
	case req.Version >= 7 && resp.Protocol != nil && *resp.Protocol == "": // as JoinGroupResponse.java
		resp.Protocol = nil
	}
	for _, m := range a.Members {
		out := kmsg.NewJoinGroupResponseMember()
		out.MemberID, out.InstanceID, out.ProtocolMetadata = m.ID, m.InstanceID, m.Metadata
		resp.Members = append(resp.Members, out)
	}
	return resp
}

// SyncGroup gives a member its assignment, versions 0 to 5.
func (h *Handlers) SyncGroup(r *request.Request) {
	req := kmsg.NewPtrSyncGroupRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	reply := func(a group.Synced) {
		if a.Superseded {
			r.Abandon()
			return
		}
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		resp.ErrorCode, resp.ProtocolType, resp.Protocol, resp.MemberAssignment = a.Code, a.ProtocolType, a.Protocol, a.Assignment
		if resp.MemberAssignment == nil {
			resp.MemberAssignment = []byte{}
		}
		r.Reply(resp)
	}
	if req.Version >= 5 && (req.ProtocolType == nil || req.Protocol == nil) {
		reply(group.Synced{Code: kerr.InconsistentGroupProtocol.Code})
		return
	}
	s := &group.Sync{
		MemberID: req.MemberID, InstanceID: req.InstanceID, Generation: req.Generation,
		ProtocolType: req.ProtocolType, Protocol: req.Protocol,
		Assignments: make(map[string][]byte, len(req.GroupAssignment)),
	}
	for i := range req.GroupAssignment {
		s.Assignments[req.GroupAssignment[i].MemberID] = req.GroupAssignment[i].MemberAssignment
	}
	h.Groups.Sync(req.Group, s, reply)
}

// Heartbeat keeps a member alive and tells it of a rebalance, versions 0 to 4. Nothing of the request is kept.
func (h *Handlers) Heartbeat(r *request.Request) {
	var req wire.HeartbeatRequest
	if err := req.Parse(r.Version, r.Body); err != nil {
		r.Drop(err)
		return
	}
	resp := wire.NewHeartbeatResponse(r.Version)
	resp.ErrorCode = h.Groups.Heartbeat(req.Group, identity(req.MemberID, &req.InstanceID, req.Static), req.Generation)
	r.Reply(resp)
}

// identity names a member; a member that is not static has no instance id.
func identity(memberID string, instanceID *string, static bool) group.Identity {
	if !static {
		instanceID = nil
	}
	return group.Identity{MemberID: memberID, InstanceID: instanceID}
}

// deref returns what s points to, "" if that is nothing.
func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// LeaveGroup ends memberships, versions 0 to 5. Before version 3 it is about one member, whose error is that of
// the whole.
func (h *Handlers) LeaveGroup(r *request.Request) {
	req := kmsg.NewPtrLeaveGroupRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	var who []group.Departure
	if req.Version < 3 {
		who = append(who, group.Departure{Identity: group.Identity{MemberID: req.MemberID}})
	}
	for i := range req.Members {
		m := &req.Members[i]
		who = append(who, group.Departure{Identity: group.Identity{MemberID: m.MemberID, InstanceID: m.InstanceID}, Reason: deref(m.Reason)})
	}
	resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	var codes []int16
	resp.ErrorCode, codes = h.Groups.Leave(req.Group, who)
	if req.Version < 3 && len(codes) > 0 {
		resp.ErrorCode = codes[0]
		r.Reply(resp)
		return
	}
	for i, code := range codes {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = who[i].MemberID, who[i].InstanceID, code
		resp.Members = append(resp.Members, m)
	}
	r.Reply(resp)
}
