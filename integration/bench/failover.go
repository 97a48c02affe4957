package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// failovers measures what three brokers do when one of them goes.
func (b *bench) failovers(ctx context.Context) error { return b.failoversOf(ctx, b.copied) }

func (b *bench) failoversOf(ctx context.Context, partitions int) error {
	for round := range b.runs {
		for _, name := range b.brokers() {
			if err := b.failover(ctx, name, partitions, round); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (b *bench) failover(ctx context.Context, name report.System, partitions, round int) error {
	workload := fmt.Sprintf("failover: three brokers, %d partitions of three replicas", partitions)
	add := func(metric string, target report.Target, value float64) {
		row := b.report.Row(workload, metric)
		row.Target = target
		row.Add(name, value)
		b.say("%s, %s, run %d of %d: %s %.3f", workload, name, round+1, b.runs, metric, value)
	}
	f, err := b.newTrio(ctx, name)
	defer f.kill()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := f.create(ctx, partitions); err != nil {
		return err
	}
	add("s to create", fractionOfKafka("1/4", 0.25), time.Since(begin).Seconds())
	took, err := f.probe(ctx, begin, partitions, nil)
	if err != nil {
		return err
	}
	add("s to create, until all have accepted a record", fractionOfKafka("1/4", 0.25), took.Seconds())
	if err := f.inSync(ctx, partitions); err != nil {
		return err
	}
	if err := f.stopOne(ctx, partitions, add); err != nil {
		return err
	}
	for _, controller := range []bool{false, true} {
		if err := f.killOne(ctx, partitions, controller, add); err != nil {
			return err
		}
	}
	return f.holdings(add)
}

// holdings measures what the brokers hold.
func (f *fleet) holdings(add func(string, report.Target, float64)) error {
	rss, most := int64(0), 0
	for _, m := range f.members {
		own, err := m.RSS()
		if err != nil {
			return err
		}
		files, err := m.OpenFiles()
		if err != nil {
			return err
		}
		rss, most = rss+own, max(most, files)
	}
	add("RSS MB of all three", fractionOfKafka("1/10", 0.1), float64(rss)/1e6)
	add("open files of one", report.Target{Text: "≤ 1100: a cache of 1024", Factor: 1100}, float64(most))
	return nil
}

// stopOne ends a broker in order and starts it again.
func (f *fleet) stopOne(ctx context.Context, partitions int, add func(string, report.Target, float64)) error {
	v, led, err := f.victim(ctx, false)
	if err != nil {
		return err
	}
	f.say("%s: stopping broker %d, which leads %d partitions", f.system, v.ID(), led)
	begin := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- v.Stop() }()
	err = f.await(ctx, "other leaders", func(c *load.Conn) error {
		known, err := c.Describe(ctx, topic)
		if left := known.Led[int32(v.ID())] + known.Led[-1]; err == nil && left > 0 {
			err = fmt.Errorf("it leads %d partitions still", left)
		}
		return err
	}, v)
	took := time.Since(begin)
	if err = errors.Join(err, <-stopped); err != nil {
		return err
	}
	add("s from SIGTERM until others lead what it led", fractionOfKafka("1/4", 0.25), took.Seconds())
	begin = time.Now()
	if _, err := v.Start(); err != nil {
		return err
	}
	if err := f.inSync(ctx, partitions); err != nil {
		return err
	}
	add("s from its start until it is in sync", report.Target{}, time.Since(begin).Seconds())
	return nil
}

// killOne ends a broker with SIGKILL and starts it again.
func (f *fleet) killOne(ctx context.Context, partitions int, controller bool, add func(string, report.Target, float64)) error {
	v, led, err := f.victim(ctx, controller)
	if err != nil {
		return err
	}
	who := "a broker"
	if controller {
		who = "the controller"
	}
	f.say("%s: killing broker %d, which leads %d partitions", f.system, v.ID(), led)
	begin := time.Now()
	v.Kill()
	took, err := f.probe(ctx, begin, partitions, v)
	if err != nil {
		return err
	}
	target := report.Target{Text: "≤ 0.5", Factor: 0.5}
	if partitions > f.copied {
		target = report.Target{}
	}
	add("s from SIGKILL of "+who+" until all accept records", target, took.Seconds())
	if f.system == report.Kafka {
		if err := v.AwaitForgotten(ctx); err != nil {
			return err
		}
	}
	if _, err := v.Start(); err != nil {
		return err
	}
	return f.inSync(ctx, partitions)
}
