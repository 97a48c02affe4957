package reassign

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// cancel undoes those moves of a plan that are going on.
func (c *command) cancel(ctx context.Context) error {
	data, err := c.readFile(planFile)
	if err != nil {
		return err
	}
	patience, err := c.number(timeout)
	if err != nil {
		return err
	}
	p, err := parsePlan(data)
	if err != nil {
		return err
	}
	if err := c.cancelMoves(ctx, p); err != nil {
		return err
	}
	if err := c.cancelDirs(ctx, p, patience); err != nil {
		return err
	}
	if c.options.Has(preserve) {
		return nil
	}
	return c.clearThrottles(ctx, p)
}

func (c *command) cancelMoves(ctx context.Context, p *plan) error {
	moving, err := c.admin.Reassignments(ctx, p.partitions())
	if err != nil {
		return throwable.InFuture(err)
	}
	var active []topic.Partition
	for _, partition := range slices.SortedFunc(maps.Keys(moving), topic.Partition.Compare) {
		// Kafka's tool leaves a partition alone that only gets further replicas.
		if r := moving[partition]; len(r.Adding) == 0 || len(r.Removing) > 0 {
			active = append(active, partition)
		}
	}
	if active == nil {
		fmt.Fprintln(c.env.Stdout, "None of the specified partition reassignments are active.")
		return nil
	}
	if failed := c.admin.Reassign(ctx, active, nil); len(failed) > 0 {
		return throwable.Newf(throwable.Terse, "Error cancelling partition reassignment%s for:\n%s", plural(len(failed)), refusals(failed))
	}
	fmt.Fprintf(c.env.Stdout, "Successfully cancelled partition reassignment%s for: %s\n", plural(len(active)), strings.Join(texts(active), ","))
	return nil
}

// cancelDirs moves replicas back to the directory in which they are.
func (c *command) cancelDirs(ctx context.Context, p *plan, patience int64) error {
	places, err := c.admin.Places(ctx, slices.Collect(maps.Keys(p.dirs)))
	if err != nil {
		return throwable.InFuture(err)
	}
	active := map[client.Replica]string{}
	for r, place := range places {
		if place.Dir != "" && place.FutureDir != "" {
			active[r] = place.Dir
		}
	}
	if len(active) == 0 {
		fmt.Fprint(c.env.Stdout, "None of the specified partition moves are active.")
		return nil
	}
	return c.moveDirs(ctx, active, patience)
}

// list prints all partitions that are being moved.
func (c *command) list(ctx context.Context) error {
	moving, err := c.admin.Reassignments(ctx, nil)
	if err != nil {
		return throwable.InFuture(err)
	}
	if len(moving) == 0 {
		fmt.Fprintln(c.env.Stdout, "No partition reassignments found.")
		return nil
	}
	fmt.Fprintln(c.env.Stdout, "Current partition reassignments:")
	for _, p := range slices.SortedFunc(maps.Keys(moving), topic.Partition.Compare) {
		r := moving[p]
		line := fmt.Sprintf("%s: replicas: %s.", p, join(r.Replicas, ","))
		if len(r.Adding) > 0 {
			line += " adding: " + join(r.Adding, ",") + "."
		}
		if len(r.Removing) > 0 {
			line += " removing: " + join(r.Removing, ",") + "."
		}
		fmt.Fprintln(c.env.Stdout, line)
	}
	return nil
}
