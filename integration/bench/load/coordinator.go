package load

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetsTopic is where coordinators keep groups.
const OffsetsTopic = "__consumer_offsets"

// Coordinated fails unless a broker coordinates the group. The first to ask makes the topic.
func (c *Conn) Coordinated(ctx context.Context, group string) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.Version, req.CoordinatorKeys = 6, []string{group}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	found := resp.(*kmsg.FindCoordinatorResponse).Coordinators
	if len(found) != 1 {
		return fmt.Errorf("an answer about %d groups", len(found))
	}
	return kerr.ErrorForCode(found[0].ErrorCode)
}

// Served fails unless the broker answers for the group, and has so many offsets of it.
func (c *Conn) Served(ctx context.Context, group string, offsets int) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Version, req.Groups = offsetVersion, []kmsg.OffsetFetchRequestGroup{{Group: group, MemberEpoch: -1}}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	groups := resp.(*kmsg.OffsetFetchResponse).Groups
	if len(groups) != 1 {
		return fmt.Errorf("an answer about %d groups", len(groups))
	}
	if err := kerr.ErrorForCode(groups[0].ErrorCode); err != nil {
		return err
	}
	count := 0
	for _, t := range groups[0].Topics {
		count += len(t.Partitions)
	}
	if count != offsets {
		return fmt.Errorf("group %s has %d offsets of %d", group, count, offsets)
	}
	return nil
}

// IsRefusal reports whether err is what a broker has answered, which may be asked again on the same connection.
func IsRefusal(err error) bool {
	var refusal *kerr.Error
	return errors.As(err, &refusal)
}

// Reassign gives a partition other replicas, or another order of them, of which the first is preferred.
func (c *Conn) Reassign(ctx context.Context, p Partition, replicas []int32) error {
	assign := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	assign.Version, assign.TimeoutMillis = 0, int32(patience.Milliseconds())
	assign.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: p.Topic,
		Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{{Partition: p.Index, Replicas: replicas}}}}
	resp, err := c.RoundTrip(ctx, assign)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.AlterPartitionAssignmentsResponse).Topics {
		for _, s := range t.Partitions {
			if err := kerr.ErrorForCode(s.ErrorCode); err != nil {
				return fmt.Errorf("reassign %v: %w", p, err)
			}
		}
	}
	return nil
}

// electionMillis is how long a controller may keep its answer to Elect back. A Kafka controller may miss the end of an
// election, and answers then no sooner; a measurement must not wait for that.
const electionMillis = 100

// Elect makes the preferred replica of a partition its leader, unless it is that already. The controller has decided so when Elect
// returns; that the replica leads is for the caller to see.
func (c *Conn) Elect(ctx context.Context, p Partition) error {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version, req.TimeoutMillis = 2, electionMillis
	req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: p.Topic, Partitions: []int32{p.Index}}}
	resp, err := c.RoundTrip(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.ElectLeadersResponse).Topics {
		for _, s := range t.Partitions {
			err := kerr.ErrorForCode(s.ErrorCode)
			if err != nil && !errors.Is(err, kerr.ElectionNotNeeded) && !errors.Is(err, kerr.RequestTimedOut) {
				return fmt.Errorf("elect a leader of %v: %w", p, err)
			}
		}
	}
	return nil
}
