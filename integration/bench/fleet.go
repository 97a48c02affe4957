package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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

// clusterPatience is how long brokers may take until all know what is waited for, of all partitions.
const clusterPatience = 10 * time.Minute

// fleet is a cluster of brokers, with ids from 1 on.
type fleet struct {
	*bench
	system  report.System
	members []*system.Program
}

// newTrio starts three brokers, or bare programs, and waits until they can be used.
func (b *bench) newTrio(ctx context.Context, name report.System) (*fleet, error) {
	if name == report.Bare {
		return b.newBareTrio(ctx)
	}
	return b.newFleet(ctx, name, 3, memberProperties[name])
}

// newFleet starts so many brokers, with properties over their defaults, and waits until they can be used.
func (b *bench) newFleet(ctx context.Context, name report.System, size int, properties string) (*fleet, error) {
	b.made++
	own := fmt.Sprintf("%s-%d", name, b.made)
	f := &fleet{bench: b, system: name}
	for id := 1; id <= size; id++ {
		m := system.Member{ID: id, Properties: properties}
		dir, zooKeeper := filepath.Join(b.work, fmt.Sprintf("%s-%d", own, id)), b.zooKeeper+"/"+own
		var p *system.Program
		var err error
		if name == report.Kafka {
			p, err = system.NewKafkaMember(dir, zooKeeper, m)
		} else {
			p, err = system.NewGregorMember(b.gregor, dir, zooKeeper, m)
		}
		if err != nil {
			return f, err
		}
		f.members = append(f.members, p)
		if _, err := p.Start(); err != nil {
			return f, err
		}
	}
	return f, f.await(ctx, "brokers", func(c *load.Conn) error { return c.Ready(ctx) })
}

// newBareTrio starts three bare programs, each of which has one partition, as its leader.
func (b *bench) newBareTrio(ctx context.Context) (*fleet, error) {
	b.made++
	var dirs []string
	for id := 1; id <= 3; id++ {
		dirs = append(dirs, filepath.Join(b.work, fmt.Sprintf("%s-%d-%d", report.Bare, b.made, id)))
	}
	members, err := system.NewBareCluster(dirs...)
	f := &fleet{bench: b, system: report.Bare, members: members}
	if err != nil {
		return f, err
	}
	for _, p := range members {
		if _, err := p.Start(); err != nil {
			return f, err
		}
	}
	return f, f.await(ctx, "connections", func(*load.Conn) error { return nil })
}

// System returns what it is.
func (f *fleet) System() report.System { return f.system }

// Copies returns how many copies it may keep of a record.
func (f *fleet) Copies() int { return len(f.members) }

// Log returns the ends of what the members have logged.
func (f *fleet) Log() string {
	var text strings.Builder
	for _, m := range f.members {
		fmt.Fprintf(&text, "broker %d:\n%s\n", m.ID(), m.Log())
	}
	return text.String()
}

func (f *fleet) kill() {
	for _, m := range f.members {
		m.Kill()
	}
}

// addrs returns the addresses of all members, that of except, if it is not nil, last.
func (f *fleet) addrs(except *system.Program) []string {
	var addrs []string
	for _, m := range f.members {
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
func (f *fleet) await(ctx context.Context, what string, test func(*load.Conn) error, except ...*system.Program) error {
	ctx, cancel := context.WithTimeoutCause(ctx, clusterPatience, fmt.Errorf("no %s within %v", what, clusterPatience))
	defer cancel()
	for _, m := range f.members {
		if len(except) > 0 && m == except[0] {
			continue
		}
		if err := load.Until(ctx, m.Addr(), 10*time.Millisecond, test); err != nil {
			return fmt.Errorf("%s: %w\n%s", f.system, err, m.Log())
		}
	}
	return nil
}

// create creates the topic, with so many partitions of three replicas. A broker that does not do so in the time that
// it is given goes on all the same: then it is waited for.
func (f *fleet) create(ctx context.Context, partitions int) error {
	err := f.onController(ctx, func(c *load.Conn) error {
		_, err := c.CreateReplicated(ctx, partitions, 3, map[string]string{"min.insync.replicas": "2"}, topic)
		return err
	})
	if !errors.Is(err, kerr.RequestTimedOut) {
		return err
	}
	return f.await(ctx, "leaders", func(c *load.Conn) error {
		known, err := c.Describe(ctx, topic)
		if led := len(known.Leaders) - known.Led[-1]; err == nil && led < partitions {
			err = fmt.Errorf("%d of %d partitions have leaders", led, partitions)
		}
		return err
	})
}

// onController calls do with a connection to the controller.
func (f *fleet) onController(ctx context.Context, do func(*load.Conn) error) error {
	known, err := f.describe(ctx)
	if err != nil {
		return err
	}
	for _, m := range f.members {
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
	return fmt.Errorf("%s: the controller is %d", f.system, known.Controller)
}

// probe sends a record to each of so many partitions and returns how long after begin all are accepted.
func (f *fleet) probe(ctx context.Context, begin time.Time, count int, except *system.Program) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, clusterPatience, fmt.Errorf("not accepted within %v", clusterPatience))
	defer cancel()
	partitions := make([]load.Partition, count)
	for i := range partitions {
		partitions[i] = load.Partition{Topic: topic, Index: int32(i)}
	}
	took, _, err := load.Probe(ctx, begin, f.addrs(except), partitions)
	return took, err
}

// inSync waits until every member knows all replicas of so many partitions to be in sync.
func (f *fleet) inSync(ctx context.Context, partitions int) error {
	return f.await(ctx, "full ISRs", func(c *load.Conn) error {
		known, err := c.Describe(ctx, topic)
		if err == nil && known.InSync != 3*partitions {
			err = fmt.Errorf("%d of %d replicas are in sync", known.InSync, 3*partitions)
		}
		return err
	})
}

// describe returns what the first member knows.
func (f *fleet) describe(ctx context.Context) (known load.Cluster, err error) {
	err = load.Until(ctx, f.members[0].Addr(), time.Second, func(c *load.Conn) (err error) {
		known, err = c.Describe(ctx, topic)
		return err
	})
	return known, err
}

// victim returns the controller, or the member that leads the most partitions of those that are not.
func (f *fleet) victim(ctx context.Context, controller bool) (v *system.Program, led int, err error) {
	known, err := f.describe(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range f.members {
		id := int32(m.ID())
		if (id == known.Controller) == controller && (v == nil || known.Led[id] > led) {
			v, led = m, known.Led[id]
		}
	}
	if v == nil {
		err = fmt.Errorf("%s: the controller is %d", f.system, known.Controller)
	}
	return v, led, err
}
