package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/bench/system"
)

// memberProperties are those of three brokers. Kafka, whose failover takes as long as a session, gets the
// shortest that is usual, Gregor its default of 18 s.
var memberProperties = map[report.System]string{
	report.Kafka:  "zookeeper.session.timeout.ms=6000\n",
	report.Gregor: "",
}

// trio is a cluster of three brokers.
type trio struct {
	*bench
	system  report.System
	members []*system.Program
}

// newTrio starts three brokers and waits until they know each other.
func (b *bench) newTrio(ctx context.Context, name report.System) (*trio, error) {
	b.made++
	own := fmt.Sprintf("%s-%d", name, b.made)
	t := &trio{bench: b, system: name}
	for id := 1; id <= 3; id++ {
		m := system.Member{ID: id, Properties: memberProperties[name]}
		dir, zooKeeper := filepath.Join(b.work, fmt.Sprintf("%s-%d", own, id)), b.zooKeeper+"/"+own
		var p *system.Program
		var err error
		if name == report.Kafka {
			p, err = system.NewKafkaMember(dir, zooKeeper, m)
		} else {
			p, err = system.NewGregorMember(b.gregor, dir, zooKeeper, m)
		}
		if err != nil {
			return t, err
		}
		t.members = append(t.members, p)
		if _, err := p.Start(); err != nil {
			return t, err
		}
	}
	return t, t.await(ctx, "brokers", func(c *load.Conn) error { return c.Ready(ctx) })
}

func (t *trio) kill() {
	for _, m := range t.members {
		m.Kill()
	}
}

// addrs returns the addresses of all members, that of except, if it is not nil, last.
func (t *trio) addrs(except *system.Program) []string {
	var addrs []string
	for _, m := range t.members {
		if m != except {
			addrs = append(addrs, m.Addr())
		}
	}
	if except != nil {
		addrs = append(addrs, except.Addr())
	}
	return addrs
}

// await waits until every member that runs passes the test.
func (t *trio) await(ctx context.Context, what string, test func(*load.Conn) error, except ...*system.Program) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("no %s within %v", what, readyPatience))
	defer cancel()
	for _, m := range t.members {
		if len(except) > 0 && m == except[0] {
			continue
		}
		if err := load.Until(ctx, m.Addr(), 10*time.Millisecond, test); err != nil {
			return fmt.Errorf("%s: %w\n%s", t.system, err, m.Log())
		}
	}
	return nil
}

// create creates the topic on the controller.
func (t *trio) create(ctx context.Context) (err error) {
	for _, m := range t.members {
		err = load.Until(ctx, m.Addr(), time.Second, func(c *load.Conn) error {
			_, err := c.CreateReplicated(ctx, t.copied, 3, map[string]string{"min.insync.replicas": "2"}, topic)
			if errors.Is(err, kerr.NotController) {
				return nil
			}
			return err
		})
		if err == nil {
			var known load.Cluster
			err = load.Until(ctx, m.Addr(), time.Second, func(c *load.Conn) (err error) {
				known, err = c.Describe(ctx, topic)
				return err
			})
			if err == nil && known.InSync > 0 {
				return nil
			}
		}
	}
	return err
}

// probe sends a record to each partition and returns how long after begin all are accepted.
func (t *trio) probe(ctx context.Context, begin time.Time, except *system.Program) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("not accepted within %v", readyPatience))
	defer cancel()
	partitions := make([]load.Partition, t.copied)
	for i := range partitions {
		partitions[i] = load.Partition{Topic: topic, Index: int32(i)}
	}
	took, _, err := load.Probe(ctx, begin, t.addrs(except), partitions)
	return took, err
}

// inSync waits until every member knows all replicas to be in sync.
func (t *trio) inSync(ctx context.Context) error {
	return t.await(ctx, "full ISRs", func(c *load.Conn) error {
		known, err := c.Describe(ctx, topic)
		if err == nil && known.InSync != 3*t.copied {
			err = fmt.Errorf("%d of %d replicas are in sync", known.InSync, 3*t.copied)
		}
		return err
	})
}

