package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// chaos is one run.
type chaos struct {
	options
	dir       string
	begun     time.Time
	log       *os.File // faults.log
	clientLog *os.File // producers.log
	world     *world
	recorder  *history.Recorder

	load
	groupRecorder *groups.Recorder

	mu       sync.Mutex
	faults   int
	problems []string
}

// run does all of it, and removes its directory unless something was wrong.
func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp(o.dir, "gregor-chaos-")
	if err != nil {
		return err
	}
	c := &chaos{options: o, dir: dir, begun: time.Now()}
	if c.log, err = os.Create(filepath.Join(dir, "faults.log")); err != nil {
		return err
	}
	if c.clientLog, err = os.Create(filepath.Join(dir, "producers.log")); err != nil {
		return err
	}
	defer func() {
		c.log.Close()
		c.clientLog.Close()
		if err != nil || o.keep {
			o.say("kept: %s", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	c.tell("seed %d, %v of faults on %d brokers, %d of them Kafka's; again: make chaos MINUTES=%g SEED=%d%s",
		o.seed, o.time, o.brokers, o.kafka, o.time.Minutes(), o.seed, map[bool]string{true: fmt.Sprintf(" KAFKA=%d", o.kafka)}[o.kafka > 0])
	return c.all(ctx)
}

// all starts, harms, heals, and judges.
func (c *chaos) all(ctx context.Context) error {
	disk := int64(96<<20) + int64(c.time.Minutes()*float64(24<<20))
	var err error
	c.recorder, c.groupRecorder = history.NewRecorder(), groups.NewRecorder()
	props := cluster.Props{"gregor.isr.propagation": "zookeeper"}
	if c.seed%2 == 1 {
		props["gregor.isr.propagation"] = "controller"
	}
	c.tell("ISRs are changed through %s", props["gregor.isr.propagation"])
	c.world, err = newWorld(c.dir, c.options, props, disk, c.tell, func(broker int32) {
		c.recorder.Add(history.Event{Kind: history.Restarted, Leader: broker})
	})
	defer c.world.close()
	if err != nil {
		return err
	}
	start, cancel := c.bounded(ctx)
	defer cancel()
	if err := c.world.createTopics(start); err != nil {
		return err
	}
	if err := c.startLoad(); err != nil {
		return err
	}
	defer c.stop()
	if c.script != nil {
		err = c.script(ctx, c)
	} else {
		err = c.harm(ctx)
	}
	if ctx.Err() != nil {
		c.tell("no more faults: %v", context.Cause(ctx))
	}
	var replicas []history.Replica
	if err == nil {
		replicas, err = c.settle(context.WithoutCancel(ctx))
	}
	return c.verdict(replicas, err)
}

// tell says something on the output and in faults.log, with the time.
func (c *chaos) tell(format string, args ...any) {
	line := fmt.Sprintf("%9.3f ", time.Since(c.begun).Seconds()) + fmt.Sprintf(format, args...)
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.log, line)
	c.say("%s", line)
}

// problem notes something that must not be, and that ends the run in a failure.
func (c *chaos) problem(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	c.tell("PROBLEM: %s", text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.problems = append(c.problems, text)
}

// harm goes through the plan until the time is up, or ctx ends. It returns an error if the cluster did not
// recover.
func (c *chaos) harm(ctx context.Context) error {
	p := newPlan(c.seed, c.only, c.kafka > 0)
	progress := time.NewTicker(10 * time.Second)
	defer progress.Stop()
	for end := time.Now().Add(c.time); time.Now().Before(end) && ctx.Err() == nil; {
		s := p.next()
		if s.calm {
			if err := c.calm(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			continue
		}
		c.step(s)
		rest(ctx, s.rest)
		select {
		case <-progress.C:
			c.progress()
		default:
		}
	}
	return nil
}

func (c *chaos) progress() {
	n, g := c.recorder.Counts(), c.groupRecorder.Counts()
	var swaps string
	if c.kafka > 0 {
		s := c.world.swaps()
		swaps = fmt.Sprintf(" %d swaps to Gregor, %d to Kafka;", s.toGregor, s.toKafka)
	}
	c.tell("%d faults;%s %d records acknowledged, %d of unknown outcome, %d read; groups: %d assignments, %d commits acknowledged, %d records processed; %d sessions of idempotent producers",
		c.faults, swaps, n.Acked, n.Unknown, n.Polled, g.Assignments, g.Commits, n.Processed, c.sessions.count())
}

// rest waits, until ctx ends at the latest.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// step applies the faults of a step, each for its time, and undoes them.
func (c *chaos) step(s step) {
	var wg sync.WaitGroup
	for _, f := range s.faults {
		c.faults++
		number := c.faults
		wg.Go(func() {
			time.Sleep(f.delay)
			h, err := c.world.hit(f)
			c.tell("#%d %v %s for %v", number, f.kind, h.whom, f.hold)
			if err != nil {
				c.problem("#%d %v: %v", number, f.kind, err)
			}
			time.Sleep(f.hold)
			if h.undo != nil {
				if err := h.undo(); err != nil {
					c.problem("end of #%d %v: %v", number, f.kind, err)
				}
			}
			c.tell("#%d %v ends", number, f.kind)
		})
	}
	wg.Wait()
}
