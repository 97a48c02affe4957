package directories

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/integration/cluster"
)

// change is one way from a broker to the next.
type change struct {
	kafka bool // the next one is Kafka's
	kill  bool // the one before is killed
}

// TestDirectoryOfKafka: a directory written by Kafka goes to Gregor and back, after stops and after kills, several times.
// Each serves what the one before did, and writes on.
func TestDirectoryOfKafka(t *testing.T) {
	c := cluster.Start(t, 0, brokerProps)
	c.AddKafka(nil)
	passOn(t, c, true, change{kafka: false}, change{kafka: true, kill: true}, change{kafka: false, kill: true}, change{kafka: true})
}

// TestDirectoryOfGregor: the other way round.
func TestDirectoryOfGregor(t *testing.T) {
	c := cluster.Start(t, 1, brokerProps)
	passOn(t, c, false, change{kafka: true, kill: true}, change{kafka: false}, change{kafka: true})
}

// passOn writes to a broker, and passes its directory on.
func passOn(t *testing.T, c *cluster.Cluster, kafka bool, changes ...change) {
	createTopics(c)
	idempotent := newProducer(t, c, "idempotent")
	coordinated := false // there was a coordinator of transactions
	for round := 0; ; round++ {
		fill(t, c, round)
		if kafka {
			transact(t, c, "transactional")
			coordinated = true
		}
		by := newProducer(t, c, "transacted")
		by.txn = new("by hand")
		for i := range 10 {
			by.send(t, c, 3)
			by.end(t, c, i%3 == 0)
		}
		idempotent.send(t, c, 5)
		follow(t, c, round, 20)
		if round == len(changes) {
			break
		}
		before, group := ask(t, c, coordinated)
		next := changes[round]
		if next.kill {
			c.Kill(1)
			c.EndSession(1) // before which Kafka does not start
		} else {
			c.Stop(1)
			checkFiles(t, c.Broker(1).DataDir())
		}
		kafka = next.kafka
		c.Broker(1).SetKafka(kafka)
		c.Restart(1)
		after, groupAfter := ask(t, c, coordinated)
		compare(t, before, after)
		if group != groupAfter {
			t.Errorf("the group was at %s, and is at %s", group, groupAfter)
		}
		idempotent.resend(t, c)
		if t.Failed() {
			t.Fatalf("in change %d: %+v", round, next)
		}
	}
	c.Stop(1)
	checkFiles(t, c.Broker(1).DataDir())
	if keep := os.Getenv("DIRECTORIES_KEEP"); keep != "" {
		os.CopyFS(keep, os.DirFS(c.Broker(1).DataDir()))
	}
}

// compare requires that what is served has not changed.
func compare(t *testing.T, before, after map[topic.Partition]served) {
	t.Helper()
	for p, want := range before {
		got := after[p]
		if diff := cmp.Diff(want.Batches, got.Batches); diff != "" {
			t.Errorf("%s: other batches (-before +after)\n%.4000s", p, diff)
		}
		want.Batches, got.Batches = nil, nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-before +after)\n%s", p, diff)
		}
	}
	if len(before) != len(after) || slices.ContainsFunc([]topic.Partition{{Topic: "codecs"}, {Topic: "compacted"}}, func(p topic.Partition) bool {
		return len(after[p].Batches) == 0
	}) {
		t.Errorf("%d partitions are served, it were %d", len(after), len(before))
	}
}
