package groups

import (
	"context"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/jacksoncsv"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

const csvUtils = "org.apache.kafka.tools.consumer.group.CsvUtils$"

// The lines of plans: for one group, and for several.
var (
	ofOne = jacksoncsv.Schema{Class: csvUtils + "CsvRecordNoGroup", Columns: []jacksoncsv.Column{
		{Name: "topic"}, {Name: "partition", Kind: jacksoncsv.Int}, {Name: "offset", Kind: jacksoncsv.Long}}}
	ofSeveral = jacksoncsv.Schema{Class: csvUtils + "CsvRecordWithGroup", Columns: append([]jacksoncsv.Column{{Name: "group"}}, ofOne.Columns...)}
)

// prepareFile returns the offsets that the file has for a group.
func (c *command) prepareFile(ctx context.Context, group string) (plan, error) {
	var plans map[string]plan
	for range 2 { // Kafka's tool reads the file twice, and says twice what is odd about it
		var err error
		if plans, err = c.readPlans(); err != nil {
			return plan{}, err
		}
	}
	wanted, found := plans[group]
	if !found {
		c.failure("No reset plan for group %s found", group)
		return plan{}, nil
	}
	return c.within(ctx, wanted.sort())
}

// readPlans reads the file by groups. A file for one group is recognized by its first line; Kafka's tool prints why
// it is none.
func (c *command) readPlans() (map[string]plan, error) {
	path, err := c.options.Value(fromFile)
	if err != nil {
		return nil, err
	}
	data, err := tool.ReadFile(path)
	if err != nil {
		return nil, throwable.InRuntime(err)
	}
	lines := splitLines(string(data))
	schema, named := ofSeveral, c.options.Values(groupName)
	if len(lines) > 0 {
		if _, err := ofOne.Read(lines[0]); err != nil {
			c.trace(err)
		} else if len(named) == 1 {
			schema = ofOne
		}
	}
	plans := map[string]plan{}
	for _, line := range lines {
		values, err := schema.Read(line)
		if err != nil {
			return nil, throwable.InRuntime(err)
		}
		var group string
		if len(values) == len(ofOne.Columns) {
			group = named[0]
		} else {
			group, values = values[0].Text, values[1:]
		}
		if values[2].Number < 0 {
			return nil, tool.Usagef("Invalid negative offset")
		}
		p := plans[group]
		p.set(topic.Partition{Topic: values[0].Text, Index: int32(values[1].Number)}, values[2].Number)
		plans[group] = p
	}
	return plans, nil
}

// splitLines returns lines as Java's split does: without empty ones at the end, but one if there is nothing.
func splitLines(text string) []string {
	if text == "" {
		return []string{""}
	}
	if text = strings.TrimRight(text, "\n"); text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// exported returns plans as a file for --from-file, with the group in each line unless one is named.
func (c *command) exported(order []string, plans map[string]plan) string {
	var lines []byte
	for _, name := range order {
		for _, p := range plans[name].partitions {
			values := []jacksoncsv.Value{{Text: p.Topic}, {Number: int64(p.Index)}, {Number: plans[name].offsets[p]}}
			if len(c.options.Values(groupName)) == 1 {
				lines = ofOne.Append(lines, values...)
			} else {
				lines = ofSeveral.Append(lines, append([]jacksoncsv.Value{{Text: name}}, values...)...)
			}
		}
	}
	return string(lines)
}
