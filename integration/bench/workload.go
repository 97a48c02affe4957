package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
)

// The metrics of a workload.
const (
	throughput = "MB/s"
	cpuPerGB   = "CPU s/GB"
	p50        = "p50 ms"
	p99        = "p99 ms"
	p999       = "p99.9 ms"
)

// metric is a quantity of a run, of what it has moved and of the processor time that this took.
type metric struct {
	name string
	of   func(r *load.Result, cpu time.Duration) float64
}

// bulk are the metrics of workloads that move bytes.
var bulk = append([]metric{
	{throughput, func(r *load.Result, _ time.Duration) float64 { return float64(r.Bytes) / r.Elapsed.Seconds() / 1e6 }},
	{cpuPerGB, func(r *load.Result, cpu time.Duration) float64 { return cpu.Seconds() / float64(r.Bytes) * 1e9 }},
}, latencyMetrics...)

var latencyMetrics = []metric{percentile(p50, 50), percentile(p99, 99), percentile(p999, 99.9)}

func percentile(name string, p float64) metric {
	return metric{name, func(r *load.Result, _ time.Duration) float64 { return milliseconds(r.Latency.Percentile(p)) }}
}

// contender is what is put under load: a broker or a cluster of some.
type contender interface {
	System() report.System
	Copies() int // of a record, at most
	Log() string
}

// workload is one load that all systems are put under in turn.
type workload[C contender] struct {
	name    string
	run     func(ctx context.Context, s C) (load.Result, time.Duration, error)
	targets map[string]report.Target
	metrics []metric // bulk if nil
}

// compare runs a workload on each subject in turn: once to warm up, then as often as it counts. Another one begins
// each round, so that none always follows the same one and finds what that has left of memory and cache.
func compare[C contender](ctx context.Context, b *bench, w workload[C], subjects []C) error {
	if w.metrics == nil {
		w.metrics = bulk
	}
	for _, m := range w.metrics { // in this order
		b.report.Row(w.name, m.name).Target = w.targets[m.name]
	}
	for round := range b.runs + 1 {
		for i := range subjects {
			s := subjects[(round+i)%len(subjects)]
			if err := backMemory(int64(s.Copies()+1) * b.limit.Bytes); err != nil {
				return err
			}
			r, cpu, err := w.run(ctx, s)
			if err != nil {
				return fmt.Errorf("%s, %s: %w\n%s", w.name, s.System(), err, s.Log())
			}
			kind := "warming up"
			if round > 0 {
				kind = fmt.Sprintf("run %d of %d", round, b.runs)
			}
			var said []string
			for _, m := range w.metrics {
				value := m.of(&r, cpu)
				said = append(said, fmt.Sprintf("%.2f %s", value, m.name))
				if round > 0 {
					b.report.Row(w.name, m.name).Add(s.System(), value)
				}
			}
			b.say("%s, %s, %s: %s", w.name, s.System(), kind, strings.Join(said, ", "))
		}
	}
	return nil
}

