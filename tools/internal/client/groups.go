package client

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// consumerProtocol is the protocol type of groups of consumers. Groups that only commit have none.
const consumerProtocol = "consumer"

// Group is a consumer group as its coordinator describes it.
type Group struct {
	Coordinator Node
	State       string // "Stable", "Empty", ...; "Dead" if there is no such group
	Assignor    string // the protocol that its members agreed on; "" for none
	Members     []Member
}

// Member is a member of a group.
type Member struct {
	ID, InstanceID, ClientID, Host string
	Partitions                     []topic.Partition // assigned to it, in the order of a Java HashSet
}

// DescribeGroups returns what the coordinators say of groups, and the errors of those of which they say nothing.
func (a *Admin) DescribeGroups(ctx context.Context, groups []string) (map[string]Group, map[string]error) {
	found := map[string]Group{}
	ask := func(ctx context.Context, coordinator *kgo.Broker, asked []string) (map[string]error, error) {
		asked, err := a.describeNew(ctx, coordinator, asked, found)
		if err != nil || len(asked) == 0 {
			return nil, err
		}
		return describeClassic(ctx, coordinator, asked, found)
	}
	nodes, failed := a.eachCoordinator(ctx, "describeConsumerGroups", "DESCRIBE_GROUPS", groups, ask)
	for id, group := range found {
		group.Coordinator = nodes[id]
		found[id] = group
	}
	return found, failed
}

func describeClassic(ctx context.Context, coordinator *kgo.Broker, asked []string, found map[string]Group) (map[string]error, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = asked
	resp, err := coordinator.RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	failed := map[string]error{}
	for _, g := range resp.(*kmsg.DescribeGroupsResponse).Groups {
		switch {
		case g.ErrorCode != 0:
			failed[g.Group] = throwable.FromCode(g.ErrorCode, nil)
		case g.ProtocolType != "" && g.ProtocolType != consumerProtocol:
			failed[g.Group] = throwable.Newf(throwable.IllegalArgument, "GroupId %s is not a consumer group (%s).", g.Group, g.ProtocolType)
		default:
			group := Group{State: g.State, Assignor: g.Protocol}
			for _, m := range g.Members {
				member, err := classicMember(m)
				if err != nil {
					failed[g.Group] = err
				}
				group.Members = append(group.Members, member)
			}
			found[g.Group] = group
		}
	}
	return failed, nil
}

func classicMember(m kmsg.DescribeGroupsResponseGroupMember) (Member, error) {
	member := Member{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost}
	if m.InstanceID != nil {
		member.InstanceID = *m.InstanceID
	}
	if len(m.MemberAssignment) == 0 {
		return member, nil
	}
	var assignment kmsg.ConsumerMemberAssignment
	if err := assignment.ReadFrom(m.MemberAssignment); err != nil {
		return member, throwable.New("org.apache.kafka.common.protocol.types.SchemaException", "Error reading the assignment of member "+m.MemberID)
	}
	for _, t := range assignment.Topics {
		for _, index := range t.Partitions {
			member.Partitions = append(member.Partitions, topic.Partition{Topic: t.Topic, Index: index})
		}
	}
	member.Partitions = javamap.Set(member.Partitions, javamap.HashPartition)
	return member, nil
}

// describeNew asks for groups with the protocol of KIP-848, which brokers in ZooKeeper mode do not know, and
// returns those that have another one.
func (a *Admin) describeNew(ctx context.Context, coordinator *kgo.Broker, asked []string, found map[string]Group) ([]string, error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	if a.lacks(ctx, req) {
		return asked, ctx.Err()
	}
	req.Groups = asked
	resp, err := coordinator.RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	var classic []string
	for _, g := range resp.(*kmsg.ConsumerGroupDescribeResponse).Groups {
		if g.ErrorCode != 0 {
			classic = append(classic, g.Group) // also one that does not exist, or cannot be asked about now
			continue
		}
		group := Group{State: g.State, Assignor: g.AssignorName}
		for _, m := range g.Members {
			group.Members = append(group.Members, newMember(m))
		}
		found[g.Group] = group
	}
	return classic, nil
}

func newMember(m kmsg.ConsumerGroupDescribeResponseGroupMember) Member {
	member := Member{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost}
	if m.InstanceID != nil {
		member.InstanceID = *m.InstanceID
	}
	for _, t := range m.Assignment.TopicPartitions {
		for _, index := range t.Partitions {
			member.Partitions = append(member.Partitions, topic.Partition{Topic: t.Topic, Index: index})
		}
	}
	member.Partitions = javamap.Set(member.Partitions, javamap.HashPartition)
	return member
}

// DeleteGroups deletes groups and returns the errors of those that were not.
func (a *Admin) DeleteGroups(ctx context.Context, groups []string) map[string]error {
	ask := func(ctx context.Context, coordinator *kgo.Broker, asked []string) (map[string]error, error) {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = asked
		resp, err := coordinator.RetriableRequest(ctx, req)
		if err != nil {
			return nil, err
		}
		failed := map[string]error{}
		for _, g := range resp.(*kmsg.DeleteGroupsResponse).Groups {
			failed[g.Group] = throwable.FromCode(g.ErrorCode, nil)
			switch g.ErrorCode {
			case kerr.InvalidGroupID.Code, kerr.NonEmptyGroup.Code, kerr.GroupIDNotFound.Code, kerr.GroupAuthorizationFailed.Code:
			default:
				a.LogUnexpected("DeleteConsumerGroupsHandler", "`DeleteConsumerGroups` request for group id "+g.Group+" failed due to unexpected error", g.ErrorCode)
			}
		}
		return failed, nil
	}
	_, failed := a.eachCoordinator(ctx, "deleteConsumerGroups", "DELETE_GROUPS", groups, ask)
	return failed
}
