package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/bench/system"
)

// firstRebalanceDelay is how long the brokers wait for more members of a group that was empty.
const firstRebalanceDelay = time.Second

// groupProperties are those of a broker that is alone and coordinates groups.
var groupProperties = system.Single + fmt.Sprintf("group.initial.rebalance.delay.ms=%d\n", firstRebalanceDelay.Milliseconds())

// Sessions outlast the time in which the other system is measured.
const longSession = 10 * time.Minute

const (
	groupPartitions = 100 // of the topic that groups consume
	connections     = 8   // over which the requests of all members go
)

// fleets starts a fleet of each broker that is measured, and returns what ends them.
func (b *bench) fleets(ctx context.Context, size int, properties string) (all []*fleet, end func(), err error) {
	end = func() {
		for _, f := range all {
			f.kill()
			for _, m := range f.members {
				os.RemoveAll(m.Dir())
			}
		}
	}
	for _, name := range b.brokers() {
		f, err := b.newFleet(ctx, name, size, properties)
		all = append(all, f)
		if err == nil {
			err = f.onController(ctx, func(c *load.Conn) error {
				_, err := c.Create(ctx, groupPartitions, topic)
				return err
			})
		}
		if err == nil {
			err = f.await(ctx, "coordinators", func(c *load.Conn) error { return c.Coordinated(ctx, "group") })
		}
		if err != nil {
			return all, end, err
		}
	}
	return all, end, nil
}

// form has the broker at addr coordinate so many groups.
func form(ctx context.Context, addr, name string, groups, members int) ([]*load.Group, error) {
	all, err := connect(ctx, addr, name, groups, members)
	if err == nil {
		err = load.FormAll(ctx, all)
	}
	return all, err
}

// connect makes groups whose members have not joined yet.
func connect(ctx context.Context, addr, name string, groups, members int) ([]*load.Group, error) {
	all := make([]*load.Group, groups)
	for i := range all {
		all[i] = load.NewGroup(addr, fmt.Sprintf("%s-%d", name, i), topic, longSession)
	}
	return all, load.ConnectAll(ctx, all, members)
}

// requestMetrics are those of workloads of small requests.
func requestMetrics(what string) []metric {
	return append([]metric{
		{perCPU(what), func(r *load.Result, cpu time.Duration) float64 { return float64(r.Requests) / cpu.Seconds() / 1e3 }},
		{"1000 " + what + "/s", func(r *load.Result, _ time.Duration) float64 { return float64(r.Requests) / r.Elapsed.Seconds() / 1e3 }},
	}, latencyMetrics...)
}

func perCPU(what string) string { return "1000 " + what + "/CPU s" }

// groupRequests measures the heartbeats and the commits of the members of many groups.
func (b *bench) groupRequests(ctx context.Context) error {
	fleets, end, err := b.fleets(ctx, 1, groupProperties)
	defer end()
	if err != nil {
		return err
	}
	groups := make(map[*fleet][]*load.Group, len(fleets))
	for _, f := range fleets {
		b.say("%s: 100 groups of 10 members join", f.system)
		if groups[f], err = form(ctx, f.members[0].Addr(), "steady", 100, 10); err != nil {
			return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
		}
		for _, g := range groups[f] {
			g.Close()
		}
	}
	for _, l := range []struct {
		name, what string
		requests   func([]*load.Group) *load.Requests
	}{
		{"heartbeats", "heartbeats", load.Heartbeats},
		{"commits of one partition", "commits", func(g []*load.Group) *load.Requests { return load.Commits(g, 1) }},
		{"commits of ten partitions", "commits", func(g []*load.Group) *load.Requests { return load.Commits(g, 10) }},
	} {
		run := func(limit time.Duration) func(ctx context.Context, f *fleet) (load.Result, time.Duration, error) {
			return func(ctx context.Context, f *fleet) (r load.Result, cpu time.Duration, err error) {
				_, cpu, err = f.timed(func() error {
					r, err = l.requests(groups[f]).Run(ctx, f.members[0].Addr(), connections, load.Limit{Time: limit})
					return err
				})
				return r, cpu, err
			}
		}
		for _, f := range fleets {
			b.say("warming up %s", f.system)
			if _, _, err := run(b.warm/3)(ctx, f); err != nil {
				return fmt.Errorf("%s, %s: %w\n%s", l.name, f.system, err, f.Log())
			}
		}
		w := workload[*fleet]{"groups: " + l.name + ", 100 groups of 10 members, 8 connections", run(b.limit.Time),
			map[string]report.Target{perCPU(l.what): {Text: "≥ 3 x Kafka", Of: report.Kafka, Factor: 3, AtLeast: true}}, requestMetrics(l.what)}
		if err := compare(ctx, b, w, fleets); err != nil {
			return err
		}
	}
	return b.fleetMemory("groups: 100 groups of 10 members", fleets)
}

// timed returns how long do takes, and the processor time that all brokers use meanwhile.
func (f *fleet) timed(do func() error) (took, cpu time.Duration, err error) {
	before, err := f.cpu()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := do(); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	after, err := f.cpu()
	return took, after - before, err
}

// rss returns the memory that the members hold, in MB.
func (f *fleet) rss() (float64, error) {
	sum := int64(0)
	for _, m := range f.members {
		own, err := m.RSS()
		if err != nil {
			return 0, err
		}
		sum += own
	}
	return float64(sum) / 1e6, nil
}

// fleetMemory notes what fleets hold.
func (b *bench) fleetMemory(workload string, fleets []*fleet) error {
	for _, f := range fleets {
		rss, err := f.rss()
		if err != nil {
			return err
		}
		row := b.report.Row(workload, "RSS MB")
		row.Target = fractionOfKafka("1/10", 0.1)
		row.Add(f.system, rss)
	}
	return nil
}
