package reassign

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// The properties that hold replication back.
const (
	leaderRate       = "leader.replication.throttled.rate"
	followerRate     = "follower.replication.throttled.rate"
	dirRate          = "replica.alter.log.dirs.io.max.bytes.per.second"
	leaderReplicas   = "leader.replication.throttled.replicas"
	followerReplicas = "follower.replication.throttled.replicas"
)

// move says from which brokers a partition can be copied and to which it is.
type move struct{ sources, destinations []int32 }

// moves returns what is being moved, and what would be once the plan is executed. Replicas that are on their
// way in are no sources.
func moves(moving map[topic.Partition]client.Reassignment, p *plan, current map[topic.Partition][]int32) map[topic.Partition]move {
	all := map[topic.Partition]move{}
	for partition, r := range moving {
		all[partition] = move{sources: without(r.Replicas, r.Adding), destinations: r.Adding}
	}
	for partition, replicas := range p.replicas() {
		sources := current[partition]
		if m, ok := all[partition]; ok {
			sources = m.sources
		}
		all[partition] = move{sources: sources, destinations: without(replicas, sources)}
	}
	return all
}

func without(ids, others []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return slices.Contains(others, id) })
}

// setThrottles sets the throttles that the options ask for.
func (c *command) setThrottles(ctx context.Context, p *plan, limit limits, all map[topic.Partition]move) error {
	if limit.brokers < 0 && limit.dirs < 0 {
		return nil
	}
	fmt.Fprintln(c.env.Stdout, "Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.")
	if limit.brokers >= 0 {
		if err := c.alter(ctx, topicThrottles(all)); err != nil {
			return err
		}
		if err := c.alter(ctx, brokerChanges(brokersOf(all), limit.brokers, leaderRate, followerRate)); err != nil {
			return err
		}
		fmt.Fprintf(c.env.Stdout, "The inter-broker throttle limit was set to %d B/s\n", limit.brokers)
	}
	if limit.dirs >= 0 {
		var brokers []int32
		for replica := range p.dirs {
			brokers = append(brokers, replica.Broker)
		}
		slices.Sort(brokers)
		if err := c.alter(ctx, brokerChanges(slices.Compact(brokers), limit.dirs, dirRate)); err != nil {
			return err
		}
		fmt.Fprintf(c.env.Stdout, "The replica-alter-dir throttle limit was set to %d B/s\n", limit.dirs)
	}
	return nil
}

func (c *command) alter(ctx context.Context, changes []client.Change) error {
	if err := c.admin.Alter(ctx, changes); err != nil {
		return throwable.InFuture(err)
	}
	return nil
}

// topicThrottles returns the settings that name the replicas that are held back: all sources as leaders, all
// destinations as followers.
func topicThrottles(all map[topic.Partition]move) []client.Change {
	names, leaders, followers := map[string]bool{}, map[string][]string{}, map[string][]string{}
	for p, m := range all {
		names[p.Topic] = true
		for _, id := range m.sources {
			leaders[p.Topic] = append(leaders[p.Topic], fmt.Sprintf("%d:%d", p.Index, id))
		}
		for _, id := range without(m.destinations, m.sources) {
			followers[p.Topic] = append(followers[p.Topic], fmt.Sprintf("%d:%d", p.Index, id))
		}
	}
	var changes []client.Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		changes = append(changes, client.Change{Resource: client.Resource{Type: kmsg.ConfigResourceTypeTopic, Name: name},
			Settings: []client.Setting{{Name: leaderReplicas, Value: sortedList(leaders[name])}, {Name: followerReplicas, Value: sortedList(followers[name])}}})
	}
	return changes
}

func sortedList(elements []string) *string {
	slices.Sort(elements)
	return kmsg.StringPtr(strings.Join(slices.Compact(elements), ","))
}

// brokersOf returns all brokers that take part in moves, in order.
func brokersOf(all map[topic.Partition]move) []int32 {
	var ids []int32
	for _, m := range all {
		ids = append(append(ids, m.sources...), m.destinations...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func brokerChanges(brokers []int32, rate int64, names ...string) []client.Change {
	var changes []client.Change
	for _, id := range brokers {
		change := client.Change{Resource: client.Resource{Type: kmsg.ConfigResourceTypeBroker, Name: strconv.Itoa(int(id))}}
		for _, name := range names {
			s := client.Setting{Name: name}
			if rate >= 0 {
				s.Value = kmsg.StringPtr(strconv.FormatInt(rate, 10))
			}
			change.Settings = append(change.Settings, s)
		}
		changes = append(changes, change)
	}
	return changes
}

func compareID(b kmsg.MetadataResponseBroker, id int32) int { return cmp.Compare(b.NodeID, id) }

// clearThrottles takes all throttles from all brokers and from the topics of the plan: who took part in the
// moves is not known any more.
func (c *command) clearThrottles(ctx context.Context, p *plan) error {
	_, live, err := c.admin.Cluster(ctx)
	if err != nil {
		return throwable.InFuture(err)
	}
	var brokers []int32
	for _, b := range live {
		brokers = append(brokers, b.NodeID)
	}
	for _, t := range p.targets {
		for _, id := range t.replicas {
			if !slices.Contains(brokers, id) {
				brokers = append(brokers, id)
			}
		}
	}
	javamap.Sort(brokers, -1, javamap.HashInt)
	fmt.Fprintf(c.env.Stdout, "Clearing broker-level throttles on broker%s %s\n", plural(len(brokers)), join(brokers, ","))
	if err := c.alter(ctx, brokerChanges(brokers, -1, leaderRate, followerRate, dirRate)); err != nil {
		return err
	}
	names := p.topics()
	fmt.Fprintf(c.env.Stdout, "Clearing topic-level throttles on topic%s %s\n", plural(len(names)), strings.Join(names, ","))
	var changes []client.Change
	for _, name := range names {
		changes = append(changes, client.Change{Resource: client.Resource{Type: kmsg.ConfigResourceTypeTopic, Name: name},
			Settings: []client.Setting{{Name: leaderReplicas}, {Name: followerReplicas}}})
	}
	return c.alter(ctx, changes)
}
