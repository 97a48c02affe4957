package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/bench/system"
)

// readyPatience is how long a program may take until it can be used.
const readyPatience = 3 * time.Minute

// bench is one run of the benchmark.
type bench struct {
	options
	work      string // directory of everything
	zooKeeper string
	wakeUps   string // how late they are, for the head of the report
	report    *report.Report
	made      int // subjects
}

// subject is a system while it is measured.
type subject struct {
	*system.Program
	system report.System
}

// System returns what it is.
func (s *subject) System() report.System { return s.system }

// Copies returns how many copies it keeps of a record.
func (s *subject) Copies() int { return 1 }

// ready fails unless the subject can be put under load.
func (s *subject) ready(ctx context.Context, c *load.Conn) error {
	if s.system == report.Bare {
		return nil
	}
	return c.Ready(ctx)
}

// say prints a line about the progress.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// measure measures all groups that were asked for.
func (b *bench) measure(ctx context.Context) error {
	sideBySide := []sharedGroup{{"produce", b.produce}, {"fetch", b.fetch}, {"latency", b.latencies}, {"tools", b.tools}}
	alone := []struct {
		name    string
		measure func(context.Context) error
	}{{"start", b.starts}, {"partitions", b.partitions}, {"failover", b.failovers}, {"scale", b.scale}, {"replication", b.replication},
		{"groups", b.groupRequests}, {"rebalance", b.rebalances}, {"loading", b.loading}, {"compaction", b.compaction}}

	if slices.ContainsFunc(sideBySide, func(g sharedGroup) bool { return slices.Contains(b.only, g.name) }) {
		if err := b.together(ctx, sideBySide); err != nil {
			return err
		}
	}
	for _, g := range alone {
		if !slices.Contains(b.only, g.name) {
			continue
		}
		if err := g.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return nil
}

// sharedGroup is a group of measurements of systems that run side by side.
type sharedGroup struct {
	name    string
	measure func(context.Context, []*subject) error
}

// together measures the groups that were asked for on systems that run side by side.
func (b *bench) together(ctx context.Context, groups []sharedGroup) error {
	var all []*subject
	defer func() {
		for _, s := range all {
			s.Kill()
			os.RemoveAll(s.Dir())
		}
	}()
	for _, name := range b.systems {
		s, err := b.subject(name)
		if err != nil {
			return err
		}
		all = append(all, s)
		if _, err := b.start(ctx, s, 10*time.Millisecond, s.ready); err != nil {
			return err
		}
	}
	if err := b.warmUp(ctx, all); err != nil {
		return err
	}
	for _, g := range groups {
		if !slices.Contains(b.only, g.name) {
			continue
		}
		if err := g.measure(ctx, all); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if err := b.memory("after "+g.name, all); err != nil {
			return err
		}
	}
	return nil
}

// memory notes what the systems hold.
func (b *bench) memory(when string, subjects []*subject) error {
	row := b.report.Row("memory", "RSS MB "+when)
	row.Target = report.Target{Text: "≤ 1/10 of Kafka", Of: report.Kafka, Factor: 0.1}
	for _, s := range subjects {
		rss, err := s.RSS()
		if err != nil {
			return err
		}
		row.Add(s.system, float64(rss)/1e6)
	}
	return nil
}

// subject prepares a system with a directory and a path in ZooKeeper of its own.
func (b *bench) subject(name report.System) (*subject, error) {
	b.made++
	own := fmt.Sprintf("%s-%d", name, b.made)
	dir, zooKeeper := filepath.Join(b.work, own), b.zooKeeper+"/"+own
	var p *system.Program
	var err error
	switch name {
	case report.Kafka:
		p, err = system.NewKafka(dir, zooKeeper)
	case report.Gregor:
		p, err = system.NewGregor(b.gregor, dir, zooKeeper)
	default:
		p, err = system.NewBare(dir)
	}
	return &subject{p, name}, err
}

// start starts a subject and waits until try succeeds on a connection to it. It returns how long that
// took, from before the process was there. Between attempts it waits for the time given.
func (b *bench) start(ctx context.Context, s *subject, every time.Duration, try func(context.Context, *load.Conn) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("%s was not ready within %v", s.system, readyPatience))
	defer cancel()
	moment, err := s.Start()
	if err != nil {
		return 0, err
	}
	ctx, stop := s.While(ctx)
	defer stop()
	err = load.Until(ctx, s.Addr(), every, func(c *load.Conn) error { return try(ctx, c) })
	return time.Since(moment), err
}

// with calls do with a connection to a subject.
func with(ctx context.Context, s *subject, do func(*load.Conn) error) error {
	conn, err := load.Dial(ctx, s.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(conn)
}

// create creates a topic of one partition and returns its id. The bare program has one already.
func create(ctx context.Context, s *subject, topic string) (id [16]byte, err error) {
	if s.system == report.Bare {
		return id, nil
	}
	err = with(ctx, s, func(c *load.Conn) error {
		ids, err := c.Create(ctx, 1, topic)
		id = ids[topic]
		return err
	})
	return id, err
}

// drop deletes a topic and waits until its files are gone, so that the next run finds as much memory
// for the page cache.
func drop(ctx context.Context, s *subject, topic string) error {
	if s.system == report.Bare {
		return s.Empty()
	}
	if err := with(ctx, s, func(c *load.Conn) error { return c.Delete(ctx, topic) }); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if there, err := s.HasData(topic); err != nil || !there {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("the files of a deleted topic do not go")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
