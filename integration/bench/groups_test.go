package main

import (
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/cluster"
)

func TestMain(m *testing.M) {
	serveBare()
	cluster.Main(m)
}

// What is measured of groups means nothing if they are not the groups that they are said to be.
func TestGroupsRebalance(t *testing.T) {
	c := cluster.Start(t, 1, cluster.Props{
		"group.initial.rebalance.delay.ms": "100", "offsets.topic.num.partitions": "1", "offsets.topic.replication.factor": "1",
	})
	c.CreateTopic(topic, 20, 1, nil)
	ctx, addr := t.Context(), c.Addrs()[0]
	if err := load.Until(ctx, addr, time.Millisecond, func(conn *load.Conn) error { return conn.Coordinated(ctx, "group") }); err != nil {
		t.Fatal(err)
	}
	g := load.NewGroup(addr, "group", topic, time.Minute)
	t.Cleanup(g.Close)
	if err := g.Connect(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name    string
		do      func() error
		members int
	}{
		{"form", func() error { return g.Form(ctx) }, 5},
		{"grow", func() error { return g.Grow(ctx) }, 6},
		{"shrink", func() error { return g.Shrink(ctx) }, 5},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if len(g.Members) != step.members {
			t.Errorf("%s: %d members", step.name, len(g.Members))
		}
	}
	if err := load.Beat(ctx, []*load.Group{g}, 20*time.Millisecond, 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	limit := load.Limit{Time: time.Minute, Requests: 100}
	for _, q := range []*load.Requests{load.Heartbeats([]*load.Group{g}), load.Commits([]*load.Group{g}, 4)} {
		if r, err := q.Run(ctx, addr, 2, limit); err != nil || r.Requests < 100 || r.Latency.Len() != int(r.Requests) {
			t.Errorf("%d requests, %v", r.Requests, err)
		}
	}
	if err := load.Until(ctx, addr, time.Second, func(conn *load.Conn) error { return conn.Served(ctx, "group", 20) }); err != nil {
		t.Error(err)
	}
}
