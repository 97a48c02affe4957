package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// brokers returns the systems that are brokers.
func (b *bench) brokers() []report.System {
	var brokers []report.System
	for _, s := range b.systems {
		if s != report.Bare {
			brokers = append(brokers, s)
		}
	}
	return brokers
}

// starts measures how long it takes from exec to the first record that is accepted, for a topic that
// exists, after a stop in order.
func (b *bench) starts(ctx context.Context) error {
	row := b.report.Row("start", "ms to the first record accepted")
	row.Target = report.Target{Text: "≤ 100 ms", Factor: 100}
	memory := b.report.Row("memory", "RSS MB after start")
	touch := func(ctx context.Context, c *load.Conn) error { return c.Touch(ctx, topic, 1) }
	for _, name := range b.brokers() {
		s, err := b.subject(name)
		if err != nil {
			return err
		}
		defer s.Kill()
		if _, err := b.start(ctx, s, 10*time.Millisecond, s.ready); err != nil {
			return err
		}
		if _, err := create(ctx, s, topic); err != nil {
			return err
		}
		for round := range b.runs {
			if err := s.Stop(); err != nil {
				return err
			}
			took, err := b.start(ctx, s, time.Millisecond, touch)
			if err != nil {
				return err
			}
			rss, err := s.RSS()
			if err != nil {
				return err
			}
			row.Add(name, milliseconds(took))
			memory.Add(name, float64(rss)/1e6)
			b.say("start, %s, run %d of %d: %v to the first record accepted", name, round+1, b.runs, took.Round(time.Millisecond))
		}
		s.Kill()
	}
	return nil
}

// shape is how partitions are spread over topics.
type shape struct{ topics, partitions int }

// names returns the names of the topics.
func (s shape) names() []string {
	names := make([]string, s.topics)
	for i := range names {
		names[i] = fmt.Sprintf("topic-%04d", i)
	}
	return names
}

// partitions measures a broker of many partitions.
func (b *bench) partitions(ctx context.Context) error {
	for _, shape := range []shape{{10, b.count / 10}, {b.count / 10, 10}} {
		for round := range b.runs {
			for _, name := range b.brokers() {
				if err := b.manyPartitions(ctx, name, shape, round); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

// manyPartitions takes a new broker through the life of many partitions.
func (b *bench) manyPartitions(ctx context.Context, name report.System, shape shape, round int) error {
	workload := fmt.Sprintf("partitions: %d topics of %d", shape.topics, shape.partitions)
	s, err := b.subject(name)
	if err != nil {
		return err
	}
	// Its files stay until the end: where many have just been deleted, ext4 is slow to create others.
	defer s.Kill()
	add := func(metric string, target report.Target, value float64) {
		row := b.report.Row(workload, metric)
		row.Target = target
		row.Add(name, value)
		b.say("%s, %s, run %d of %d: %s %.2f", workload, name, round+1, b.runs, metric, value)
	}
	if _, err := b.start(ctx, s, 10*time.Millisecond, s.ready); err != nil {
		return err
	}
	took, err := b.createAll(ctx, s, shape)
	if err != nil {
		return err
	}
	add("s to create", fractionOfKafka("1/4", 0.25), took.Seconds())
	begin := time.Now()
	for _, topic := range shape.names() {
		if err := with(ctx, s, func(c *load.Conn) error { return c.Touch(ctx, topic, shape.partitions) }); err != nil {
			return err
		}
	}
	add("s for a first record in each", report.Target{}, time.Since(begin).Seconds())
	rss, err := s.RSS()
	if err != nil {
		return err
	}
	add("RSS MB", fractionOfKafka("1/10", 0.1), float64(rss)/1e6)
	begin = time.Now()
	if err := s.Stop(); err != nil {
		return err
	}
	add("s to stop", report.Target{}, time.Since(begin).Seconds())
	if took, err = b.start(ctx, s, 10*time.Millisecond, shape.leads); err != nil {
		return err
	}
	add("s to restart", fractionOfKafka("1/5", 0.2), took.Seconds())
	s.Kill()
	if err := s.AwaitForgotten(ctx); err != nil {
		return err
	}
	if took, err = b.start(ctx, s, 10*time.Millisecond, shape.leads); err != nil {
		return err
	}
	add("s to restart after SIGKILL", fractionOfKafka("1/5", 0.2), took.Seconds())
	return nil
}

// createPatience is how long a broker may take to create all partitions.
const createPatience = 10 * time.Minute

// createAll creates the topics with one request, and waits until the broker leads all partitions.
func (b *bench) createAll(ctx context.Context, s *subject, shape shape) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, createPatience)
	defer cancel()
	begin := time.Now()
	err := with(ctx, s, func(c *load.Conn) error {
		_, err := c.Create(ctx, shape.partitions, shape.names()...)
		return err
	})
	poll := 10 * time.Millisecond
	if errors.Is(err, kerr.RequestTimedOut) { // it goes on all the same
		poll, err = 200*time.Millisecond, nil
	}
	if err == nil {
		err = load.Until(ctx, s.Addr(), poll, func(c *load.Conn) error {
			_, err := shape.ends(ctx, c)
			return err
		})
	}
	return time.Since(begin), err
}

// ends returns the sum of all end offsets, and fails unless the broker leads all partitions. It asks
// about the last one first, so that a broker that is not ready has little work with the answer.
func (s shape) ends(ctx context.Context, c *load.Conn) (int64, error) {
	names := s.names()
	if _, err := c.Ends(ctx, 1, names[len(names)-1]); err != nil {
		return 0, err
	}
	return c.Ends(ctx, s.partitions, names...)
}

// leads fails unless the broker leads all partitions, has the record of each, and accepts another.
func (s shape) leads(ctx context.Context, c *load.Conn) error {
	ends, err := s.ends(ctx, c)
	if err != nil {
		return err
	}
	if want := int64(s.topics * s.partitions); ends < want {
		return fmt.Errorf("acknowledged records are lost: %d are there of %d", ends, want)
	}
	return c.Touch(ctx, s.names()[0], 1)
}
