// Bench compares Gregor with Apache Kafka and with a program that only copies, on this machine, on one
// ZooKeeper, under the same load, and prints the medians of several runs, their ratios, and whether
// they are within the targets.
//
// What is compared first is the processor time that a broker needs for a gigabyte (10^9 bytes of
// batches), because the client on the same machine does not distort it much; throughput and latency
// are measured with it. Most targets are fractions of what Kafka needs, whatever the kernel needs of it: one that
// the program that only copies misses in the same run is told apart, "FAIL, bare too". How late the machine itself
// wakes threads up is measured before anything runs, and printed first. The groups of measurements, for -only:
//
//	produce     batches of several sizes and codecs, encoded beforehand
//	fetch       1 MiB and 64 KiB at a time
//	latency     of records that come at a fixed rate, from when they are due
//	tools       Kafka's own performance tests
//	start       from exec to the first record accepted
//	partitions  10,000 of them: created, restarted in order, restarted after SIGKILL
//	failover    three brokers, three replicas of each of 1,000 partitions: created, a broker stopped in order, one
//	            killed, the controller killed
//	scale       the same with 5,000 partitions; and Gregor's controller alone, with 20,000 partitions of three replicas
//	            on six simulated brokers
//	replication three brokers, three replicas, acks=all: batches of two sizes, and records at a fixed rate; the program
//	            that only copies passes on what it is sent to two more of its kind
//	groups      heartbeats and commits of the members of 100 consumer groups
//	rebalance   one consumer group of 100 members and one of 1,000, of which one comes and goes; 1,000 groups of ten members
//	loading     two brokers, of which one takes over from the other groups that have committed 1,000,000 times
//	compaction  a log of 10,000,000 records of 100 bytes, ten versions of each key, cleaned at once
//
// The brokers have their default configuration, but for what the groups of measurements name. They run side by side for the
// first four groups and from replication to loading, and take turns; in the others each runs alone. Memory is that after each of the
// first four groups.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gregor-mq/gregor/integration/bench/bare"
	"github.com/gregor-mq/gregor/integration/bench/load"
	"github.com/gregor-mq/gregor/integration/bench/report"
	"github.com/gregor-mq/gregor/integration/bench/system"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// options are what the command line says.
type options struct {
	only    []string // groups
	systems []report.System
	runs    int
	limit   load.Limit // of a run
	latency time.Duration
	warm    time.Duration
	acks    int16
	count   int // partitions
	copied  int // partitions with three replicas
	many    int // as many of them as a cluster should take
	topics  int // of 100 partitions, on simulated brokers
	members int // of a large consumer group
	tens    int // consumer groups of ten members
	commits int // that a coordinator loads
	records int // of a log that is compacted
	gregor  string
	dir     string
	json    string
	timeout time.Duration
}

var groups = []string{"produce", "fetch", "latency", "tools", "start", "partitions", "failover", "scale", "replication", "groups",
	"rebalance", "loading", "compaction"}

