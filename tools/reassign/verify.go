package reassign

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// verify prints how far the moves of a plan are, and takes the throttles away if nothing is being moved.
func (c *command) verify(ctx context.Context) error {
	data, err := c.readFile(planFile)
	if err != nil {
		return err
	}
	p, err := parsePlan(data)
	if err != nil {
		return err
	}
	moving, err := c.admin.Reassignments(ctx, nil)
	if err != nil {
		return throwable.InFuture(err)
	}
	lines, err := c.describeMoves(ctx, p, moving)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.env.Stdout, strings.Join(append([]string{"Status of partition reassignment:"}, lines...), "\n"))
	places, err := c.admin.Places(ctx, slices.Collect(maps.Keys(p.dirs)))
	if err != nil {
		return throwable.InFuture(err)
	}
	lines, done := describeDirs(p.dirs, places)
	fmt.Fprintln(c.env.Stdout, strings.Join(lines, "\n"))
	if len(moving) > 0 || !done || c.options.Has(preserve) {
		return nil
	}
	return c.clearThrottles(ctx, p)
}

// describeMoves returns a line about each partition of the plan.
func (c *command) describeMoves(ctx context.Context, p *plan, moving map[topic.Partition]client.Reassignment) ([]string, error) {
	current, err := c.settled(ctx, p, moving)
	if err != nil {
		return nil, err
	}
	targets := p.replicas()
	var lines []string
	for _, partition := range p.partitions() {
		_, isMoving := moving[partition]
		switch {
		case isMoving:
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is still in progress.", partition))
		case slices.Equal(current[partition], targets[partition]):
			lines = append(lines, fmt.Sprintf("Reassignment of partition %s is completed.", partition))
		default:
			lines = append(lines, fmt.Sprintf("There is no active reassignment of partition %s, but replica set is %s rather than %s.",
				partition, join(current[partition], ","), join(targets[partition], ",")))
		}
	}
	return lines, nil
}

// settled returns the replicas of those partitions of the plan that are not being moved, none for a
// partition that there is not.
func (c *command) settled(ctx context.Context, p *plan, moving map[topic.Partition]client.Reassignment) (map[topic.Partition][]int32, error) {
	current := map[topic.Partition][]int32{}
	var names []string
	seen := map[string]bool{}
	for _, t := range p.targets {
		if _, isMoving := moving[t.partition]; !isMoving && !seen[t.partition.Topic] {
			seen[t.partition.Topic] = true
			names = append(names, t.partition.Topic)
		}
	}
	if names == nil {
		return current, nil
	}
	topics, failed, err := c.admin.Topics(ctx, names)
	if err != nil {
		return nil, throwable.InFuture(err)
	}
	for _, t := range p.targets {
		if _, isMoving := moving[t.partition]; isMoving {
			continue
		}
		err := failed[t.partition.Topic]
		if throwable.Code(err) == kerr.UnknownTopicOrPartition.Code {
			continue
		}
		if err != nil {
			return nil, throwable.InFuture(err)
		}
		partitions, index := topics[t.partition.Topic].Partitions, int(t.partition.Index)
		switch {
		case index > len(partitions):
		case index < 0 || index == len(partitions):
			// Kafka's tool looks one too far.
			return nil, throwable.Newf(throwable.IndexOutOfBounds, "Index %d out of bounds for length %d", index, len(partitions))
		default:
			current[t.partition] = partitions[index].Replicas
		}
	}
	return current, nil
}

// describeDirs returns a line about each replica for which the plan names a directory, and whether all of
// them are where they shall be or have given up.
func describeDirs(targets map[client.Replica]string, places map[client.Replica]client.Place) (lines []string, done bool) {
	done = true
	for _, r := range sortedReplicas(targets) {
		dir := targets[r]
		place, found := places[r]
		switch {
		case !found:
			done = false
			lines = append(lines, fmt.Sprintf("Partition %s cannot be found in any live log directory on broker %d.", r.Partition, r.Broker))
		case place.Dir == "":
			done = false
			lines = append(lines, fmt.Sprintf("Partition %s is not found in any live log dir on broker %d. There is likely an offline log "+
				"directory on the broker.", r.Partition, r.Broker))
		case place.FutureDir == dir:
			done = false
			lines = append(lines, fmt.Sprintf("Reassignment of replica %s is still in progress.", r))
		case place.FutureDir != "":
			done = false
			lines = append(lines, fmt.Sprintf("Partition %s on broker %d is being moved to log dir %s instead of %s.", r.Partition, r.Broker,
				place.FutureDir, dir))
		case place.Dir == dir:
			lines = append(lines, fmt.Sprintf("Reassignment of replica %s completed successfully.", r))
		default:
			lines = append(lines, fmt.Sprintf("Partition %s on broker %d is not being moved from log dir %s to %s.", r.Partition, r.Broker,
				place.Dir, dir))
		}
	}
	return lines, done
}

// sortedReplicas returns the replicas by broker, topic and partition.
func sortedReplicas(targets map[client.Replica]string) []client.Replica {
	return slices.SortedFunc(maps.Keys(targets), func(a, b client.Replica) int {
		return cmp.Or(cmp.Compare(a.Broker, b.Broker), a.Partition.Compare(b.Partition))
	})
}

// refusals returns a line about each partition that was refused.
func refusals(failed map[topic.Partition]error) string {
	var lines []string
	for _, p := range slices.SortedFunc(maps.Keys(failed), topic.Partition.Compare) {
		lines = append(lines, p.String()+": "+throwable.From(failed[p]).Message)
	}
	return strings.Join(lines, "\n")
}

// pause waits before brokers are asked again.
func pause(ctx context.Context) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
