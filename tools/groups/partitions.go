package groups

import (
	"context"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// splitTopics returns the arguments of --topic that name partitions and those that do not.
func (c *command) splitTopics() (withPartitions, whole []string) {
	for _, arg := range c.options.Values(topicName) {
		if strings.Contains(arg, ":") {
			withPartitions = append(withPartitions, arg)
		} else {
			whole = append(whole, arg)
		}
	}
	return withPartitions, whole
}

// parsePartitions reads orders:0,1,2.
func parsePartitions(arg string) ([]topic.Partition, error) {
	parts := strings.Split(strings.TrimRight(arg, ":"), ":")
	if len(parts) != 2 {
		return nil, tool.Usagef("Invalid topic arg '%s', expected topic name and partitions", arg)
	}
	var partitions []topic.Partition
	for number := range strings.SplitSeq(strings.TrimRight(parts[1], ","), ",") {
		index, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return nil, tool.Usagef("Invalid partition '%s' specified in topic arg '%s''", number, arg)
		}
		partitions = append(partitions, topic.Partition{Topic: parts[0], Index: int32(index)})
	}
	return partitions, nil
}

func parseAllPartitions(args []string) ([]topic.Partition, error) {
	var all []topic.Partition
	for _, arg := range args {
		partitions, err := parsePartitions(arg)
		if err != nil {
			return nil, err
		}
		all = append(all, partitions...)
	}
	return all, nil
}

// wholeTopics returns all partitions of topics, and the errors of those that cannot be had. Topics are in the order
// of a Java HashMap.
func (c *command) wholeTopics(ctx context.Context, names []string) (partitions []topic.Partition, ordered []string, failed map[string]error, err error) {
	ordered = javamap.Set(names, javamap.HashString)
	if len(ordered) == 0 {
		return nil, nil, nil, nil
	}
	admin, err := c.admin()
	if err != nil {
		return nil, nil, nil, err
	}
	found, failed, err := admin.Topics(ctx, ordered)
	if err != nil {
		failed = map[string]error{}
	}
	for _, name := range ordered {
		if err != nil {
			failed[name] = err
		}
		for _, p := range found[name].Partitions {
			partitions = append(partitions, topic.Partition{Topic: name, Index: p.Partition})
		}
	}
	return partitions, ordered, failed, nil
}

// toReset returns the partitions that a reset is about: none if only a file names them.
func (c *command) toReset(ctx context.Context, group string) ([]topic.Partition, error) {
	switch {
	case c.options.Has(allTopics):
		_, order, err := c.committed(ctx, group)
		return order, err
	case !c.options.Has(topicName) && !c.options.Has(fromFile):
		return nil, tool.Usagef("One of the reset scopes should be defined: --all-topics, --topic.")
	}
	withPartitions, whole := c.splitTopics()
	partitions, err := parseAllPartitions(withPartitions)
	if err != nil {
		return nil, err
	}
	further, names, failed, err := c.wholeTopics(ctx, whole)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if failed[name] != nil {
			return nil, throwable.InRuntime(throwable.InFuture(failed[name]))
		}
	}
	return append(partitions, further...), nil
}