func main() {
	serveBare()
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveBare makes this process the bare program, if that is what it was started as.
func serveBare() {
	if len(os.Args) != 3 || os.Args[1] != system.BareFlag {
		return
	}
	var places []bare.Place
	err := json.Unmarshal([]byte(os.Args[2]), &places)
	if err == nil {
		err = bare.Run(places)
	}
	exit(err)
}

// parse reads the command line.
func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := f.String("only", strings.Join(groups, ","), "the groups to measure")
	systems := f.String("systems", "kafka,gregor,bare", "the systems to measure")
	acks := f.String("acks", "all", "what the producers ask for: all, 1")
	quick := f.Bool("quick", false, "one short run of each: to see that all works, not to compare")
	megabytes := f.Int64("mb", 1000, "the `megabytes` after which a run ends; fetches read four times as much")
	f.IntVar(&o.runs, "runs", 3, "runs of each measurement, after one that does not count")
	f.DurationVar(&o.limit.Time, "time", 5*time.Second, "the time after which a run ends")
	f.DurationVar(&o.latency, "latency", 10*time.Second, "the time of a run at a fixed rate")
	f.DurationVar(&o.warm, "warm", 45*time.Second, "the time that a broker is put under load before it is measured")
	f.IntVar(&o.count, "partitions", 10000, "how many partitions to create; a multiple of 100")
	f.IntVar(&o.copied, "replicated", 1000, "how many partitions with three replicas to create")
	f.IntVar(&o.many, "scale", 5000, "how many partitions with three replicas are many")
	f.IntVar(&o.topics, "simulated", 200, "how many topics of 100 partitions on simulated brokers")
	f.IntVar(&o.members, "members", 1000, "how many members a large consumer group has")
	f.IntVar(&o.tens, "groups", 1000, "how many consumer groups of ten members there are")
	f.IntVar(&o.commits, "commits", 1000000, "how many commits a coordinator loads")
	f.IntVar(&o.records, "records", 10_000_000, "how many records a log has that is compacted")
	f.StringVar(&o.gregor, "gregor", "", "the broker's `program`; bin/gregor of the checkout if empty")
	f.StringVar(&o.dir, "dir", os.TempDir(), "where the directory for all data is made, and removed at the end")
	f.StringVar(&o.json, "json", "", "write the values of all runs to this `file`")
	f.DurationVar(&o.timeout, "timeout", 90*time.Minute, "the time after which all of it ends")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.limit.Bytes = *megabytes * 1e6
	if *quick {
		o.runs, o.limit, o.count = 1, load.Limit{Time: time.Second, Bytes: 100e6}, min(o.count, 1000)
		o.copied, o.many, o.topics = min(o.copied, 300), min(o.many, 600), min(o.topics, 12)
		o.members, o.tens, o.commits = min(o.members, 200), min(o.tens, 50), min(o.commits, 50000)
		o.records = min(o.records, 1_000_000)
		o.latency, o.warm = 2*time.Second, 6*time.Second
	}
	o.only = strings.Split(*only, ",")
	for _, group := range o.only {
		if !slices.Contains(groups, group) {
			return o, fmt.Errorf("-only: no group %q; there are %s", group, strings.Join(groups, ", "))
		}
	}
	for name := range strings.SplitSeq(*systems, ",") {
		if !slices.Contains(report.Systems, report.System(name)) {
			return o, fmt.Errorf("-systems: no system %q", name)
		}
		o.systems = append(o.systems, report.System(name))
	}
	switch *acks {
	case "all":
		o.acks = -1
	case "1":
		o.acks = 1
	default:
		return o, fmt.Errorf("-acks: all or 1, not %q", *acks)
	}
	if o.runs < 1 || o.limit.Bytes <= 0 || o.limit.Time <= 0 || o.count < 100 || o.count%100 != 0 {
		return o, errors.New("-runs, -mb and -time must be positive, -partitions a multiple of 100")
	}
	if o.members < 1 || o.tens < 1 || o.commits < 1 || o.records < 1 {
		return o, errors.New("-members, -groups, -commits and -records must be positive")
	}
	return o, nil
}

// maxRest is for how long the machine is looked at before anything runs.
const maxRest = 5 * time.Second

// run does all of it. Everything that it starts and writes is gone when it returns.
func run(o options) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// Whoever reads our output may have gone; that must not keep us from cleaning up.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done within %v", o.timeout))
	defer cancel()
	if o.gregor == "" {
		root, err := cluster.Root()
		if err != nil {
			return err
		}
		o.gregor = filepath.Join(root, "bin", "gregor")
	}
	if _, err := os.Stat(o.gregor); err != nil {
		return fmt.Errorf("%w: make build", err)
	}
	dir, err := os.MkdirTemp(o.dir, "gregor-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	late := load.Lateness(ctx, min(o.latency, maxRest)) // while nothing else runs
	zk, err := cluster.NewZooKeeper(filepath.Join(dir, "zookeeper"))
	if err != nil {
		return err
	}
	defer zk.Kill()

	b := &bench{options: o, work: dir, zooKeeper: zk.Addr(), report: &report.Report{}, wakeUps: wakeUps(late)}
	b.say("%s", environment())
	b.say("%s", b.wakeUps)
	err = b.measure(ctx)
	if err != nil && ctx.Err() != nil {
		err = nil // it is as it was to be
		fmt.Fprintln(os.Stderr, "bench: incomplete:", context.Cause(ctx))
	}
	return errors.Join(err, b.print()) // what was measured until then is worth its time
}

// print writes the report.
func (b *bench) print() error {
	fmt.Printf("\n%s\n%s\nMedians of %d runs. x kafka, x bare: Gregor's value as a multiple of theirs. GB, MB: 10^9, 10^6 bytes.\n\n",
		environment(), b.wakeUps, b.runs)
	if err := b.report.WriteTable(os.Stdout); err != nil {
		return err
	}
	fmt.Printf("\n%s\n", b.report.Summary())
	if b.json == "" {
		return nil
	}
	file, err := os.Create(b.json)
	if err != nil {
		return err
	}
	return errors.Join(b.report.WriteJSON(file), file.Close())
}
