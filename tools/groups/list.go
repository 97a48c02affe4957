package groups

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// The states and types of groups, in the order in which Kafka names them.
var (
	states = []string{"PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"}
	types  = []string{"Consumer", "Classic"}
)

// unknown stands for a state or type that a broker does not tell or this tool does not know.
const unknown = "Unknown"

// list prints the names of the groups, with their types and states if asked for.
func (c *command) list(ctx context.Context) error {
	if !c.options.Any(state, groupType) {
		names, err := c.all(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintln(c.env.Stdout, name)
		}
		return nil
	}
	ofTypes, err := c.filter(groupType, "types", types)
	if err != nil {
		return err
	}
	inStates, err := c.filter(state, "state", states)
	if err != nil {
		return err
	}
	admin, err := c.admin()
	if err != nil {
		return err
	}
	listings, err := admin.ListGroups(ctx, inStates, ofTypes)
	if err != nil {
		return throwable.InFuture(err)
	}
	c.printListings(listings)
	return nil
}

// all returns the names of all groups.
func (c *command) all(ctx context.Context) ([]string, error) {
	admin, err := c.admin()
	if err != nil {
		return nil, err
	}
	listings, err := admin.ListGroups(ctx, nil, nil)
	if err != nil {
		return nil, throwable.InRuntime(throwable.InFuture(err))
	}
	var names []string
	for _, l := range listings {
		names = append(names, l.Group)
	}
	return names, nil
}

// selected returns the groups that the options name.
func (c *command) selected(ctx context.Context) ([]string, error) {
	if c.options.Has(allGroups) {
		return c.all(ctx)
	}
	return c.options.Values(groupName), nil
}

// filter returns what the argument of an option, such as stable,empty, names of valid; nil is all.
func (c *command) filter(option, what string, valid []string) ([]string, error) {
	text, err := c.options.Value(option)
	if err != nil {
		return nil, err
	}
	var named []string
	for name := range strings.SplitSeq(strings.TrimRight(text, ","), ",") {
		known := canonical(strings.TrimSpace(name), valid)
		if known == unknown && strings.Trim(text, ",") != "" {
			return nil, tool.Usagef("Invalid %s list '%s'. Valid %s are: %s", what, text, strings.TrimSuffix(what, "s")+"s", strings.Join(valid, ", "))
		}
		if known != unknown {
			named = append(named, known)
		}
	}
	return named, nil
}

// canonical returns name as it is written in valid, whatever its case.
func canonical(name string, valid []string) string {
	if i := slices.IndexFunc(valid, func(v string) bool { return strings.EqualFold(v, name) }); i >= 0 {
		return valid[i]
	}
	return unknown
}

func (c *command) printListings(listings []client.Listing) {
	width := 15
	for _, l := range listings {
		width = max(width, columns(l.Group))
	}
	row := func(group, kind, in string) {
		fmt.Fprintf(c.env.Stdout, "%-*s", width+10, group)
		if c.options.Has(groupType) {
			fmt.Fprintf(c.env.Stdout, " %-20s", kind)
		}
		if c.options.Has(state) {
			fmt.Fprintf(c.env.Stdout, " %-20s", in)
		}
		fmt.Fprintln(c.env.Stdout)
	}
	row("GROUP", "TYPE", "STATE")
	for _, l := range listings {
		row(l.Group, canonical(l.Type, types), canonical(l.State, states))
	}
}
