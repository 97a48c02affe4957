package integration

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// ensembleProps leave brokers the time to connect again, on a slow machine too, once there is a quorum, from when on their sessions go on.
var ensembleProps = cluster.Props{"zookeeper.session.timeout.ms": "10000"}

// away is how long ZooKeeper has no quorum; at least longer than the brokers' session timeout.
var away = flag.Duration("away", 15*time.Second, "how long ZooKeeper has no quorum in TestZooKeeperAway")

// The lines with which a broker says that ZooKeeper is gone, and that it is back.
const (
	goneLine = "lost the connection to ZooKeeper"
	backLine = "connected to ZooKeeper again"
)

// traffic produces to a topic, one record after the other, and consumes it, until it is stopped.
type traffic struct {
	stop func()

	mu      sync.Mutex
	acked   int
	read    int
	slowest time.Duration // of a produce
	errs    []error
}

func startTraffic(c *cluster.Cluster, topic string) *traffic {
	tr := &traffic{}
	producer := c.Client(kgo.DefaultProduceTopic(topic), everywhere)
	consumer := c.Client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	tr.stop = func() { cancel(); wg.Wait() }
	wg.Go(func() {
		for ctx.Err() == nil {
			begun := time.Now()
			err := producer.ProduceSync(context.Background(), kgo.StringRecord("v")).FirstErr()
			tr.mu.Lock()
			tr.acked++
			tr.slowest = max(tr.slowest, time.Since(begun))
			if err != nil {
				tr.errs = append(tr.errs, err)
			}
			tr.mu.Unlock()
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	wg.Go(func() {
		for ctx.Err() == nil {
			n := consumer.PollFetches(ctx).NumRecords()
			tr.mu.Lock()
			tr.read += n
			tr.mu.Unlock()
		}
	})
	return tr
}

func (tr *traffic) counts() (acked, read int, slowest time.Duration) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.acked, tr.read, tr.slowest
}

// requireFlow fails unless records are produced and consumed from now on.
func (tr *traffic) requireFlow(t *testing.T, c *cluster.Cluster, when string) {
	t.Helper()
	acked, read, _ := tr.counts()
	c.Await("records produced and consumed "+when, func() bool {
		a, r, _ := tr.counts()
		return a > acked+50 && r > read+50
	})
}

// moreThreads is how many more a broker may have after a while: its work takes as many as there are processors, some of which may
// not have been used before, and a few that wait for files.
var moreThreads = 20 + runtime.NumCPU()

// size is what a broker's process holds.
type size struct{ files, threads, kilobytes int }

func sizeOf(t *testing.T, b *cluster.Broker) size {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.PID()))
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.PID()))
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) int {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":"))
		fields := strings.Fields(string(rest))
		n, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return size{len(files), value("Threads"), value("VmRSS")}
}

// before is what must be the same after ZooKeeper was away.
type before struct {
	pids, epochs []int64
	states       []string
	controller   int32
}

func stateOf(c *cluster.Cluster, topic string, partitions int32) before {
	b := before{controller: c.Controller()}
	for _, broker := range c.Brokers() {
		b.pids = append(b.pids, int64(broker.PID()))
		b.epochs = append(b.epochs, c.Epoch(broker.ID()))
	}
	for p := range partitions {
		b.states = append(b.states, fmt.Sprint(c.Leader(topic, p), c.ISR(topic, p)))
	}
	return b
}

func (b before) String() string {
	return fmt.Sprintf("controller %d, processes %v, registrations %v, leaders and ISRs %v", b.controller, b.pids, b.epochs, b.states)
}

