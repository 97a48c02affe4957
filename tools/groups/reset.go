package groups

import (
	"context"
	"fmt"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// plan are the offsets that a group gets. Its partitions are in the order of a Java HashMap, in which Kafka's tool
// prints them.
type plan struct {
	partitions []topic.Partition
	offsets    map[topic.Partition]int64
}

// set adds a partition to the plan, or changes its offset.
func (p *plan) set(partition topic.Partition, offset int64) {
	if p.offsets == nil {
		p.offsets = map[topic.Partition]int64{}
	}
	if _, there := p.offsets[partition]; !there {
		p.partitions = append(p.partitions, partition)
	}
	p.offsets[partition] = offset
}

// sort puts the partitions into their order, once all are there.
func (p plan) sort() plan {
	javamap.Sort(p.partitions, -1, javamap.HashPartition)
	return p
}

// planOf is a plan that gives each partition its offset among many.
func planOf(partitions []topic.Partition, offsets map[topic.Partition]int64) plan {
	var p plan
	for _, partition := range partitions {
		p.set(partition, offsets[partition])
	}
	return p.sort()
}

// reset sets the offsets of groups that nobody consumes with, or shows what it would set.
func (c *command) reset(ctx context.Context) error {
	selected, err := c.selected(ctx)
	if err != nil {
		return err
	}
	groups, failed, order, err := c.ask(ctx, selected)
	if err != nil {
		return err
	}
	plans := map[string]plan{}
	for _, name := range order {
		if failed[name] != nil {
			return throwable.InRuntime(throwable.InFuture(failed[name]))
		}
		if plans[name], err = c.resetGroup(ctx, name, groups[name]); err != nil {
			return err
		}
	}
	if c.options.Has(export) {
		fmt.Fprintln(c.env.Stdout, c.exported(order, plans))
		return nil
	}
	c.printPlans(order, plans)
	return nil
}

func (c *command) resetGroup(ctx context.Context, name string, group client.Group) (plan, error) {
	if group.State != "Empty" && group.State != "Dead" {
		c.failure("Assignments can only be reset if the group '%s' is inactive, but the current state is %s.", name, group.State)
		return plan{}, nil
	}
	partitions, err := c.toReset(ctx, name)
	if err != nil {
		return plan{}, err
	}
	p, err := c.prepare(ctx, name, partitions)
	if err != nil || c.options.Has(dryRun) || !c.options.Has(execute) {
		return p, err
	}
	admin, err := c.admin()
	if err != nil {
		return plan{}, err
	}
	if err := admin.CommitOffsets(ctx, name, p.partitions, p.offsets); err != nil {
		return plan{}, throwable.InRuntime(throwable.InFuture(err))
	}
	return p, nil
}

// within returns the plan with offsets that there are: Kafka's tool warns of each that it changes.
func (c *command) within(ctx context.Context, wanted plan) (plan, error) {
	starts, err := c.listOffsets(ctx, wanted.partitions, client.EarliestTimestamp)
	if err != nil {
		return plan{}, err
	}
	ends, err := c.listOffsets(ctx, wanted.partitions, client.LatestTimestamp)
	if err != nil {
		return plan{}, err
	}
	warn := func(offset int64, than string, p topic.Partition, instead int64) {
		c.env.Log("WARN", logger, fmt.Sprintf("New offset (%d) is %s offset for topic partition %s. Value will be set to %d", offset, than, p, instead))
	}
	for _, p := range wanted.partitions {
		offset := wanted.offsets[p]
		switch {
		case offset > ends[p]:
			warn(offset, "higher than latest", p, ends[p])
			wanted.set(p, ends[p])
		case offset < starts[p]:
			warn(offset, "lower than earliest", p, starts[p])
			wanted.set(p, starts[p])
		}
	}
	return wanted, nil
}

// printPlans prints a table without ends of lines, as Kafka's tool has it.
func (c *command) printPlans(order []string, plans map[string]plan) {
	const format = "%-30s %-30s %-10v %-15v"
	if len(order) > 0 {
		fmt.Fprintf(c.env.Stdout, "\n"+format, "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET")
	}
	for _, name := range order {
		for _, p := range plans[name].partitions {
			fmt.Fprintf(c.env.Stdout, format, name, p.Topic, p.Index, plans[name].offsets[p])
		}
	}
}

// duplicate returns the first partition that there is twice.
func duplicate(partitions []topic.Partition) (topic.Partition, bool) {
	seen := make(map[topic.Partition]bool, len(partitions))
	for _, p := range partitions {
		if seen[p] {
			return p, true
		}
		seen[p] = true
	}
	return topic.Partition{}, false
}
