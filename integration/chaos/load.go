package main

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/history"
)

// load is who works with the cluster meanwhile.
type load struct {
	producers []*producer
	sessions  sessions
	pipeliner *pipeliner
	consumers []*consumer
	readers   []*reader
	groups    []*group

	stopLoad, stopRead, stopGroups  context.CancelFunc
	produce, consume, consumeGroups sync.WaitGroup
}

// stop ends everybody.
func (l *load) stop() {
	for _, end := range []context.CancelFunc{l.stopLoad, l.stopRead, l.stopGroups} {
		if end != nil {
			end()
		}
	}
	l.produce.Wait()
	l.consume.Wait()
	l.consumeGroups.Wait()
}

// startLoad starts producers and consumers.
func (c *chaos) startLoad() error {
	var producing, consuming context.Context
	producing, c.stopLoad = context.WithCancel(context.Background())
	consuming, c.stopRead = context.WithCancel(context.Background())
	kinds := []struct {
		number func() int32
		topics []string
		pace   pace
		opts   []kgo.Opt
	}{
		{c.sessions.next, []string{"orders", "events"}, bursts, nil},
		{c.sessions.next, []string{"orders"}, bursts, []kgo.Opt{kgo.ProducerBatchCompression(kgo.Lz4Compression())}},
		{c.sessions.next, []string{"single", "events"}, steady, []kgo.Opt{kgo.ProducerLinger(0)}},
		{c.sessions.next, []string{compactedTopic}, bursts, nil},
		{c.sessions.next, []string{compactedTopic}, bursts, []kgo.Opt{kgo.ProducerBatchCompression(kgo.ZstdCompression())}},
		{func() int32 { return plainProducer }, []string{"orders", "single"}, bursts, []kgo.Opt{kgo.DisableIdempotentWrite(),
			kgo.MaxProduceRequestsInflightPerBroker(1), kgo.RecordDeliveryTimeout(15 * time.Second)}},
	}
	for _, k := range kinds {
		p, err := newProducer(k.number, k.topics, c.world, c.recorder, c.clientLog, k.pace, k.opts...)
		if err != nil {
			return err
		}
		c.producers = append(c.producers, p)
	}
	var err error
	if c.pipeliner, err = newPipeliner(pipelinedProducer, history.Partition{Topic: "single"}, c.world, c.recorder); err != nil {
		return err
	}
	for number, opts := range map[int32][]kgo.Opt{leaderConsumer: nil, nearestConsumer: {kgo.Rack(rackOf(2))}} {
		consumer, err := newConsumer(number, c.world, c.recorder, opts...)
		if err != nil {
			return err
		}
		c.consumers = append(c.consumers, consumer)
		c.consume.Go(func() { consumer.run(consuming) })
	}
	for topic := range topics {
		r, err := newReader(plainConsumer+int32(len(c.readers)), topic, c.world, c.recorder)
		if err != nil {
			return err
		}
		c.readers = append(c.readers, r)
		c.consume.Go(func() { r.run(consuming) })
	}
	var grouping context.Context
	grouping, c.stopGroups = context.WithCancel(context.Background())
	c.groups = newGroups(c.world, c.recorder, c.groupRecorder, c.seed)
	c.world.groups = c.groups
	for _, g := range c.groups {
		c.consumeGroups.Go(func() { g.run(grouping) })
	}
	for _, p := range c.producers {
		c.produce.Go(func() { p.run(producing) })
	}
	c.produce.Go(func() { c.pipeliner.run(producing) })
	return nil
}