// TestZooKeeperAway: without a quorum of ZooKeeper for longer than the sessions' timeout, brokers go on with
// the ISRs as they are, say so once, and are what they were when it is back.
func TestZooKeeperAway(t *testing.T) {
	c := cluster.StartEnsemble(t, 3, 3, ensembleProps)
	c.CreateTopic("orders", 3, 3, replicated)
	tr := startTraffic(c, "orders")
	defer tr.stop()
	tr.requireFlow(t, c, "before")
	awaitISR(c, "orders", 3, 3)
	was := stateOf(c, "orders", 3)
	c.ZooKeepers()[0].Kill() // brokers that were connected to it take another one
	tr.requireFlow(t, c, "with two servers of three")
	var logged [3]int64
	var grown [3]size
	for i, b := range c.Brokers() {
		logged[i], grown[i] = b.LogSize(), sizeOf(t, b)
	}
	c.ZooKeepers()[1].Kill()
	for end := time.Now().Add(*away); time.Now().Before(end); {
		tr.requireFlow(t, c, "without ZooKeeper")
	}
	for i, b := range c.Brokers() {
		now := sizeOf(t, b)
		if now.files > grown[i].files+10 || now.threads > grown[i].threads+moreThreads || now.kilobytes > grown[i].kilobytes+64<<10 {
			t.Errorf("broker %d grew from %+v to %+v while ZooKeeper was away", b.ID(), grown[i], now)
		}
	}
	for _, z := range c.ZooKeepers()[:2] {
		if err := z.Launch(); err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range c.Brokers() {
		c.Await(fmt.Sprintf("line of broker %d that ZooKeeper is back", b.ID()), func() bool {
			return strings.Contains(b.LogSince(logged[i]), backLine)
		})
	}
	// What the brokers do now, they do with ZooKeeper.
	c.CreateTopic("later", 3, 3, replicated)
	if acked := c.Produce("later", 10); len(acked) != 10 {
		t.Errorf("%d of 10 records were acknowledged after ZooKeeper was back", len(acked))
	}
	tr.requireFlow(t, c, "after")
	if is := stateOf(c, "orders", 3); is.String() != was.String() {
		t.Errorf("before: %v\nafter: %v", was, is)
	}
	for i, b := range c.Brokers() {
		// The one server that is left may take a broker in before it knows that the others are gone.
		requireReconnected(t, c, b, logged[i], 2)
		log := b.LogSince(logged[i])
		if noise := warnings(log); len(noise) > 3 {
			t.Errorf("broker %d logs more than it has to:\n%s", b.ID(), strings.Join(noise, "\n"))
		}
	}
	tr.stop()
	if _, _, slowest := tr.counts(); slowest > 10*time.Second || len(tr.errs) > 0 {
		t.Errorf("a producer waited %v, errors %v", slowest, tr.errs)
	}
	requireIdentical(t, c, "orders", 3)
	for _, b := range c.Brokers() {
		if n := goroutines(t, b); n < 10 || n > goroutinesMax {
			t.Errorf("broker %d has %d goroutines", b.ID(), n)
		}
	}
}

// requireReconnected waits until a broker is connected to ZooKeeper, and requires that since its log had a size it has said so
// each time that it was not, up to most times.
func requireReconnected(t *testing.T, c *cluster.Cluster, b *cluster.Broker, logged int64, most int) {
	t.Helper()
	var gone, back int
	defer func() {
		if gone < 1 || gone > most || back != gone {
			t.Errorf("broker %d says %d times that ZooKeeper is gone and %d times that it is back", b.ID(), gone, back)
		}
	}()
	c.Await(fmt.Sprintf("connection of broker %d to ZooKeeper", b.ID()), func() bool {
		log := b.LogSince(logged)
		gone, back = strings.Count(log, goneLine), strings.Count(log, backLine)
		return back == gone
	})
}

// goroutinesMax is more than a broker with this test's partitions and connections has: about 40.
const goroutinesMax = 150

// goroutines ends a broker by SIGQUIT, upon which the runtime logs all goroutines, and counts them.
func goroutines(t *testing.T, b *cluster.Broker) int {
	t.Helper()
	exited, logged := b.Exited(), b.LogSize()
	if err := syscall.Kill(b.PID(), syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-exited:
	case <-time.After(patience):
		t.Fatalf("broker %d does not end by SIGQUIT", b.ID())
	}
	return strings.Count(b.LogSince(logged), "\ngoroutine ")
}

// warnings returns the lines of a log that somebody should look at.
func warnings(log string) []string {
	return slices.DeleteFunc(strings.Split(log, "\n"), func(line string) bool {
		return !strings.Contains(line, " WARN ") && !strings.Contains(line, " ERROR ")
	})
}

// TestZooKeeperServersRestartedInTurn: the brokers move from one server to the other, with their sessions.
func TestZooKeeperServersRestartedInTurn(t *testing.T) {
	c := cluster.StartEnsemble(t, 3, 3, ensembleProps)
	c.CreateTopic("orders", 3, 3, replicated)
	tr := startTraffic(c, "orders")
	defer tr.stop()
	tr.requireFlow(t, c, "before")
	awaitISR(c, "orders", 3, 3)
	was := stateOf(c, "orders", 3)
	for i, z := range c.ZooKeepers() {
		z.Stop()
		tr.requireFlow(t, c, "without a server")
		z.Start(t)
		// It is needed from now on: the next one to go leaves no more than a quorum.
		c.CreateTopic(fmt.Sprintf("after-%d", i), 3, 3, nil)
	}
	if is := stateOf(c, "orders", 3); is.String() != was.String() {
		t.Errorf("before: %v\nafter: %v", was, is)
	}
	for _, b := range c.Brokers() {
		requireReconnected(t, c, b, 0, 2*len(c.ZooKeepers()))
	}
	tr.stop()
	requireIdentical(t, c, "orders", 3)
}
