package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// noter returns what adds a value to a row of a workload. Round 0 is to warm up, and does not count.
func (b *bench) noter(workload string, name report.System, round int) func(metric string, target report.Target, value float64) {
	return func(metric string, target report.Target, value float64) {
		kind := "warming up"
		if row := b.report.Row(workload, metric); round > 0 {
			kind = fmt.Sprintf("run %d of %d", round, b.runs)
			row.Target = target
			row.Add(name, value)
		}
		b.say("%s, %s, %s: %s %.3f", workload, name, kind, metric, value)
	}
}

// rebalances measures groups whose members come and go, in turns.
func (b *bench) rebalances(ctx context.Context) error {
	fleets, end, err := b.fleets(ctx, 1, groupProperties)
	defer end()
	if err != nil {
		return err
	}
	for round := range b.runs + 1 {
		for _, members := range []int{100, b.members} {
			for _, f := range fleets {
				if err := f.rebalance(ctx, members, round); err != nil {
					return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
				}
			}
		}
	}
	for round := range b.runs + 1 {
		for _, f := range fleets {
			if err := f.manyGroups(ctx, round); err != nil {
				return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
			}
		}
	}
	return nil
}

// rebalance takes one group through its life.
func (f *fleet) rebalance(ctx context.Context, members, round int) (err error) {
	add := f.noter(fmt.Sprintf("rebalance: a group of %d members", members), f.system, round)
	g := load.NewGroup(f.members[0].Addr(), fmt.Sprintf("rebalance-%d-%d", members, round), topic, longSession)
	if err := g.Connect(ctx, members); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Disband(ctx)) }()
	asKafka := report.Target{Text: "≤ Kafka", Of: report.Kafka, Factor: 1}
	sum := time.Duration(0)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{fmt.Sprintf("s until all have joined, %v of delay among them", firstRebalanceDelay), g.Form},
		{"s until all are assigned to, after one more has joined", g.Grow},
		{"s until all are assigned to, after one has left", g.Shrink},
	} {
		took, cpu, err := f.timed(func() error { return step.do(ctx) })
		if err != nil {
			return err
		}
		sum += cpu
		add(step.name, asKafka, took.Seconds())
	}
	add("CPU ms of all three", fractionOfKafka("1/3", 1.0/3), milliseconds(sum))
	rss, err := f.rss()
	add("RSS MB", fractionOfKafka("1/10", 0.1), rss)
	return err
}

// heartbeatInterval is heartbeat.interval.ms of a consumer.
const heartbeatInterval = 3 * time.Second

// manyGroups has many groups of ten members join, and stay for a while.
func (f *fleet) manyGroups(ctx context.Context, round int) error {
	add := f.noter(fmt.Sprintf("rebalance: %d groups of 10 members", f.tens), f.system, round)
	groups, err := connect(ctx, f.members[0].Addr(), fmt.Sprintf("many-%d", round), f.tens, 10)
	defer func() {
		for _, g := range groups {
			g.Close()
		}
	}()
	if err != nil {
		return err
	}
	took, cpu, err := f.timed(func() error { return load.FormAll(ctx, groups) })
	if err != nil {
		return err
	}
	add(fmt.Sprintf("s until all are stable, %v of delay among them", firstRebalanceDelay), report.Target{Text: "≤ Kafka", Of: report.Kafka, Factor: 1}, took.Seconds())
	add("CPU s until all are stable", fractionOfKafka("1/3", 1.0/3), cpu.Seconds())
	rest := 3 * heartbeatInterval
	if round == 0 {
		rest = heartbeatInterval
	}
	if took, cpu, err = f.timed(func() error { return load.Beat(ctx, groups, heartbeatInterval, rest) }); err != nil {
		return err
	}
	add(fmt.Sprintf("%% of a CPU at rest, a heartbeat of each member every %v", heartbeatInterval), fractionOfKafka("1/3", 1.0/3), 100*cpu.Seconds()/took.Seconds())
	rss, err := f.rss()
	if err != nil {
		return err
	}
	add("RSS MB", fractionOfKafka("1/10", 0.1), rss)
	for _, g := range groups {
		err = errors.Join(err, g.Disband(ctx))
	}
	groups = nil
	return err
}
