package groups

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// none stands where there is nothing.
const none = "-"

// columns returns how wide a text is.
func columns(text string) int { return utf8.RuneCountInString(text) }

// describe shows offsets, members or states of groups, in the order of their names.
func (c *command) describe(ctx context.Context) error {
	selected, err := c.selected(ctx)
	if err != nil {
		return err
	}
	groups, order, err := c.describeGroups(ctx, selected)
	if err != nil {
		return err
	}
	switch {
	case c.options.Has(members):
		return c.eachGroup(groups, c.printMembers)
	case c.options.Has(state):
		return c.eachGroup(groups, c.printState)
	}
	return c.describeOffsets(ctx, groups, order)
}

func (c *command) eachGroup(groups map[string]client.Group, print func(string, client.Group) error) error {
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if err := print(name, groups[name]); err != nil {
			return err
		}
	}
	return nil
}

// describeGroups returns what there is to know of groups, and their names in the order of a Java HashMap.
func (c *command) describeGroups(ctx context.Context, selected []string) (map[string]client.Group, []string, error) {
	groups, failed, order, err := c.ask(ctx, selected)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range order {
		if failed[name] != nil {
			return nil, nil, throwable.InFuture(failed[name])
		}
	}
	return groups, order, nil
}

// ask is describeGroups with the errors of single groups.
func (c *command) ask(ctx context.Context, selected []string) (groups map[string]client.Group, failed map[string]error, order []string, err error) {
	admin, err := c.admin()
	if err != nil {
		return nil, nil, nil, err
	}
	order = javamap.Set(selected, javamap.HashString)
	groups, failed = admin.DescribeGroups(ctx, order)
	for name, group := range groups {
		group.State = canonical(group.State, states)
		groups[name] = group
	}
	return groups, failed, order, nil
}

// showable prints what is to be said of a group in its state, and reports whether there are rows to show.
func (c *command) showable(name, in string, rows int) (bool, error) {
	switch in {
	case "Dead":
		c.failure("Consumer group '%s' does not exist.", name)
	case "Empty":
		fmt.Fprintf(c.env.Stderr, "\nConsumer group '%s' has no active members.\n", name)
	case "Stable":
	case unknown:
		return false, throwable.New(throwable.Kafka, "Expected a valid consumer group state, but found '"+in+"'.")
	default:
		fmt.Fprintf(c.env.Stderr, "\nWarning: Consumer group '%s' is rebalancing.\n", name)
	}
	return in != "Dead" && rows > 0, nil
}

// printState prints the coordinator, the assignor and the state of a group. The first column is as wide as the
// second needs to be, as Kafka's tool has it.
func (c *command) printState(name string, group client.Group) error {
	show, err := c.showable(name, group.State, 1)
	if err != nil || !show {
		return err
	}
	coordinator := fmt.Sprintf("%s:%d  (%d)", group.Coordinator.Host, group.Coordinator.Port, group.Coordinator.ID)
	row := func(first, second, assignor, in string, count any) {
		fmt.Fprintf(c.env.Stdout, "\n%-*s %-25s %-20s %-15s %v", max(25, columns(coordinator)), first, second, assignor, in, count)
	}
	row("GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE", "#MEMBERS")
	row(name, coordinator, group.Assignor, group.State, len(group.Members))
	fmt.Fprintln(c.env.Stdout)
	return nil
}
