package topics

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func (c *command) alter(ctx context.Context) error {
	count, _, err := c.options.Int32(partitions)
	if err != nil {
		return err
	}
	assignment, err := c.assignment()
	if err != nil {
		return err
	}
	names, err := c.existing(ctx)
	if err != nil || len(names) == 0 {
		return err
	}
	req := kmsg.NewPtrCreatePartitionsRequest()
	req.TimeoutMillis = requestTimeout
	for _, name := range names {
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = name, count
		if assignment != nil {
			if t.Assignment, err = c.newReplicas(ctx, name, assignment); err != nil {
				return err
			}
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := c.admin.Call(ctx, "createPartitions", req)
	if err != nil {
		return err
	}
	for _, t := range resp.(*kmsg.CreatePartitionsResponse).Topics {
		if err := throwable.FromCode(t.ErrorCode, t.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// newReplicas returns the brokers of the partitions that the topic does not have yet.
func (c *command) newReplicas(ctx context.Context, name string, assignment [][]int32) ([]kmsg.CreatePartitionsRequestTopicAssignment, error) {
	described, err := c.metadata(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	added := []kmsg.CreatePartitionsRequestTopicAssignment{} // not null: without an entry it is refused, not left to the broker
	for _, t := range described.topics {
		for _, replicas := range assignment[min(len(t.Partitions), len(assignment)):] {
			a := kmsg.NewCreatePartitionsRequestTopicAssignment()
			a.Replicas = replicas
			added = append(added, a)
		}
	}
	return added, nil
}
