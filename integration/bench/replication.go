package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// replication measures three brokers that keep three replicas of what producers send with acks=all, and three
// bare programs that pass on and write it. The processor time is that of all three.
func (b *bench) replication(ctx context.Context) error {
	var fleets []*fleet
	defer func() {
		for _, f := range fleets {
			f.kill()
			for _, m := range f.members {
				os.RemoveAll(m.Dir())
			}
		}
	}()
	for _, name := range b.systems {
		f, err := b.newTrio(ctx, name)
		fleets = append(fleets, f)
		if err != nil {
			return err
		}
	}
	if err := b.warmUpFleets(ctx, fleets); err != nil {
		return err
	}
	quarter := map[string]report.Target{cpuPerGB: fractionOfKafka("1/4", 0.25)}
	for _, l := range []struct {
		name       string
		batch      int
		partitions int
	}{
		{"64 KiB batches, one partition", 64 << 10, 1},
		{"16 KiB batches, three partitions", 16 << 10, 3},
	} {
		run := func(ctx context.Context, f *fleet) (load.Result, time.Duration, error) {
			return f.produce(ctx, l.partitions, load.Spec{RecordBytes: 1024, BatchBytes: l.batch}, b.limit)
		}
		w := workload[*fleet]{"replication: three brokers, " + l.name, run, quarter, nil}
		if err := compare(ctx, b, w, fleets); err != nil {
			return err
		}
	}
	return b.replicatedLatency(ctx, fleets)
}

// replicatedLatency measures a producer that keeps to a rate.
func (b *bench) replicatedLatency(ctx context.Context, fleets []*fleet) error {
	const rate = 1000
	pace, err := load.NewPace(topic, b.acks, 1024, rate)
	if err != nil {
		return err
	}
	run := func(ctx context.Context, f *fleet) (load.Result, time.Duration, error) {
		return f.fresh(ctx, 1, func(leaders []string) (load.Result, error) { return pace.Run(ctx, leaders[0], b.latency) })
	}
	w := workload[*fleet]{fmt.Sprintf("replication: three brokers, %d records of 1 KiB a second", rate), run,
		map[string]report.Target{p999: fractionOfKafka("1/5", 0.2)}, nil}
	return compare(ctx, b, w, fleets)
}

// warmUpFleets puts each cluster under load until a JVM has compiled what it will run.
func (b *bench) warmUpFleets(ctx context.Context, fleets []*fleet) error {
	limit := load.Limit{Time: b.warm / 2, Bytes: b.limit.Bytes}
	for _, f := range fleets {
		if f.system == report.Bare {
			continue
		}
		b.say("warming up three brokers of %s", f.system)
		for _, batch := range []int{0, 16 << 10} {
			if _, _, err := f.produce(ctx, 3, load.Spec{RecordBytes: 1024, BatchBytes: batch}, limit); err != nil {
				return fmt.Errorf("%s: %w\n%s", f.system, err, f.Log())
			}
		}
	}
	return nil
}

// produce sends batches to the leaders of a new topic's partitions.
func (f *fleet) produce(ctx context.Context, partitions int, spec load.Spec, limit load.Limit) (load.Result, time.Duration, error) {
	targets := make([]load.Target, partitions)
	for i := range targets {
		spec.Partition = int32(i)
		batches, err := load.NewBatches(topic, f.acks, spec)
		if err != nil {
			return load.Result{}, 0, err
		}
		targets[i].Batches = batches
	}
	return f.fresh(ctx, partitions, func(leaders []string) (load.Result, error) {
		for i := range targets {
			targets[i].Addr = leaders[i]
		}
		return load.ProduceAll(ctx, targets, limit)
	})
}

// fresh runs a load on a topic that is new and that is deleted afterwards. It returns the processor time
// that all brokers have used meanwhile, until every replica has all.
func (f *fleet) fresh(ctx context.Context, partitions int, do func(leaders []string) (load.Result, error)) (r load.Result, cpu time.Duration, err error) {
	leaders, err := f.ledTopic(ctx, partitions)
	if err != nil {
		return r, 0, err
	}
	_, cpu, err = f.timed(func() error {
		r, err = do(leaders)
		return err
	})
	if err == nil && f.system == report.Bare {
		err = f.keepsAll(r)
	}
	if err != nil {
		return r, 0, err
	}
	return r, cpu, f.drop(ctx)
}

// ledTopic creates the topic, with followers at work, and returns the addresses of its partitions' leaders. The bare programs have one
// already.
func (f *fleet) ledTopic(ctx context.Context, partitions int) ([]string, error) {
	if f.system == report.Bare {
		return f.addrs(nil), nil
	}
	if err := f.create(ctx, partitions); err != nil {
		return nil, err
	}
	if err := f.inSync(ctx, partitions); err != nil {
		return nil, err
	}
	// The replicas of a new partition are in sync before they have fetched. Kafka's that ask before there is a leader wait
	// for a second, replica.fetch.backoff.ms, until they ask again: that is over once a record of each is accepted.
	if _, err := f.probe(ctx, time.Now(), partitions, nil); err != nil {
		return nil, err
	}
	known, err := f.describe(ctx)
	return known.Leaders, err
}

// keepsAll makes sure that the bare programs have all copies of what they have acknowledged.
func (f *fleet) keepsAll(r load.Result) error {
	sum := int64(0)
	for _, m := range f.members {
		kept, err := m.Kept()
		if err != nil {
			return err
		}
		sum += kept
	}
	if want := int64(len(f.members)) * r.Bytes; sum < want {
		return fmt.Errorf("the files have %d bytes of %d", sum, want)
	}
	return nil
}

// cpu returns the processor time that the members have used.
func (f *fleet) cpu() (sum time.Duration, err error) {
	for _, m := range f.members {
		own, err := m.CPU()
		if err != nil {
			return 0, err
		}
		sum += own
	}
	return sum, nil
}

// drop deletes the topic and waits until no member has files of it.
func (f *fleet) drop(ctx context.Context) error {
	if f.system == report.Bare {
		for _, m := range f.members {
			if err := m.Empty(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := f.onController(ctx, func(c *load.Conn) error { return c.Delete(ctx, topic) }); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, errors.New("the files of a deleted topic do not go"))
	defer cancel()
	for _, m := range f.members {
		for {
			there, err := m.HasData(topic)
			if err != nil {
				return err
			}
			if !there {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}
