package reassign

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/javamap"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const alreadyMoving = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and " +
	"create a new partition assignment in addition to the existing one. The --additional flag can also be used to change the " +
	"throttle by resubmitting the current reassignment."

// limits are the throttles of an execution in bytes per second, negative for none.
type limits struct{ brokers, dirs int64 }

// execute begins to move replicas.
func (c *command) execute(ctx context.Context) error {
	data, err := c.readFile(planFile)
	if err != nil {
		return err
	}
	var limit limits
	if limit.brokers, err = c.number(throttle); err != nil {
		return err
	}
	if limit.dirs, err = c.number(dirThrottle); err != nil {
		return err
	}
	patience, err := c.number(timeout)
	if err != nil {
		return err
	}
	p, err := parseExecutable(data)
	if err != nil {
		return err
	}
	moving, err := c.admin.Reassignments(ctx, nil)
	if err != nil {
		return throwable.InFuture(err)
	}
	if len(moving) > 0 && !c.options.Has(additional) {
		return throwable.New(throwable.Terse, alreadyMoving)
	}
	current, err := c.currentReplicas(ctx, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.env.Stdout, "Current partition replica assignment\n\n%s\n\nSave this to use as the --reassignment-json-file option "+
		"during rollback\n", formatPlan(current))
	if err := c.setThrottles(ctx, p, limit, moves(moving, p, current)); err != nil {
		return err
	}
	if err := c.start(ctx, p); err != nil {
		return err
	}
	return c.moveDirs(ctx, p.dirs, patience)
}

// currentReplicas returns the replicas that the partitions of the plan have. All brokers and partitions of
// the plan must be there.
func (c *command) currentReplicas(ctx context.Context, p *plan) (map[topic.Partition][]int32, error) {
	_, live, err := c.admin.Cluster(ctx)
	if err != nil {
		return nil, throwable.InFuture(err)
	}
	var wanted []int32
	for _, t := range p.targets {
		for _, id := range t.replicas {
			if !slices.Contains(wanted, id) {
				wanted = append(wanted, id)
			}
		}
	}
	javamap.Sort(wanted, -1, javamap.HashInt)
	for _, id := range wanted {
		if _, known := slices.BinarySearchFunc(live, id, compareID); !known {
			return nil, throwable.Newf(throwable.AdminCommand, "Unknown broker id %d", id)
		}
	}
	all, err := c.replicasOf(ctx, p.topics())
	if err != nil {
		return nil, err
	}
	current := map[topic.Partition][]int32{}
	var missing []topic.Partition
	for _, partition := range p.partitions() {
		replicas, ok := all[partition]
		if !ok {
			missing = append(missing, partition)
			continue
		}
		current[partition] = replicas
	}
	if missing != nil {
		javamap.Sort(missing, -1, javamap.HashPartition)
		message := "Unable to find partition: " + strings.Join(texts(missing), ", ")
		return nil, throwable.InFuture(throwable.FromCode(kerr.UnknownTopicOrPartition.Code, &message))
	}
	return current, nil
}

// start hands the plan to the controller.
func (c *command) start(ctx context.Context, p *plan) error {
	partitions := p.partitions()
	failed := c.admin.Reassign(ctx, partitions, p.replicas())
	if len(failed) > 0 {
		return throwable.New(throwable.Terse, "Error reassigning partition(s):\n"+refusals(failed))
	}
	fmt.Fprintf(c.env.Stdout, "Successfully started partition reassignment%s for %s\n", plural(len(partitions)), strings.Join(texts(partitions), ","))
	return nil
}

// moveDirs has brokers move replicas to other directories. A broker that a replica is only on its way to is
// asked again until the replica has arrived there, for as many milliseconds as patience says.
func (c *command) moveDirs(ctx context.Context, targets map[client.Replica]string, patience int64) error {
	if len(targets) == 0 {
		return nil
	}
	pending := map[client.Replica]string{}
	for replica, dir := range targets {
		pending[replica] = dir
	}
	for begin := c.env.Now(); ; {
		started, err := c.tryMove(ctx, pending)
		if err != nil {
			return err
		}
		for _, replica := range started {
			fmt.Fprintf(c.env.Stdout, "Successfully started moving log directory to %s for replica %s with broker %d \n",
				pending[replica], replica.Partition, replica.Broker)
			delete(pending, replica)
		}
		switch {
		case len(pending) == 0:
			return nil
		case c.env.Now().Sub(begin).Milliseconds() >= patience:
			return throwable.Newf(throwable.Terse, "Timed out before log directory move%s could be started for: %s",
				plural(len(pending)), strings.Join(texts(sortedReplicas(pending)), ","))
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// tryMove asks brokers once, and returns the replicas whose moves have begun.
func (c *command) tryMove(ctx context.Context, targets map[client.Replica]string) ([]client.Replica, error) {
	results := c.admin.Move(ctx, targets)
	sorted := sortedReplicas(targets)
	inOrder := slices.Clone(sorted)
	javamap.Sort(inOrder, -1, client.HashReplica)
	for _, replica := range inOrder {
		if err := results[replica]; err != nil && throwable.Code(err) != kerr.ReplicaNotAvailable.Code {
			return nil, &throwable.Exception{Class: throwable.AdminCommand, Message: "Failed to alter dir for " + replica.String(), Cause: throwable.InFuture(err)}
		}
	}
	return slices.DeleteFunc(sorted, func(r client.Replica) bool { return results[r] != nil }), nil
}
