package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/system"
)

// loadingProperties are those of two brokers that take turns in coordinating all groups. The log stays as it was
// written: its one segment is never cleaned.
const loadingProperties = `offsets.topic.num.partitions=1
offsets.topic.replication.factor=2
offsets.topic.segment.bytes=2147483647
auto.leader.rebalance.enable=false
`

// historyGroups is how many groups the history of commits is of; each has ten members.
const historyGroups = 10

// loading measures how long a new coordinator takes until it serves groups with a long history: their partition
// is led by one broker, then by the other.
func (b *bench) loading(ctx context.Context) error {
	fleets, end, err := b.fleets(ctx, 2, loadingProperties)
	defer end()
	if err != nil {
		return err
	}
	for _, f := range fleets {
		if err := f.commitMany(ctx); err != nil {
			return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
		}
	}
	for round := range b.runs + 1 {
		for _, f := range fleets {
			if err := f.load(ctx, round); err != nil {
				return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
			}
		}
	}
	return nil
}

// historyGroup is the name of a group that has committed much.
func historyGroup(i int) string { return fmt.Sprintf("history-%d", i) }

var offsetsPartition = load.Partition{Topic: load.OffsetsTopic}

// commitMany makes the log, one commit to a batch.
func (f *fleet) commitMany(ctx context.Context) error {
	first, second := f.members[0], f.members[1]
	if err := f.prefer(ctx, first, second); err != nil {
		return err
	}
	if err := f.takeOver(ctx, first, func(c *load.Conn) error { return c.Served(ctx, historyGroup(0), 0) }); err != nil {
		return err
	}
	addr := first.Addr()
	f.say("%s: %d commits are made", f.system, f.commits)
	groups, err := form(ctx, addr, "history", historyGroups, 10)
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.Close()
	}
	began := time.Now()
	r, err := load.Commits(groups, 1).Run(ctx, addr, connections, load.Limit{Time: commitPatience, Requests: int64(f.commits)})
	if err == nil && r.Requests < int64(f.commits) {
		err = fmt.Errorf("%d commits within %v", r.Requests, commitPatience)
	}
	f.say("%s: %d commits in %v", f.system, r.Requests, time.Since(began).Round(time.Millisecond))
	return err
}

// commitPatience is how long a broker may take to make the log.
const commitPatience = 10 * time.Minute

// prefer makes a member the preferred leader of all groups' partition, and waits until the other one is in sync.
func (f *fleet) prefer(ctx context.Context, leader, follower *system.Program) error {
	replicas := []int32{int32(leader.ID()), int32(follower.ID())}
	if err := f.onController(ctx, func(c *load.Conn) error { return c.Reassign(ctx, offsetsPartition, replicas) }); err != nil {
		return err
	}
	return f.await(ctx, "order of replicas", func(c *load.Conn) error {
		known, err := c.Describe(ctx, load.OffsetsTopic)
		if err == nil && (known.InSync != 2 || known.Preferred != replicas[0]) {
			err = fmt.Errorf("%d replicas are in sync, %d is preferred", known.InSync, known.Preferred)
		}
		return err
	})
}

// takeOver has the preferred leader, which to must be, elected, and waits until it serves what test asks for.
func (f *fleet) takeOver(ctx context.Context, to *system.Program, test func(*load.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("no group is served within %v", readyPatience))
	defer cancel()
	if err := f.onController(ctx, func(c *load.Conn) error { return c.Elect(ctx, offsetsPartition) }); err != nil {
		return err
	}
	return load.Until(ctx, to.Addr(), time.Second, func(c *load.Conn) error {
		for { // on one connection, lest the questions take what the answers need
			err := test(c)
			if err == nil || ctx.Err() != nil || !load.IsRefusal(err) {
				return err
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
}

// load moves the groups from one broker to the other.
func (f *fleet) load(ctx context.Context, round int) error {
	old, next := f.members[0], f.members[1]
	if round%2 == 1 {
		old, next = next, old
	}
	if err := f.prefer(ctx, next, old); err != nil {
		return err
	}
	took, cpu, err := f.timed(func() error {
		return f.takeOver(ctx, next, func(c *load.Conn) error {
			for group := range historyGroups {
				if err := c.Served(ctx, historyGroup(group), 10); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	rss, err := next.RSS()
	if err != nil {
		return err
	}
	add := f.noter(fmt.Sprintf("loading: %d commits of %d groups", f.commits, historyGroups), f.system, round)
	add("s until another coordinator serves all groups", fractionOfKafka("1/4", 0.25), took.Seconds())
	add("CPU s of both brokers meanwhile", fractionOfKafka("1/4", 0.25), cpu.Seconds())
	add("RSS MB of the new coordinator", fractionOfKafka("1/10", 0.1), float64(rss)/1e6)
	return nil
}
