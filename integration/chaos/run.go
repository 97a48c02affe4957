package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
)

// recovery bounds the time in which everything must be well again once all faults are undone, on a machine
// that is busy with other things too.
const recovery = 90 * time.Second

// chaos is one run.
type chaos struct {
	options
	dir       string
	begun     time.Time
	log       *os.File // faults.log
	clientLog *os.File // producers.log
	world     *world
	recorder  *history.Recorder

	producers []*producer
	pipeliner *pipeliner
	consumers []*consumer
	readers   []*reader
	stopLoad  context.CancelFunc
	produce   sync.WaitGroup
	consume   sync.WaitGroup
	stopRead  context.CancelFunc

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
	c.tell("seed %d, %v of faults on %d brokers; again: make chaos MINUTES=%g SEED=%d", o.seed, o.time, o.brokers, o.time.Minutes(), o.seed)
	return c.all(ctx)
}

// all starts, harms, heals, and judges.
func (c *chaos) all(ctx context.Context) error {
	disk := int64(96<<20) + int64(c.time.Minutes()*float64(24<<20))
	var err error
	c.recorder = history.NewRecorder()
	props := cluster.Props{"gregor.isr.propagation": "zookeeper"}
	if c.seed%2 == 1 {
		props["gregor.isr.propagation"] = "controller"
	}
	c.tell("ISRs are changed through %s", props["gregor.isr.propagation"])
	c.world, err = newWorld(c.dir, c.brokers, props, disk, c.tell, func(broker int32) {
		c.recorder.Add(history.Event{Kind: history.Restarted, Leader: broker})
	})
	defer c.world.close()
	if err != nil {
		return err
	}
	start, cancel := context.WithTimeoutCause(ctx, recovery, errors.New("too slow"))
	defer cancel()
	if err := c.world.createTopics(start); err != nil {
		return err
	}
	if err := c.startLoad(); err != nil {
		return err
	}
	defer func() {
		c.stopLoad()
		c.stopRead()
		c.produce.Wait()
		c.consume.Wait()
	}()
	err = c.harm(ctx)
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

// startLoad starts producers and consumers.
func (c *chaos) startLoad() error {
	var producing, consuming context.Context
	producing, c.stopLoad = context.WithCancel(context.Background())
	consuming, c.stopRead = context.WithCancel(context.Background())
	kinds := []struct {
		number int32
		topics []string
		opts   []kgo.Opt
	}{
		{idempotentProducer, []string{"orders", "events"}, nil},
		{compressingProducer, []string{"orders"}, []kgo.Opt{kgo.ProducerBatchCompression(kgo.Lz4Compression())}},
		{plainProducer, []string{"orders", "single"}, []kgo.Opt{kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1),
			kgo.RecordDeliveryTimeout(15 * time.Second)}},
	}
	for _, k := range kinds {
		p, err := newProducer(k.number, k.topics, c.world, c.recorder, c.clientLog, 50*time.Millisecond, k.opts...)
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
	for _, p := range c.producers {
		c.produce.Go(func() { p.run(producing) })
	}
	c.produce.Go(func() { c.pipeliner.run(producing) })
	return nil
}

// harm goes through the plan until the time is up, or ctx ends. It returns an error if the cluster did not
// recover.
func (c *chaos) harm(ctx context.Context) error {
	p := newPlan(c.seed, c.only)
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
	n := c.recorder.Counts()
	c.tell("%d faults; %d records acknowledged, %d of unknown outcome, %d read", c.faults, n.Acked, n.Unknown, n.Polled)
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
			whom, undo, err := c.world.hit(f)
			c.tell("#%d %v %s for %v", number, f.kind, whom, f.hold)
			if err != nil {
				c.problem("#%d %v: %v", number, f.kind, err)
			}
			time.Sleep(f.hold)
			if err := undo(); err != nil {
				c.problem("end of #%d %v: %v", number, f.kind, err)
			}
			c.tell("#%d %v ends", number, f.kind)
		})
	}
	wg.Wait()
}

// calm waits until everything has recovered: replicas are in sync, and all partitions take records of all
// producers.
func (c *chaos) calm(ctx context.Context) error {
	begun := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, recovery, fmt.Errorf("not within %v", recovery))
	defer cancel()
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
	err := c.world.await(ctx, "producers served", func() string {
		for _, p := range c.producers {
			if s := p.stalled(begun); s != "" {
				return s
			}
		}
		return c.pipeliner.stalled(begun)
	})
	if err != nil {
		return err
	}
	c.tell("recovered: replicas in sync after %.1f s, all served after %.1f s", synced.Seconds(), time.Since(begun).Seconds())
	c.progress()
	return nil
}

// settle ends the producers, waits until replicas and consumers have everything, and returns the replicas.
func (c *chaos) settle(ctx context.Context) ([]history.Replica, error) {
	if err := c.calm(ctx); err != nil {
		return nil, err
	}
	c.stopLoad()
	c.produce.Wait()
	ctx, cancel := context.WithTimeoutCause(ctx, recovery, fmt.Errorf("not within %v", recovery))
	defer cancel()
	for _, p := range c.producers {
		if err := p.finish(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.world.await(ctx, "replicas in sync", c.world.outOfSync); err != nil {
		return nil, err
	}
	if err := c.world.await(ctx, "equally long replicas", c.world.unequal); err != nil {
		return nil, err
	}
	c.tell("producers have ended, replicas are equally long")
	replicas, err := c.world.replicas()
	if err != nil {
		return nil, err
	}
	ends := make(map[history.Partition]int64)
	for _, r := range replicas {
		ends[r.Partition] = r.End()
	}
	return replicas, c.world.await(ctx, "consumers at the end", func() string {
		var lack string
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
	c.stopLoad()
	c.stopRead()
	c.produce.Wait()
	c.consume.Wait()
	for _, p := range c.producers {
		p.note()
	}
	for _, crash := range c.world.crashes() {
		c.problem("%s", crash)
	}
	violations := history.Check(c.recorder.Events(), replicas, idempotent)
	for _, v := range violations {
		c.problem("%v", v)
	}
	c.progress()
	if len(c.problems) == 0 {
		c.tell("PASSED: seed %d, nothing lost", c.seed)
		return nil
	}
	file, err := os.Create(filepath.Join(c.dir, "history.log"))
	if err == nil {
		err = errors.Join(c.recorder.Write(file), file.Close())
	}
	c.tell("FAILED: seed %d", c.seed)
	return errors.Join(fmt.Errorf("seed %d: %s", c.seed, strings.Join(c.problems, "\n")), err)
}
