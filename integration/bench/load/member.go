package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The versions of what a consumer of Kafka 3.9 sends to its coordinator.
const (
	joinVersion      = 9
	syncVersion      = 5
	heartbeatVersion = 4
	leaveVersion     = 5
	commitVersion    = 9
	offsetVersion    = 9 // of OffsetFetch
)

// protocol is what members assign by.
const protocol = "range"

// rebalanceTimeout is max.poll.interval.ms of a consumer.
const rebalanceTimeout = 5 * time.Minute

// A Member is a member of a consumer group, with a connection of its own as every client has: a JoinGroup
// keeps others from passing it.
type Member struct {
	conn       *Conn
	group      *Group
	id         string
	generation int32 // 0: of none yet
}

// rebalance takes part in a rebalance, until m has its assignment.
func (m *Member) rebalance(ctx context.Context) error {
	for {
		members, err := m.join(ctx)
		if errors.Is(err, kerr.MemberIDRequired) {
			continue
		}
		if err == nil {
			err = m.sync(ctx, members)
		}
		if !errors.Is(err, kerr.RebalanceInProgress) {
			return err
		}
	}
}

// join returns the ids of the group's members if m is to assign to them.
func (m *Member) join(ctx context.Context) ([]string, error) {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Version, req.Group, req.MemberID, req.ProtocolType = joinVersion, m.group.ID, m.id, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(m.group.session.Milliseconds()), int32(rebalanceTimeout.Milliseconds())
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: protocol, Metadata: m.group.subscription}}
	resp, err := m.conn.RoundTrip(ctx, req)
	if err != nil {
		return nil, err
	}
	j := resp.(*kmsg.JoinGroupResponse)
	if j.MemberID != "" {
		m.id = j.MemberID
	}
	if err := kerr.ErrorForCode(j.ErrorCode); err != nil {
		return nil, fmt.Errorf("join group %s: %w", m.group.ID, err)
	}
	m.generation = j.Generation
	members := make([]string, len(j.Members))
	for i := range j.Members {
		members[i] = j.Members[i].MemberID
	}
	return members, nil
}

// sync waits for m's assignment; a leader brings those of all members.
func (m *Member) sync(ctx context.Context, members []string) error {
	kind, name := "consumer", protocol
	req := kmsg.NewPtrSyncGroupRequest()
	req.Version, req.Group, req.MemberID, req.Generation = syncVersion, m.group.ID, m.id, m.generation
	req.ProtocolType, req.Protocol = &kind, &name
	for i, id := range members {
		req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{
			MemberID: id, MemberAssignment: assignment(m.group.topic, int32(i)),
		})
	}
	resp, err := m.conn.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	s := resp.(*kmsg.SyncGroupResponse)
	err = kerr.ErrorForCode(s.ErrorCode)
	if err == nil && len(s.MemberAssignment) == 0 {
		err = errors.New("nothing is assigned")
	}
	if err != nil {
		return fmt.Errorf("sync group %s: %w", m.group.ID, err)
	}
	return nil
}

// heartbeat reports whether a rebalance waits for m.
func (m *Member) heartbeat(ctx context.Context) (rebalance bool, err error) {
	resp, err := m.conn.RoundTrip(ctx, m.heartbeatRequest())
	if err != nil {
		return false, err
	}
	code := resp.(*kmsg.HeartbeatResponse).ErrorCode
	if code == kerr.RebalanceInProgress.Code {
		return true, nil
	}
	if err := kerr.ErrorForCode(code); err != nil {
		return false, fmt.Errorf("heartbeat to group %s: %w", m.group.ID, err)
	}
	return false, nil
}

func (m *Member) heartbeatRequest() *kmsg.HeartbeatRequest {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version, req.Group, req.MemberID, req.Generation = heartbeatVersion, m.group.ID, m.id, m.generation
	return req
}

// commitRequest commits offsets of so many partitions of the group's topic, from one on.
func (m *Member) commitRequest(first, partitions int) *kmsg.OffsetCommitRequest {
	metadata := ""
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Version, req.Group, req.MemberID, req.Generation = commitVersion, m.group.ID, m.id, m.generation
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = m.group.topic
	for i := range partitions {
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = int32(first+i), int64(1000+i), 0, &metadata
		t.Partitions = append(t.Partitions, p)
	}
	req.Topics = append(req.Topics, t)
	return req
}

// subscription is what a consumer of a topic says when it joins.
func subscription(topic string) []byte {
	s := kmsg.NewConsumerMemberMetadata()
	s.Version, s.Topics = 3, []string{topic}
	return s.AppendTo(nil)
}

// assignment is one partition of a topic.
func assignment(topic string, partition int32) []byte {
	a := kmsg.NewConsumerMemberAssignment()
	a.Version = 3
	t := kmsg.NewConsumerMemberAssignmentTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	a.Topics = append(a.Topics, t)
	return a.AppendTo(nil)
}
