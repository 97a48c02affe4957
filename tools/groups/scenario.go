package groups

import (
	"context"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javatime"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// prepare returns the offsets that the scenario of the command line gives to partitions of a group.
func (c *command) prepare(ctx context.Context, group string, partitions []topic.Partition) (plan, error) {
	switch {
	case c.options.Has(toOffset):
		return c.prepareOffset(ctx, partitions)
	case c.options.Has(toEarliest):
		return c.prepareTimestamp(ctx, partitions, client.EarliestTimestamp, "EarliestSpec")
	case c.options.Has(toLatest):
		return c.prepareTimestamp(ctx, partitions, client.LatestTimestamp, "LatestSpec")
	case c.options.Has(shiftBy):
		return c.prepareShift(ctx, group, partitions)
	case c.options.Any(toDatetime, byDuration):
		return c.prepareTime(ctx, partitions)
	case c.options.Has(fromFile):
		return c.prepareFile(ctx, group)
	case c.options.Has(toCurrent):
		return c.prepareCurrent(ctx, group, partitions)
	}
	return plan{}, tool.Usagef("Option '[%s]' requires one of the following scenarios: [%s]", reset, bracketed(scenarios))
}

// once returns an error if there is a partition twice, of which Kafka's tool meets two equal values.
func once(partitions []topic.Partition, value func(topic.Partition) string) error {
	p, found := duplicate(partitions)
	if !found {
		return nil
	}
	return throwable.Newf(throwable.IllegalState, "Duplicate key %s (attempted merging values %s and %s)", p, value(p), value(p))
}

// spec returns what Java calls an object of a class in a message, which ends in a number of no meaning.
func spec(class string) func(topic.Partition) string {
	return func(topic.Partition) string { return "org.apache.kafka.clients.admin.OffsetSpec$" + class + "@0" }
}

func (c *command) prepareOffset(ctx context.Context, partitions []topic.Partition) (plan, error) {
	offset, _, err := c.options.Int64(toOffset)
	if err != nil {
		return plan{}, err
	}
	if err := once(partitions, func(topic.Partition) string { return fmt.Sprint(offset) }); err != nil {
		return plan{}, err
	}
	var wanted plan
	for _, p := range partitions {
		wanted.set(p, offset)
	}
	return c.within(ctx, wanted.sort())
}

func (c *command) prepareTimestamp(ctx context.Context, partitions []topic.Partition, timestamp int64, class string) (plan, error) {
	if err := once(partitions, spec(class)); err != nil {
		return plan{}, err
	}
	found, err := c.listOffsets(ctx, partitions, timestamp)
	return planOf(partitions, found), err
}

func (c *command) prepareShift(ctx context.Context, group string, partitions []topic.Partition) (plan, error) {
	committed, _, err := c.committed(ctx, group)
	if err != nil {
		return plan{}, err
	}
	var wanted plan
	for _, p := range partitions {
		by, _, err := c.options.Int64(shiftBy)
		if err != nil {
			return plan{}, err
		}
		offset, there := committed[p]
		if !there {
			return plan{}, tool.Usagef("Cannot shift offset for partition %s since there is no current committed offset", p)
		}
		if _, twice := wanted.offsets[p]; twice {
			return plan{}, once(partitions, func(topic.Partition) string { return fmt.Sprint(offset + by) })
		}
		wanted.set(p, offset+by)
	}
	return c.within(ctx, wanted.sort())
}

// prepareTime gives partitions the offset of the first record since a time, and the end to those without one.
func (c *command) prepareTime(ctx context.Context, partitions []topic.Partition) (plan, error) {
	timestamp, err := c.timestamp()
	if err != nil {
		return plan{}, err
	}
	wanted, err := c.prepareTimestamp(ctx, partitions, timestamp, "TimestampSpec")
	if err != nil {
		return plan{}, err
	}
	var empty []topic.Partition
	for _, p := range wanted.partitions {
		if wanted.offsets[p] < 0 {
			fmt.Fprintf(c.env.Stdout, "\nWarn: Partition %d from topic %s is empty. Falling back to latest known offset.\n", p.Index, p.Topic)
			empty = append(empty, p)
		}
	}
	ends, err := c.listOffsets(ctx, empty, client.LatestTimestamp)
	for p, end := range ends {
		wanted.set(p, end)
	}
	return wanted, err
}

// timestamp returns the time that --to-datetime or --by-duration means, in milliseconds since 1970.
func (c *command) timestamp() (int64, error) {
	if c.options.Has(toDatetime) {
		text, err := c.options.Value(toDatetime)
		if err != nil {
			return 0, err
		}
		millis, err := javatime.ParseDateTime(text)
		if err != nil {
			return 0, throwable.InRuntime(err)
		}
		return millis, nil
	}
	text, err := c.options.Value(byDuration)
	if err != nil {
		return 0, err
	}
	duration, err := javatime.ParseDuration(text)
	if err != nil {
		return 0, err
	}
	return duration.Before(c.env.Now())
}

// prepareCurrent leaves the offsets that there are, and gives the end to partitions without one.
func (c *command) prepareCurrent(ctx context.Context, group string, partitions []topic.Partition) (plan, error) {
	committed, _, err := c.committed(ctx, group)
	if err != nil {
		return plan{}, err
	}
	var with, missing []topic.Partition
	for _, p := range partitions {
		if _, there := committed[p]; there {
			with = append(with, p)
		} else {
			missing = append(missing, p)
		}
	}
	current := func(p topic.Partition) string {
		return fmt.Sprintf("OffsetAndMetadata{offset=%d, leaderEpoch=null, metadata=''}", committed[p])
	}
	if err := once(with, current); err != nil {
		return plan{}, err
	}
	wanted := planOf(with, committed)
	ends, err := c.prepareTimestamp(ctx, missing, client.LatestTimestamp, "LatestSpec")
	for p, end := range ends.offsets {
		wanted.set(p, end)
	}
	slices.SortFunc(wanted.partitions, topic.Partition.Compare)
	return wanted.sort(), err
}