// warmUp puts each broker under load until a JVM has compiled what it will run.
func (b *bench) warmUp(ctx context.Context, subjects []*subject) error {
	specs := []load.Spec{{RecordBytes: 1024}, {RecordBytes: 1024, BatchBytes: 16 << 10}, {RecordBytes: 100, BatchBytes: 64 << 10}}
	limit := load.Limit{Time: b.warm / time.Duration(len(specs)), Bytes: b.limit.Bytes}
	for _, s := range subjects {
		if s.system == report.Bare {
			continue
		}
		b.say("warming up %s", s.system)
		for _, spec := range specs {
			batches, err := load.NewBatches(topic, b.acks, spec)
			if err != nil {
				return err
			}
			if _, _, err := fresh(ctx, s, func() (load.Result, error) { return load.Produce(ctx, s.Addr(), batches, limit) }); err != nil {
				return fmt.Errorf("%s: %w\n%s", s.system, err, s.Log())
			}
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// charged runs a load and returns the processor time that the subject has used meanwhile.
func charged(s *subject, do func() (load.Result, error)) (load.Result, time.Duration, error) {
	before, err := s.CPU()
	if err != nil {
		return load.Result{}, 0, err
	}
	r, err := do()
	if err != nil {
		return r, 0, err
	}
	after, err := s.CPU()
	return r, after - before, err
}

// topic is the one that records go to, in all groups.
const topic = "bench"

// fresh runs a load on a topic that is new and that is deleted afterwards, and makes sure that all
// records are in it.
func fresh(ctx context.Context, s *subject, do func() (load.Result, error)) (load.Result, time.Duration, error) {
	if _, err := create(ctx, s, topic); err != nil {
		return load.Result{}, 0, err
	}
	r, cpu, err := charged(s, do)
	if err == nil {
		err = holds(ctx, s, r)
	}
	if err != nil {
		return r, cpu, err
	}
	return r, cpu, drop(ctx, s, topic)
}

// holds makes sure that a subject has what it has acknowledged.
func holds(ctx context.Context, s *subject, r load.Result) error {
	if s.system == report.Bare {
		kept, err := s.Kept()
		if err == nil && kept < r.Bytes {
			err = fmt.Errorf("the file has %d bytes of the %d sent", kept, r.Bytes)
		}
		return err
	}
	return with(ctx, s, func(c *load.Conn) error {
		end, err := c.Ends(ctx, 1, topic)
		if err == nil && end != r.Records {
			err = fmt.Errorf("the log ends at offset %d after %d records", end, r.Records)
		}
		return err
	})
}

// fractionOfKafka is a target: Gregor needs at most that part of what Kafka needs.
func fractionOfKafka(text string, factor float64) report.Target {
	return report.Target{Text: "≤ " + text + " of Kafka", Of: report.Kafka, Factor: factor}
}

// produce measures producers whose batches are encoded beforehand.
func (b *bench) produce(ctx context.Context, subjects []*subject) error {
	third, small, compressed := fractionOfKafka("1/3", 1.0/3), fractionOfKafka("1/2.5", 1/2.5), fractionOfKafka("1/1.3", 1/1.3)
	loads := []struct {
		name   string
		spec   load.Spec
		target report.Target
	}{
		{"1 KiB records, one a request", load.Spec{RecordBytes: 1024}, third},
		{"1 KiB records, 16 KiB batches", load.Spec{RecordBytes: 1024, BatchBytes: 16 << 10}, third},
		{"1 KiB records, 64 KiB batches", load.Spec{RecordBytes: 1024, BatchBytes: 64 << 10}, third},
		{"1 KiB records, 1 MB batches", load.Spec{RecordBytes: 1024, BatchBytes: 1 << 20}, third},
		{"100-byte records, 16 KiB batches", load.Spec{RecordBytes: 100, BatchBytes: 16 << 10}, small},
		{"100-byte records, 64 KiB batches", load.Spec{RecordBytes: 100, BatchBytes: 64 << 10}, small},
		{"64 KiB batches of lz4", load.Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.LZ4}, compressed},
		{"64 KiB batches of zstd", load.Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.Zstd}, compressed},
		{"64 KiB batches of gzip", load.Spec{RecordBytes: 1024, BatchBytes: 64 << 10, Codec: record.Gzip}, compressed},
	}
	for _, l := range loads {
		batches, err := load.NewBatches(topic, b.acks, l.spec)
		if err != nil {
			return err
		}
		if l.spec.Codec != record.None {
			l.name += fmt.Sprintf(" (%.1f to 1)", batches.Ratio)
		}
		run := func(ctx context.Context, s *subject) (load.Result, time.Duration, error) {
			return fresh(ctx, s, func() (load.Result, error) { return load.Produce(ctx, s.Addr(), batches, b.limit) })
		}
		w := workload[*subject]{"produce: " + l.name, run, map[string]report.Target{cpuPerGB: l.target}, nil}
		if err := compare(ctx, b, w, subjects); err != nil {
			return err
		}
	}
	return nil
}

// latencies measures producers that keep to a rate.
func (b *bench) latencies(ctx context.Context, subjects []*subject) error {
	for _, rate := range []int{1000, 10000} {
		pace, err := load.NewPace(topic, b.acks, 1024, rate)
		if err != nil {
			return err
		}
		run := func(ctx context.Context, s *subject) (load.Result, time.Duration, error) {
			return fresh(ctx, s, func() (load.Result, error) { return pace.Run(ctx, s.Addr(), b.latency) })
		}
		w := workload[*subject]{fmt.Sprintf("latency: %d records of 1 KiB a second", rate), run,
			map[string]report.Target{p999: fractionOfKafka("1/2", 0.5)}, nil}
		if err := compare(ctx, b, w, subjects); err != nil {
			return err
		}
	}
	return nil
}

// fetch measures consumers of a log of 16 KiB batches that is in the page cache.
func (b *bench) fetch(ctx context.Context, subjects []*subject) error {
	batches, err := load.NewBatches(topic, b.acks, load.Spec{RecordBytes: 1024, BatchBytes: 16 << 10})
	if err != nil {
		return err
	}
	reads := make(map[*subject]*load.Fetch)
	for _, s := range subjects {
		id, err := create(ctx, s, topic)
		if err != nil {
			return err
		}
		filled, err := load.Produce(ctx, s.Addr(), batches, load.Limit{Time: time.Minute, Bytes: min(b.limit.Bytes, 500e6)})
		if err != nil {
			return fmt.Errorf("fill %s: %w", s.system, err)
		}
		reads[s] = &load.Fetch{TopicID: id, End: filled.Records, Blind: s.system == report.Bare}
	}
	sizes := []struct {
		name   string
		bytes  int32
		target report.Target
	}{
		{"1 MiB", 1 << 20, report.Target{Text: "≤ 1.3 of bare", Of: report.Bare, Factor: 1.3}},
		{"64 KiB", 64 << 10, fractionOfKafka("1/2", 0.5)},
	}
	for _, size := range sizes {
		limit := load.Limit{Time: b.limit.Time, Bytes: 4 * b.limit.Bytes}
		for _, s := range subjects {
			reads[s].MaxBytes = size.bytes
			if err := reads[s].Learn(ctx, s.Addr(), limit); err != nil {
				return fmt.Errorf("%s: %w", s.system, err)
			}
		}
		run := func(ctx context.Context, s *subject) (load.Result, time.Duration, error) {
			return charged(s, func() (load.Result, error) { return reads[s].Run(ctx, s.Addr(), limit) })
		}
		w := workload[*subject]{"fetch: " + size.name + " at a time", run, map[string]report.Target{cpuPerGB: size.target}, nil}
		if err := compare(ctx, b, w, subjects); err != nil {
			return err
		}
	}
	for _, s := range subjects {
		if err := drop(ctx, s, topic); err != nil {
			return err
		}
	}
	return nil
}
