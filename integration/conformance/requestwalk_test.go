package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/seed"
)

// TestRequestWalk sends the same random requests, of every API and version that is built, to a broker of ours and to one
// of Apache Kafka, one after the other, and compares the answers field by field, and what has become of the topics in
// ZooKeeper:
//
//	go test -run TestRequestWalk ./integration/conformance -steps 3000 -seed 7
//
// Not compared are: the order of lists, which is that of hash maps in Kafka; addresses, ids and times, beyond whether they are
// the same again; what mask takes out. What tame leaves out is not sent. Members of groups have a walk of their own, TestGroupWalk.
// Nothing depends on how long something takes: the next request waits until both brokers have done what the last one asked for.
func TestRequestWalk(t *testing.T) {
	t.Parallel()
	walk := seed.Of(t)
	kafka := cluster.Start(t, 0, requestWalkProps())
	kafka.AddKafka(nil)
	ours := cluster.Start(t, 1, requestWalkProps())
	w := &requestWalk{
		t: t, rng: rand.New(rand.NewPCG(walk, 2)), counts: map[string]int{},
		sides: [2]*requestSide{newRequestSide(t, "Gregor", ours), newRequestSide(t, "Kafka", kafka)},
	}
	for _, a := range readAPIs(t) {
		if slices.Contains(builtAPIs, a.name) {
			builtKeys = append(builtKeys, a.key)
		}
		if a.built() && !slices.Contains(notWalked, a.name) && slices.Contains(builtAPIs, a.name) {
			w.apis = append(w.apis, a)
		}
	}
	for w.step < *walkSteps && w.differences < maxDifferences {
		w.episode()
	}
	t.Logf("%d requests about the topics of %d episodes; answers: %v", w.step, w.episodes, w.counts)
}

// notWalked are the APIs that the walk leaves out: members of groups wait for one another, and there is no coordinator of
// transactions yet that would answer.
var notWalked = []string{"JoinGroup", "DescribeTransactions", "TxnOffsetCommit"}

func requestWalkProps() cluster.Props {
	return cluster.Props{
		"group.initial.rebalance.delay.ms": "0", "auto.create.topics.enable": "false", "offsets.topic.num.partitions": "1",
		"offsets.topic.replication.factor": "1", "log.retention.check.interval.ms": "3600000", "zookeeper.session.timeout.ms": "60000",
	}
}

// requestWalk is a walk on both brokers.
type requestWalk struct {
	t           testing.TB
	rng         *rand.Rand
	apis        []api
	sides       [2]*requestSide
	step        int
	episodes    int
	differences int
	over        bool
	log         []string
	counts      map[string]int // answers by API and error
}

// episode walks with topics that are new.
func (w *requestWalk) episode() {
	w.episodes++
	w.over, w.log = false, nil
	a := &arbitrary{rng: w.rng, odd: []int{7, 15, 40}[w.rng.IntN(3)], many: 200}
	for i := range 4 {
		a.known.topics = append(a.known.topics, fmt.Sprintf("walk-%d-%c", w.episodes, 'a'+i))
	}
	a.known.groups = []string{fmt.Sprintf("group-%d", w.episodes), "other"}
	a.known.brokers, a.known.dirs, a.known.epochs, a.known.controller = []int32{1, 1, 1, 1, 2}, logicalDirs, []int64{3}, []int32{0}
	for i := range a.known.topics {
		a.known.ids = append(a.known.ids, logicalID(i))
	}
	for _, s := range w.sides {
		s.begin(a.known)
	}
	k := a.known.topics
	w.step++
	w.take(withVersion(createTopics(topicOf(k[0], sized(1, 1)), topicOf(k[1], sized(2, 1)), topicOf(k[2], sized(3, 1))), 7))
	for range episodeSteps {
		if w.over || w.step >= *walkSteps || w.differences >= maxDifferences {
			return
		}
		w.step++
		w.take(w.next(a))
	}
}

// next makes the next request: about topics and records more often than not.
func (w *requestWalk) next(a *arbitrary) kmsg.Request {
	for {
		of := oneOf(a, w.apis...)
		if w.rng.IntN(2) == 0 {
			name := oneOf(a, "Produce", "Produce", "Produce", "Fetch", "Fetch", "ListOffsets", "CreateTopics", "CreateTopics", "CreatePartitions", "DeleteTopics", "IncrementalAlterConfigs", "AlterConfigs", "DeleteRecords")
			of = w.apis[slices.IndexFunc(w.apis, func(a api) bool { return a.name == name })]
		}
		req := a.request(of.key, of.min+int16(w.rng.IntN(int(of.max-of.min)+1)))
		if tame(req) {
			return req
		}
	}
}

// take makes one step: sends a request to both brokers and compares what comes of it.
func (w *requestWalk) take(req kmsg.Request) {
	w.log = append(w.log, fmt.Sprintf("%d: %s v%d %.1500s", w.step, kmsg.NameForKey(req.Key()), req.GetVersion(), textOf(req)))
	var answers [2]string
	var what string
	for i, s := range w.sides {
		answers[i], what = s.take(req)
	}
	w.counts[what]++
	switch {
	case answers[1] == unanswered:
		w.differ("Kafka does not answer: such requests are to be left out", answers)
	case answers[0] != answers[1]:
		w.differ("answers", answers)
	default:
		w.log = append(w.log, "both answer "+fmt.Sprintf("%.600s", answers[0]))
		w.settle()
	}
}

// settle waits until the topics are the same for both brokers, and fails the test if they do not become so.
func (w *requestWalk) settle() {
	var states [2]string
	for deadline := time.Now().Add(walkPatience); ; time.Sleep(5 * time.Millisecond) {
		calm := true
		for i, s := range w.sides {
			var quiet bool
			states[i], quiet = s.state()
			calm = calm && quiet
		}
		if calm && states[0] == states[1] {
			return
		}
		if time.Now().After(deadline) {
			w.differ("topics", states)
			return
		}
	}
}

func (w *requestWalk) differ(what string, sides [2]string) {
	w.differences++
	w.over = true
	a, b := apart(sides[0], sides[1])
	slices.Reverse(w.log)
	w.t.Errorf("%s:\n\t%s: %s\n\t%s: %s\n\t%s", what, w.sides[0].name, a, w.sides[1].name, b, strings.Join(w.log, "\n\t"))
}

// apart cuts off what is the same at the beginning of two long texts.
func apart(a, b string) (string, string) {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	n = max(0, n-150)
	return fmt.Sprintf("%.1200s", a[n:]), fmt.Sprintf("%.1200s", b[n:])
}
