package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// calm waits until everything has recovered: replicas are in sync, and all partitions take records of all
// producers.
func (c *chaos) calm(ctx context.Context) error {
	begun := time.Now()
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for _, g := range c.groups {
		g.hush(true)
		defer g.hush(false)
	}
	if err := c.world.await(ctx, "replicas in sync", c.world.outOfSync); err != nil {
		return err
	}
	synced := time.Since(begun)
	if err := c.world.await(ctx, "deletion of topics", c.world.operator.left); err != nil {
		return err
	}
	if err := c.world.await(ctx, "one replica for each broker and partition", c.world.misplaced); err != nil {
		return err
	}
	if err := c.served(ctx, begun); err != nil {
		return err
	}
	if err := c.audit(ctx); err != nil {
		return err
	}
	c.tell("recovered: replicas in sync after %.1f s, all served after %.1f s", synced.Seconds(), time.Since(begun).Seconds())
	c.progress()
	return nil
}

// served waits until all producers and groups have been served for all partitions since a time.
func (c *chaos) served(ctx context.Context, since time.Time) error {
	return c.world.await(ctx, "producers and groups served", func() string {
		for _, p := range c.producers {
			if s := p.stalled(since); s != "" {
				return s
			}
		}
		for _, g := range c.groups {
			if s := g.stalled(since); s != "" {
				return s
			}
		}
		return c.pipeliner.stalled(since)
	})
}

// audit asks for the offsets of all groups.
func (c *chaos) audit(ctx context.Context) error {
	for _, g := range c.groups {
		if err := g.audit(ctx, c.world.operator.admin); err != nil {
			return err
		}
	}
	return nil
}

// settle ends the producers, waits until replicas and consumers have everything, and returns the replicas. Nobody comes
// or goes any more.
func (c *chaos) settle(ctx context.Context) ([]history.Replica, error) {
	if err := c.calm(ctx); err != nil {
		return nil, err
	}
	for _, g := range c.groups {
		g.hush(true)
	}
	if err := c.endProducers(ctx); err != nil {
		return nil, err
	}
	c.tell("producers have ended, replicas are equally long")
	replicas, err := c.world.replicas() // after a long run that takes a minute
	if err != nil {
		return nil, err
	}
	again, err := c.readAgain(ctx, replicas)
	return append(replicas, again...), errors.Join(err, c.endConsumers(ctx, replicas))
}

// endProducers waits until every record has its outcome, and all replicas have what there is.
func (c *chaos) endProducers(ctx context.Context) error {
	c.stopLoad()
	c.produce.Wait()
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for _, p := range c.producers {
		if err := p.finish(ctx); err != nil {
			return err
		}
	}
	if err := c.world.await(ctx, "replicas in sync", c.world.outOfSync); err != nil {
		return err
	}
	return c.world.await(ctx, "equally long replicas", c.world.unequal)
}

// endConsumers waits until consumers and groups are at the ends of the logs, and ends the groups, whose offsets
// must last.
func (c *chaos) endConsumers(ctx context.Context, replicas []history.Replica) error {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	ends := make(map[history.Partition]int64)
	for _, r := range replicas {
		ends[r.Partition] = r.End()
	}
	if err := c.awaitConsumers(ctx, ends); err != nil {
		return err
	}
	c.tell("consumers and groups are at the end")
	c.stopGroups()
	c.consumeGroups.Wait()
	c.tell("groups have ended")
	return c.audit(ctx)
}

// awaitConsumers waits until all consumers have read, and all groups have committed, up to the ends.
func (c *chaos) awaitConsumers(ctx context.Context, ends map[history.Partition]int64) error {
	return c.world.await(ctx, "consumers at the end", func() string {
		var lack string
		for _, g := range c.groups {
			lack = cmp.Or(lack, g.behind(ends))
		}
		for _, consumer := range c.consumers {
			lack = cmp.Or(lack, behind(fmt.Sprintf("consumer %d", consumer.number), consumer, ends))
		}
		for _, r := range c.readers {
			of := make(map[history.Partition]int64)
			for part, end := range ends {
				if part.Topic == r.topic {
					of[part] = end
				}
			}
			lack = cmp.Or(lack, behind("the reader of "+r.topic, r, of))
		}
		return lack
	})
}

// verdict judges the history, whatever has become of the run; without replicas it looks for contradictions
// alone.
func (c *chaos) verdict(replicas []history.Replica, err error) error {
	if err != nil {
		c.problem("%v", err)
	}
	c.stop()
	for _, p := range c.producers {
		p.note()
	}
	for _, crash := range c.world.crashes() {
		c.problem("%s", crash)
	}
	for _, v := range history.Check(c.recorder.Events(), replicas, history.Rules{Guarantee: guarantee, Compacted: compacted}) {
		c.problem("%v", v)
	}
	for _, v := range groups.Check(c.groupRecorder.Events()) {
		c.problem("%v", v)
	}
	c.progress()
	err = nil
	if len(c.problems) > 0 || c.keep {
		err = errors.Join(c.write("history.log", c.recorder.Write), c.write("groups.log", c.groupRecorder.Write), c.world.keepDisks())
	}
	if len(c.problems) == 0 {
		c.tell("PASSED: seed %d, nothing lost", c.seed)
		return err
	}
	c.tell("FAILED: seed %d", c.seed)
	return errors.Join(fmt.Errorf("seed %d: %s", c.seed, strings.Join(c.problems, "\n")), err)
}

// write writes a file into the directory that is left behind.
func (c *chaos) write(name string, write func(io.Writer) error) error {
	file, err := os.Create(filepath.Join(c.dir, name))
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
