package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// remove deletes groups.
func (c *command) remove(ctx context.Context) error {
	selected, err := c.selected(ctx)
	if err != nil {
		return err
	}
	admin, err := c.admin()
	if err != nil {
		return err
	}
	order := javamap.Set(selected, javamap.HashString)
	failed := admin.DeleteGroups(ctx, order)
	var deleted, kept []string
	for _, name := range order {
		if failed[name] == nil {
			deleted = append(deleted, name)
		} else {
			kept = append(kept, name)
		}
	}
	javamap.Sort(deleted, -1, javamap.HashString)
	javamap.Sort(kept, -1, javamap.HashString)
	if len(kept) == 0 {
		fmt.Fprintf(c.env.Stdout, "Deletion of requested consumer groups ('%s') was successful.\n", strings.Join(deleted, ", "))
		return nil
	}
	c.failure("Deletion of some consumer groups failed:")
	for _, name := range kept {
		fmt.Fprintf(c.env.Stdout, "* Group '%s' could not be deleted due to: %s\n", name, throwable.String(throwable.InFuture(failed[name])))
	}
	if len(deleted) > 0 {
		fmt.Fprintf(c.env.Stdout, "\nThese consumer groups were deleted successfully: '%s', '\n", strings.Join(deleted, "'"))
	}
	return nil
}

// notProvided stands for the partitions of a topic that is not there.
const notProvided = -1

// removeOffsets deletes offsets of a group.
func (c *command) removeOffsets(ctx context.Context) error {
	group, err := c.options.Value(groupName)
	if err != nil {
		return err
	}
	withPartitions, whole := c.splitTopics()
	partitions, err := parseAllPartitions(javamap.Set(withPartitions, javamap.HashString))
	if err != nil {
		return err
	}
	further, names, failedTopics, err := c.wholeTopics(ctx, whole)
	if err != nil {
		return err
	}
	results := map[topic.Partition]error{}
	for _, name := range names {
		if failedTopics[name] != nil {
			results[topic.Partition{Topic: name, Index: notProvided}] = failedTopics[name]
		}
	}
	partitions = javamap.Set(append(partitions, further...), javamap.HashPartition)
	admin, err := c.admin()
	if err != nil {
		return err
	}
	failed, ofGroup := admin.DeleteOffsets(ctx, group, partitions)
	failure := ofGroup
	for _, p := range partitions {
		if results[p] = failed[p]; ofGroup != nil {
			results[p] = ofGroup
		}
		if failure == nil {
			failure = results[p]
		}
	}
	c.printOutcome(group, failure)
	c.printDeleted(results)
	return nil
}

// printOutcome says how it went as a whole.
func (c *command) printOutcome(group string, failure error) {
	code := throwable.Code(failure)
	if failure != nil && code == 0 {
		code = kerr.UnknownServerError.Code
		if exception, ok := errors.AsType[*throwable.Exception](failure); ok && exception.Class == throwable.Timeout {
			code = kerr.RequestTimedOut.Code
		}
	}
	switch code {
	case 0:
		fmt.Fprintf(c.env.Stdout, "Request succeed for deleting offsets with topic %s group %s\n", strings.Join(c.options.Values(topicName), ", "), group)
	case kerr.InvalidGroupID.Code:
		c.failure("'%s' is not valid.", group)
	case kerr.GroupIDNotFound.Code:
		c.failure("'%s' does not exist.", group)
	case kerr.GroupAuthorizationFailed.Code:
		c.failure("Access to '%s' is not authorized.", group)
	case kerr.NonEmptyGroup.Code:
		c.failure("Deleting offsets of a consumer group '%s' is forbidden if the group is not empty.", group)
	case kerr.GroupSubscribedToTopic.Code, kerr.TopicAuthorizationFailed.Code, kerr.UnknownTopicOrPartition.Code:
		c.failure("Encounter some partition level error, see the follow-up details:")
	default:
		c.failure("Encounter some unknown error: %s", kerr.TypedErrorForCode(code).Message)
	}
}

// printDeleted prints the result of each partition, without ends of lines, as Kafka's tool has it. Partitions are
// sorted as texts.
func (c *command) printDeleted(results map[topic.Partition]error) {
	var order []topic.Partition
	for p := range results {
		order = append(order, p)
	}
	slices.SortFunc(order, func(a, b topic.Partition) int {
		return strings.Compare(fmt.Sprint(a.Topic, a.Index), fmt.Sprint(b.Topic, b.Index))
	})
	const format = "%-30s %-15v %-15s"
	fmt.Fprintf(c.env.Stdout, "\n"+format, "TOPIC", "PARTITION", "STATUS")
	for _, p := range order {
		index, status := fmt.Sprint(p.Index), "Successful"
		if p.Index == notProvided {
			index = "Not Provided"
		}
		if results[p] != nil {
			status = "Error: :" + throwable.String(results[p])
		}
		fmt.Fprintf(c.env.Stdout, format, p.Topic, index, status)
	}
}
