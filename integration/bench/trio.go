package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

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

// System returns what it is.
func (t *trio) System() report.System { return t.system }

// Log returns the ends of what the members have logged.
func (t *trio) Log() string {
	var text strings.Builder
	for _, m := range t.members {
		fmt.Fprintf(&text, "broker %d:\n%s\n", m.ID(), m.Log())
	}
	return text.String()
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

// create creates the topic, with so many partitions of three replicas.
func (t *trio) create(ctx context.Context, partitions int) error {
	return t.onController(ctx, func(c *load.Conn) error {
		_, err := c.CreateReplicated(ctx, partitions, 3, map[string]string{"min.insync.replicas": "2"}, topic)
		return err
	})
}

// onController calls do with a connection to the controller.
func (t *trio) onController(ctx context.Context, do func(*load.Conn) error) error {
	known, err := t.describe(ctx)
	if err != nil {
		return err
	}
	for _, m := range t.members {
		if int32(m.ID()) != known.Controller {
			continue
		}
		conn, err := load.Dial(ctx, m.Addr())
		if err != nil {
			return err
		}
		defer conn.Close()
		return do(conn)
	}
	return fmt.Errorf("%s: the controller is %d", t.system, known.Controller)
}

// probe sends a record to each of so many partitions and returns how long after begin all are accepted.
func (t *trio) probe(ctx context.Context, begin time.Time, count int, except *system.Program) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyPatience, fmt.Errorf("not accepted within %v", readyPatience))
	defer cancel()
	partitions := make([]load.Partition, count)
	for i := range partitions {
		partitions[i] = load.Partition{Topic: topic, Index: int32(i)}
	}
	took, _, err := load.Probe(ctx, begin, t.addrs(except), partitions)
	return took, err
}

// inSync waits until every member knows all replicas of so many partitions to be in sync.
func (t *trio) inSync(ctx context.Context, partitions int) error {
	return t.await(ctx, "full ISRs", func(c *load.Conn) error {
		known, err := c.Describe(ctx, topic)
		if err == nil && known.InSync != 3*partitions {
			err = fmt.Errorf("%d of %d replicas are in sync", known.InSync, 3*partitions)
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