// describe returns what the first member knows.
func (t *trio) describe(ctx context.Context) (known load.Cluster, err error) {
	err = load.Until(ctx, t.members[0].Addr(), time.Second, func(c *load.Conn) (err error) {
		known, err = c.Describe(ctx, topic)
		return err
	})
	return known, err
}

// victim returns the controller, or the member that leads the most partitions of those that are not.
func (t *trio) victim(ctx context.Context, controller bool) (v *system.Program, led int, err error) {
	known, err := t.describe(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range t.members {
		id := int32(m.ID())
		if (id == known.Controller) == controller && (v == nil || known.Led[id] > led) {
			v, led = m, known.Led[id]
		}
	}
	if v == nil {
		err = fmt.Errorf("%s: the controller is %d", t.system, known.Controller)
	}
	return v, led, err
}

// failovers measures what three brokers do when one of them goes.
func (b *bench) failovers(ctx context.Context) error {
	for round := range b.runs {
		for _, name := range b.brokers() {
			if err := b.failover(ctx, name, round); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func (b *bench) failover(ctx context.Context, name report.System, round int) error {
	workload := fmt.Sprintf("failover: three brokers, %d partitions of three replicas", b.copied)
	add := func(metric string, target report.Target, value float64) {
		row := b.report.Row(workload, metric)
		row.Target = target
		row.Add(name, value)
		b.say("%s, %s, run %d of %d: %s %.3f", workload, name, round+1, b.runs, metric, value)
	}
	t, err := b.newTrio(ctx, name)
	defer t.kill()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := t.create(ctx); err != nil {
		return err
	}
	add("s to create", fractionOfKafka("1/4", 0.25), time.Since(begin).Seconds())
	took, err := t.probe(ctx, begin, nil)
	if err != nil {
		return err
	}
	add("s to create, until all have accepted a record", fractionOfKafka("1/4", 0.25), took.Seconds())
	if err := t.inSync(ctx); err != nil {
		return err
	}
	if err := t.stopOne(ctx, add); err != nil {
		return err
	}
	for _, controller := range []bool{false, true} {
		if err := t.killOne(ctx, controller, add); err != nil {
			return err
		}
	}
	rss := int64(0)
	for _, m := range t.members {
		own, err := m.RSS()
		if err != nil {
			return err
		}
		rss += own
	}
	add("RSS MB of all three", fractionOfKafka("1/10", 0.1), float64(rss)/1e6)
	return nil
}

// stopOne ends a broker in order and starts it again.
func (t *trio) stopOne(ctx context.Context, add func(string, report.Target, float64)) error {
	v, led, err := t.victim(ctx, false)
	if err != nil {
		return err
	}
	t.say("%s: stopping broker %d, which leads %d partitions", t.system, v.ID(), led)
	begin := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- v.Stop() }()
	err = t.await(ctx, "other leaders", func(c *load.Conn) error {
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
	if err := t.inSync(ctx); err != nil {
		return err
	}
	add("s from its start until it is in sync", report.Target{}, time.Since(begin).Seconds())
	return nil
}

// killOne ends a broker with SIGKILL and starts it again.
func (t *trio) killOne(ctx context.Context, controller bool, add func(string, report.Target, float64)) error {
	v, led, err := t.victim(ctx, controller)
	if err != nil {
		return err
	}
	who := "a broker"
	if controller {
		who = "the controller"
	}
	t.say("%s: killing broker %d, which leads %d partitions", t.system, v.ID(), led)
	begin := time.Now()
	v.Kill()
	took, err := t.probe(ctx, begin, v)
	if err != nil {
		return err
	}
	add("s from SIGKILL of "+who+" until all accept records", report.Target{Text: "≤ 0.5", Factor: 0.5}, took.Seconds())
	if t.system == report.Kafka {
		if err := v.AwaitForgotten(ctx); err != nil {
			return err
		}
	}
	if _, err := v.Start(); err != nil {
		return err
	}
	return t.inSync(ctx)
}
