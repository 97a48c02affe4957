package conformance

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/seed"
)

var campaignTime = flag.Duration("campaign", 6*time.Second, "how long TestCampaign sends requests to each of its clusters")

// TestCampaign lets several clients at once send whatever a broker can parse, and some of what it cannot, to a broker that
// others work with meanwhile: requests of every API that is built, those of controllers and brokers included, with odd
// contents, damaged, in pipelines, cut off in the middle. What the others do must not suffer:
//
//	GREGOR_RACE=1 go test -run TestCampaign ./integration/conformance -campaign 10m -seed 7
//
// The campaign names neither the topic nor the group of the others, nor changes what they live by: who leads the cluster,
// and where its brokers are. (A broker believes who says that it is the controller, as Kafka's does.)
func TestCampaign(t *testing.T) {
	for _, brokers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d brokers", brokers), func(t *testing.T) {
			t.Parallel()
			runCampaign(t, brokers)
		})
	}
}

func runCampaign(t *testing.T, brokers int) {
	from := seed.Of(t)
	rf := fmt.Sprint(brokers)
	c := cluster.Start(t, brokers, with(longSession, cluster.Props{
		"auto.create.topics.enable": "false", "log.retention.check.interval.ms": "3600000",
		"offsets.topic.num.partitions": "2", "offsets.topic.replication.factor": rf, "min.insync.replicas": "1",
	}))
	target := c.Broker(int32(brokers))
	w := newBystanders(t, c, int16(brokers))
	w.await(100)
	before := usageOf(t, target)
	m := &campaign{t: t, c: c, target: target, counts: map[string]int{}}
	end := time.Now().Add(*campaignTime)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { m.attack(rand.New(rand.NewPCG(from, uint64(i))), end) })
	}
	wg.Wait()
	w.await(100)
	m.report(before)
	w.stop()
	m.unharmed(before)
	w.check()
	c.Restart(target.ID())
	w.check()
	c.Kill(target.ID())
	c.Restart(target.ID())
	w.check()
	m.askTools()
	c.Stop(target.ID())
	m.checkLogs()
}

// longest is how long a list in a request may be.
const longest = 3000

// campaign sends odd requests to one broker.
type campaign struct {
	t      *testing.T
	c      *cluster.Cluster
	target *cluster.Broker
	mu     sync.Mutex
	counts map[string]int // requests by API
	sent   int
}

// attack is one client of the campaign.
func (m *campaign) attack(rng *rand.Rand, end time.Time) {
	a := &arbitrary{rng: rng, odd: 8, many: longest, known: m.known()}
	var apis []api
	for _, v := range readAPIs(m.t) {
		if slices.Contains(builtAPIs, v.name) {
			apis = append(apis, v)
		}
	}
	for time.Now().Before(end) && !m.t.Failed() {
		c, err := tryDial(m.target.Addr())
		if err != nil {
			m.t.Errorf("the broker takes no connections any more: %v", err)
			return
		}
		m.converse(a, c, apis)
		c.Close()
	}
}

// known are the campaign's own topics and groups, and the brokers as they are.
func (m *campaign) known() known {
	k := known{groups: []string{"odd-group", "odder-group"}, dirs: []string{m.target.DataDir(), "/nowhere"}, controller: []int32{0, 1}}
	for i := range 12 {
		k.topics = append(k.topics, fmt.Sprintf("odd-%d", i))
	}
	k.topics = append(k.topics, "__transaction_state", "Odd.topic_1", "Odd_topic.1")
	for i := range 3 {
		k.ids = append(k.ids, logicalID(i))
	}
	for _, b := range m.c.Brokers() {
		k.brokers = append(k.brokers, b.ID())
		k.epochs = append(k.epochs, m.c.Epoch(b.ID()))
	}
	k.brokers, k.epochs = append(k.brokers, 77), append(k.epochs, -1)
	return k
}

// converse sends some requests on a connection, and reads some of the answers.
func (m *campaign) converse(a *arbitrary, c *conn, apis []api) {
	for range 1 + a.rng.IntN(30) {
		batch := 1
		if a.rarely(5) {
			batch = 1 + a.rng.IntN(20)
		}
		var frames []byte
		for range batch {
			of := oneOf(a, apis...)
			req := a.request(of.key, of.min+int16(a.rng.IntN(int(of.max-of.min)+1)))
			m.spare(a, req)
			if r, ok := req.(*kmsg.StopReplicaRequest); ok {
				req = kafkaStopReplica{r}
			}
			f := encode(req, int32(a.rng.Uint32()))
			if a.rarely(6) {
				f = m.damaged(a, f)
			}
			frames = append(frames, f...)
			m.count(of.name)
		}
		if a.rarely(30) { // gone in the middle
			c.send(frames[:a.rng.IntN(len(frames))])
			return
		}
		if c.SetDeadline(time.Now().Add(time.Second)); c.send(frames) != nil {
			return
		}
		if a.rarely(10) {
			return
		}
		c.SetDeadline(time.Now().Add(200 * time.Millisecond))
		for range batch {
			if _, err := c.readFrame(); err != nil {
				return
			}
		}
	}
}

// damaged returns a frame with a few wrong bytes, or as it is where these might be believed.
func (m *campaign) damaged(a *arbitrary, frame []byte) []byte {
	wrong := slices.Clone(frame)
	for range 1 + a.rng.IntN(4) {
		wrong[8+a.rng.IntN(len(wrong)-8)] = byte(a.rng.Uint32()) // key and version stay
	}
	key := wrong[5]
	if controls(wrong[4:]) || growsMuch(wrong[4:]) || key == byte(kmsg.CreateTopics) || key == byte(kmsg.ControlledShutdown) {
		return frame
	}
	return wrong
}

func (m *campaign) count(api string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[api]++
	m.sent++
}

// report says what was sent, and what the broker has logged about it.
func (m *campaign) report(before usage) {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m.counts)) {
		list = append(list, fmt.Sprintf("%s %d", name, m.counts[name]))
	}
	m.t.Logf("%d requests: %s", m.sent, strings.Join(list, ", "))
	m.t.Logf("before: %v; now: %v", before, usageOf(m.t, m.target))
}
