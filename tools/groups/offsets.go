package groups

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// row is a line about one partition of a group.
type row struct{ topic, partition, current, end, lag, member, host, client string }

var header = row{"TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID"}

// describeOffsets shows where groups are and how far from the end, each partition below the member that has it.
func (c *command) describeOffsets(ctx context.Context, groups map[string]client.Group, order []string) error {
	rows := map[string][]row{}
	for _, name := range order {
		var err error
		if rows[name], err = c.offsetRows(ctx, name, groups[name]); err != nil {
			return err
		}
	}
	return c.eachGroup(groups, func(name string, group client.Group) error {
		show, err := c.showable(name, group.State, len(rows[name]))
		if err == nil && show {
			c.printRows(name, rows[name])
		}
		return err
	})
}

// offsetRows returns the rows of members, those with the most partitions first, and then of what nobody has.
func (c *command) offsetRows(ctx context.Context, name string, group client.Group) ([]row, error) {
	committed, order, err := c.committed(ctx, name)
	if err != nil {
		return nil, err
	}
	var rows []row
	assigned := map[topic.Partition]bool{}
	bySize := slices.SortedStableFunc(slices.Values(group.Members), func(a, b client.Member) int { return len(b.Partitions) - len(a.Partitions) })
	for _, m := range bySize {
		for _, p := range m.Partitions {
			assigned[p] = true
		}
		of, err := c.partitionRows(ctx, m.Partitions, committed, row{member: m.ID, host: m.Host, client: m.ClientID})
		if err != nil {
			return nil, err
		}
		rows = append(rows, of...)
	}
	left := slices.DeleteFunc(order, func(p topic.Partition) bool { return assigned[p] })
	javamap.Sort(left, -1, javamap.HashPartition)
	of, err := c.partitionRows(ctx, left, committed, row{member: none, host: none, client: none})
	return append(rows, of...), err
}

// partitionRows returns the rows of partitions that one member has.
func (c *command) partitionRows(ctx context.Context, partitions []topic.Partition, committed map[topic.Partition]int64, member row) ([]row, error) {
	partitions = byPartition(partitions)
	ends, err := c.listOffsets(ctx, partitions, client.LatestTimestamp)
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, p := range partitions {
		r := member
		r.topic, r.partition, r.current, r.end, r.lag = p.Topic, strconv.Itoa(int(p.Index)), none, strconv.FormatInt(ends[p], 10), none
		if offset, ok := committed[p]; ok {
			r.current, r.lag = strconv.FormatInt(offset, 10), strconv.FormatInt(ends[p]-offset, 10)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// committed returns the offsets of a group, and their partitions in the order of a Java HashMap.
func (c *command) committed(ctx context.Context, name string) (map[topic.Partition]int64, []topic.Partition, error) {
	admin, err := c.admin()
	if err != nil {
		return nil, nil, err
	}
	committed, err := admin.CommittedOffsets(ctx, name)
	if err != nil {
		return nil, nil, throwable.InRuntime(throwable.InFuture(err))
	}
	order := slices.SortedFunc(maps.Keys(committed), topic.Partition.Compare)
	javamap.Sort(order, -1, javamap.HashPartition)
	return committed, order, nil
}

// listOffsets returns the offsets of partitions at a time. The error is that of the first partition in the order
// of a Java HashMap.
func (c *command) listOffsets(ctx context.Context, partitions []topic.Partition, timestamp int64) (map[topic.Partition]int64, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	admin, err := c.admin()
	if err != nil {
		return nil, err
	}
	ordered := slices.Clone(partitions)
	javamap.Sort(ordered, -1, javamap.HashPartition)
	found, failed := admin.ListOffsets(ctx, ordered, timestamp)
	for _, p := range ordered {
		if failed[p] != nil {
			return nil, throwable.InRuntime(throwable.InFuture(failed[p]))
		}
	}
	return found, nil
}

// printRows prints a table; each line has its end before it, and so the last one has none.
func (c *command) printRows(group string, rows []row) {
	groupWidth, topicWidth, memberWidth, hostWidth := max(15, columns(group)), 15, 15, 15
	for _, r := range rows {
		topicWidth, memberWidth, hostWidth = max(topicWidth, columns(r.topic)), max(memberWidth, columns(r.member)), max(hostWidth, columns(r.host))
	}
	print := func(first string, r row) {
		fmt.Fprintf(c.env.Stdout, "\n%-*s %-*s %-10s %-15s %-15s %-15s %-*s %-*s %s", groupWidth, first, topicWidth, r.topic,
			r.partition, r.current, r.end, r.lag, memberWidth, r.member, hostWidth, r.host, r.client)
	}
	print("GROUP", header)
	for _, r := range rows {
		print(group, r)
	}
}
