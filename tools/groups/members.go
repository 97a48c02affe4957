package groups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
)

// memberWidths are the widths of the columns of a table of members.
type memberWidths struct {
	group, member, instance, host, client int

	static bool // there is a column for the ids of static members
}

func newMemberWidths(group string, listed []client.Member) memberWidths {
	w := memberWidths{group: 15, member: 15, instance: 17, host: 15, client: 15}
	for _, m := range listed {
		w.group = max(w.group, columns(group))
		w.member = max(w.member, columns(m.ID))
		w.instance = max(w.instance, columns(m.InstanceID))
		w.host = max(w.host, columns(m.Host))
		w.client = max(w.client, columns(m.ClientID))
		w.static = w.static || m.InstanceID != ""
	}
	return w
}

// row returns one row, without the last column.
func (w memberWidths) row(group, member, instance, host, client string, partitions any) string {
	row := fmt.Sprintf("%-*s %-*s ", w.group, group, w.member, member)
	if w.static {
		row += fmt.Sprintf("%-*s ", w.instance, instance)
	}
	return row + fmt.Sprintf("%-*s %-*s %-15v ", w.host, host, w.client, client, partitions)
}

// printMembers prints the members of a group; Kafka's tool prints the header even of a group that is not there.
func (c *command) printMembers(name string, group client.Group) error {
	show, err := c.showable(name, group.State, len(group.Members))
	if err != nil {
		return err
	}
	listed := group.Members
	w := newMemberWidths(name, nil)
	if show {
		w = newMemberWidths(name, listed)
	}
	print := func(row, assignment string) {
		if c.options.Has(verbose) {
			row += assignment
		}
		fmt.Fprintln(c.env.Stdout, row)
	}
	print("\n"+w.row("GROUP", "CONSUMER-ID", "GROUP-INSTANCE-ID", "HOST", "CLIENT-ID", "#PARTITIONS"), "ASSIGNMENT")
	for _, m := range listed {
		print(w.row(name, m.ID, m.InstanceID, m.Host, m.ClientID, len(m.Partitions)), assignment(m.Partitions))
	}
	return nil
}

// assignment returns the partitions of a member as (0,1), (3): a list for each topic, which Kafka's tool does not
// name. Numbers and lists are sorted as texts.
func assignment(partitions []topic.Partition) string {
	byTopic := map[string][]string{}
	for _, p := range partitions {
		byTopic[p.Topic] = append(byTopic[p.Topic], strconv.Itoa(int(p.Index)))
	}
	var lists []string
	for _, indexes := range byTopic {
		slices.Sort(indexes)
		lists = append(lists, "("+strings.Join(indexes, ",")+")")
	}
	if lists == nil {
		return none
	}
	slices.Sort(lists)
	return strings.Join(lists, ", ")
}

// byPartition puts partitions into the order in which Kafka's tool prints those of one member: that of a HashMap
// which they were put into by number.
func byPartition(partitions []topic.Partition) []topic.Partition {
	ordered := slices.SortedStableFunc(slices.Values(partitions), func(a, b topic.Partition) int { return int(a.Index) - int(b.Index) })
	javamap.Sort(ordered, -1, javamap.HashPartition)
	return ordered
}
