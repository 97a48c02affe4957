// Chaos runs brokers on a ZooKeeper ensemble, in network namespaces, under producers and consumers, does
// harm to all of it at random, and says whether anything was lost that was acknowledged.
//
//	make chaos MINUTES=30 SEED=7
//
// Processes are killed, ended and frozen, links cut, sessions expired, disks filled, broken and taken away; leaders, the
// controller and the coordinators of consumer groups are aimed at. Consumer groups of several kinds share
// the load; their members come, leave and are killed. One topic is compacted all the time, as are the groups' offsets:
// its records are versions of keys, and tombstones. Every few faults all must recover: replicas in sync,
// every producer served by every partition, every group committing for every partition. In the end package
// history compares what clients were told with the logs, and package groups what members of groups were told
// with each other.
//
// With -kafka N, N of the brokers begin as Apache Kafka's, and brokers of the two implementations are replaced by each other,
// in order or after a kill: the other program is started as the same broker, with the same server.properties, on the same
// data directories.
//
//	make chaos MINUTES=30 SEED=7 KAFKA=3
//
// Ctrl-C ends the faults, and the verdict follows.
//
// A seed is a sequence of faults (plan); whom they hit depends on who leads then. What fails leaves its
// directory behind, with the brokers' logs and data, faults.log, producers.log, history.log and groups.log.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster/netns"
)

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = netns.Possible()
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
		context.AfterFunc(ctx, stop) // a second signal ends it at once
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	time    time.Duration // of faults
	seed    uint64
	brokers int
	kafka   int    // of them begin as Apache Kafka's
	only    []kind // all if empty
	dir     string // where the directory for all data is made
	keep    bool
	say     func(format string, args ...any)
	script  func(context.Context, *chaos) error // what is done in place of the plan; nil: nothing
}

func parse(args []string) (options, error) {
	o := options{say: func(format string, args ...any) { fmt.Printf(format+"\n", args...) }}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	minutes := f.Float64("minutes", 5, "how long there are faults, in `minutes`")
	f.Uint64Var(&o.seed, "seed", 0, "of the sequence of faults; 0 takes one at random")
	f.IntVar(&o.brokers, "brokers", 3, "the number of brokers")
	f.IntVar(&o.kafka, "kafka", 0, "how many of the brokers begin as Apache Kafka's; with one or more, brokers of the two are replaced by each other")
	only := f.String("only", "", "the `kinds` of faults, separated by commas; all if empty")
	f.StringVar(&o.dir, "dir", os.TempDir(), "where the directory for all data is made")
	f.BoolVar(&o.keep, "keep", false, "leave the directory behind in any case")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for name := range strings.SplitSeq(*only, ",") {
		if k, ok := kindNamed(name); ok {
			o.only = append(o.only, k)
		} else if name != "" {
			return o, fmt.Errorf("-only: no kind %q; there are %s", name, strings.Join(kindNames(), ", "))
		}
	}
	o.time = time.Duration(*minutes * float64(time.Minute))
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000) + 1
	}
	if o.kafka == 0 && slices.ContainsFunc(o.only, kind.mixed) {
		return o, errors.New("-only: what brokers of both implementations take needs -kafka")
	}
	if o.kafka < 0 || o.kafka > o.brokers {
		return o, errors.New("-kafka must be between 0 and -brokers")
	}
	if o.time <= 0 || o.brokers < 3 || o.brokers > 9 {
		return o, errors.New("-minutes must be positive, -brokers between 3 and 9")
	}
	return o, nil
}
