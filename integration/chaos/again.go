package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
)

// readAgain returns what readers are given that begin now, at the start of the compacted topic: one for each rack, so that
// each replica is read. They stand beside the brokers' replicas, under the numbers of the brokers, negative.
func (c *chaos) readAgain(ctx context.Context, replicas []history.Replica) (all []history.Replica, err error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for _, of := range replicas {
		if !compacted(of.Partition.Topic) {
			continue
		}
		r, err := c.world.readUpTo(ctx, of)
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

// readUpTo reads a replica up to its end. The last record of a log is always there: its segment is never cleaned.
func (w *world) readUpTo(ctx context.Context, of history.Replica) (history.Replica, error) {
	r := history.Replica{Broker: -of.Broker, Partition: of.Partition}
	client, err := kgo.NewClient(kgo.SeedBrokers(w.addrs()...), cluster.Dialer(w.clients[0]), kgo.Rack(rackOf(int(of.Broker))),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Partition.Topic: {r.Partition.Index: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return r, err
	}
	defer client.Close()
	for r.End() < of.End() {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return r, fmt.Errorf("a reader of %v, of broker %d, is at %d of %d: %w", r.Partition, of.Broker, r.End(), of.End(), context.Cause(ctx))
		}
		fetches.EachRecord(func(rec *kgo.Record) { r.Runs = appendPolled(r.Runs, r.Partition, rec) })
	}
	return r, nil
}
