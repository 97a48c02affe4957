package integration

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/seed"
	"github.com/gregor-mq/gregor/zkutil"
)

var (
	raceRounds = flag.Int("race.rounds", 3, "how many rounds TestRaces has on each cluster")
	raceOnly   = flag.Int("race.only", -1, "the one round of TestRaces to repeat; -1: all")
)

// An arena is a cluster in which rounds of TestRaces take place, one after the other.
type arena struct {
	*cluster.Cluster
	t        *testing.T
	registry *cluster.Registry
	zk       *zkutil.Client
	client   *kgo.Client     // of this round
	harmed   map[int32]bool  // brokers that were dead to ZooKeeper in this round
	untold   bool            // replicas may have been removed by a controller that could not tell their brokers
	left     map[string]bool // their directories
}

// raceProps are properties of all brokers: files of deleted replicas go at once, failed directories are noticed, and nobody
// elects but who is asked to.
var raceProps = cluster.Props{
	"auto.leader.rebalance.enable":                  "false",
	"controlled.shutdown.enable":                    "false",
	"log.segment.delete.delay.ms":                   "100",
	"replica.high.watermark.checkpoint.interval.ms": "200",
	"controller.socket.timeout.ms":                  "3000",
	"zookeeper.session.timeout.ms":                  "10000",
	"log.index.size.max.bytes":                      "1000000", // Kafka writes all of it
}

// TestRaces has the controller change while it does what it was asked for: moves partitions, elects preferred leaders, deletes
// topics, adds partitions, hears of failed directories. In the end all of it has been done, or not, as the answers said; ZooKeeper,
// the brokers and their disks agree; and nothing is lost that was acknowledged meanwhile.
//
// What happens follows from the seed that it prints: go test ./integration -run TestRaces -seed S -race.rounds N, with
// -race.only for one round again.
func TestRaces(t *testing.T) {
	races := seed.Of(t)
	t.Logf("%d rounds: again with -race.rounds %[1]d", *raceRounds)
	for name, kafka := range map[string][]bool{
		"gregor": make([]bool, 3+races%3), "mixed": {true, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArena(t, kafka, []string{"controller", "zookeeper"}[races%2])
			for i := range *raceRounds {
				if *raceOnly >= 0 && *raceOnly != i {
					continue
				}
				a.round(planRace(races, i, len(kafka), name == "mixed"))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// newArena starts brokers, each of Kafka's or of Gregor's, with two log directories. Propagation is how Gregor's make their ISRs known.
func newArena(t *testing.T, kafka []bool, propagation string) *arena {
	t.Helper()
	a := &arena{Cluster: cluster.Start(t, 0, raceProps), t: t}
	base := t.TempDir()
	for i, of := range kafka {
		props := cluster.Props{"log.dirs": fmt.Sprintf("%s/%d-a,%[1]s/%[2]d-b", base, i+1)}
		if of {
			a.AddKafka(props)
			continue
		}
		props["gregor.isr.propagation"] = propagation
		a.Add(props)
	}
	var err error
	if a.registry, err = cluster.OpenRegistry(a.ZooKeeper(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.registry.Close)
	a.zk = openZooKeeper(t, a.Cluster)
	return a
}

// round is one race, from a new topic to its end.
func (a *arena) round(r race) {
	a.harmed, a.left = map[int32]bool{}, map[string]bool{}
	a.untold = false
	a.t.Log(r)
	a.enthrone(r.throne)
	a.client = a.Client() // the connections of the one before may lead to processes that were killed
	if err := a.client.Ping(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	defer a.client.Close()
	o := raceOperations[r.operation].prepare(a, r)
	acting := make(chan struct{})
	go func() {
		defer close(acting)
		time.Sleep(max(-r.moment, 0))
		o.act()
	}()
	time.Sleep(max(r.moment, 0))
	heal := a.strike(r)
	time.Sleep(r.hold)
	heal()
	<-acting
	o.settle()
}
