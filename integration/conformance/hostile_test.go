package conformance

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/cluster"
)

// closeLines bounds the lines about closed connections: there are 20 in 10 seconds for each listener.
const closeLines = 200

// victim is a single whose usage was measured after it had done every kind of ordinary work.
type victim struct {
	*single
	broker *cluster.Broker
	before usage
}

func newVictim(t *testing.T, props cluster.Props) *victim {
	t.Helper()
	s := newSingle(t, props)
	v := &victim{single: s, broker: s.c.Broker(1)}
	for range 200 {
		v.serves()
	}
	v.before = usageOf(t, v.broker)
	return v
}

// unharmed fails the test unless the broker serves and has not grown.
func (v *victim) unharmed(t testing.TB, lines int) {
	t.Helper()
	v.serves()
	requireNoGrowth(t, v.broker, v.before, lines)
}

// dialAll opens n connections and sees that they are accepted, fewer at a time than wait for that
// (socket.listen.backlog.size: 50).
func dialAll(t testing.TB, addr string, n int) []*conn {
	t.Helper()
	conns := make([]*conn, n)
	var wg sync.WaitGroup
	const at = 16
	for i := range at {
		wg.Go(func() {
			for j := i; j < n; j += at {
				c, err := tryDial(addr)
				if err == nil {
					conns[j] = c
					err = c.ping()
				}
				if err != nil {
					t.Errorf("connection %d of %d: %v", j, n, err)
					return
				}
			}
		})
	}
	t.Cleanup(func() { closeAll(conns) })
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// idleConnections is how many are opened where the limit of open files allows it.
const idleConnections = 5000

// TestIdleConnections opens thousands of connections and leaves them alone.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	n := idleConnections
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		n = min(n, int(limit.Cur)-1000) // the broker has the same limit
	}
	conns := dialAll(t, v.addr, n)
	v.serves()
	open := usageOf(t, v.broker)
	each := (open.resident - v.before.resident) / int64(n)
	t.Logf("%d connections: %v, %d bytes each", n, open, each)
	if each > 24<<10 {
		t.Errorf("an idle connection takes %d bytes", each)
	}
	if open.threads > v.before.threads+20 {
		t.Errorf("%d threads, before %d", open.threads, v.before.threads)
	}
	closeAll(conns)
	// Memory of stacks goes back to the system at leisure.
	v.before.resident = max(v.before.resident, open.resident)
	v.unharmed(t, 10)
}

// TestAnnouncedBytes announces much and sends little of it.
func TestAnnouncedBytes(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	conns := dialAll(t, v.addr, 1000)
	for _, c := range conns {
		head := binary.BigEndian.AppendUint32(nil, 100<<20)
		if err := c.send(append(head, header(0, 9, 1, "liar")...)); err != nil {
			t.Fatal(err)
		}
	}
	v.serves()
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("1000 requests of 100 MiB that are not there yet take it from %v to %v", v.before, now)
	}
	closeAll(conns)
	v.unharmed(t, 10)
}

// TestSlowReaders asks for much and reads little.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	const batches, batchBytes = 24, 1_000_000
	v.create("large")
	for range batches {
		w := &world{t: t, c: v.c}
		w.produce("large", newBatch(func(b *batch) { b.value = make([]byte, batchBytes) }))
	}
	v.serves()
	v.before = usageOf(t, v.broker)
	v.before.files += 1 // the log of large

	conns := dialAll(t, v.addr, 100)
	req := fetch(part("large", 0))
	req.MaxBytes, req.Topics[0].Partitions[0].PartitionMaxBytes = 1<<30, 1<<30
	for i, c := range conns {
		if i > 0 {
			c.Conn.(*net.TCPConn).SetReadBuffer(4096)
		}
		if err := c.sendRequest(withVersion(req, 12)); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		v.serves()
	}
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("100 slow readers take it from %v to %v", v.before, now)
	}
	// One of them reads after all, a little at a time.
	read := 0
	for buf := make([]byte, 10_000); read < batches*batchBytes; {
		n, err := conns[0].Read(buf)
		if err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		read += n
	}
	closeAll(conns)
	v.unharmed(t, 10)
}

// TestUnreadAnswers sends requests with long answers and reads none, until the broker takes no more.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	conns := dialAll(t, v.addr, 20)
	request := encode(withVersion(describeConfigs(brokerResource, "1"), 4), 1)
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() {
			c.Conn.(*net.TCPConn).SetReadBuffer(4096)
			c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			for {
				if err := c.send(request); err != nil {
					return // the broker has stopped reading
				}
			}
		})
	}
	wg.Wait()
	v.serves()
	if now := usageOf(t, v.broker); now.resident > v.before.resident+growthBytes {
		t.Errorf("unread answers take it from %v to %v", v.before, now)
	}
	closeAll(conns)
	v.unharmed(t, 10)
}

// TestGarbage sends random bytes, and requests in which random bytes are wrong.
func TestGarbage(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	random := newRandom(t)
	var inputs [][]byte
	for range 1500 {
		content := make([]byte, random.IntN(200))
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		if len(content) > 4 && random.IntN(2) == 0 { // a key and a version that are served
			copy(content, []byte{0, byte(random.IntN(24)), 0, byte(random.IntN(8))})
		}
		if len(content) < 2 || !controls(content) {
			inputs = append(inputs, frame(content))
		}
	}
	inputs = append(inputs, mutants(random, v.requests(t, clientAPIs), 40)...)
	v.sendAll(t, inputs)
	v.unharmed(t, closeLines+len(inputs))
}

// TestGarbageFromController sends wrong requests of the kind that only controllers send. A broker
// believes them, so that it may refuse its controller afterwards; it must still be there.
func TestGarbageFromController(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	inputs := mutants(newRandom(t), v.requests(t, controllerAPIs), 150)
	inputs = append(inputs, absurd(v.requests(t, controllerAPIs))...)
	v.sendAll(t, inputs)
	if err := dial(t, v.addr).ping(); err != nil {
		t.Error(err)
	}
	requireNoGrowth(t, v.broker, v.before, closeLines+4*len(inputs))
}

func newRandom(t testing.TB) *rand.Rand {
	const seed = 20240917
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// mutants returns n copies of each request in which a few random bytes are wrong.
func mutants(random *rand.Rand, requests [][]byte, n int) [][]byte {
	var inputs [][]byte
	for _, original := range requests {
		for range n {
			mutant := slices.Clone(original)
			for range 1 + random.IntN(4) {
				mutant[4+random.IntN(len(mutant)-4)] = byte(random.Uint32())
			}
			if controls(mutant[4:]) == controls(original[4:]) {
				inputs = append(inputs, mutant)
			}
		}
	}
	return inputs
}

// The APIs that clients and controllers send.
var (
	controllerAPIs = []string{"LeaderAndIsr", "StopReplica", "UpdateMetadata"}
	clientAPIs     = slices.DeleteFunc(slices.Clone(builtAPIs), func(name string) bool { return slices.Contains(controllerAPIs, name) })
)

// controls reports whether the content of a frame is a request of a controller.
func controls(content []byte) bool {
	key := int16(binary.BigEndian.Uint16(content))
	return key >= 4 && key <= 6
}

// TestTruncated sends a minimal request of every API cut off after every byte, as a frame of that
// length, and as a part of the frame that it would be.
func TestTruncated(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	var inputs [][]byte
	for _, whole := range v.requests(t, builtAPIs) {
		for n := range len(whole) - 4 {
			inputs = append(inputs, frame(whole[4:4+n]), whole[:4+n])
		}
	}
	v.sendAll(t, inputs)
	v.unharmed(t, closeLines+len(inputs)/10)
}

// TestAbsurdLengths writes the largest and the smallest numbers over every place of a minimal request
// of every API that clients use.
func TestAbsurdLengths(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	inputs := absurd(v.requests(t, clientAPIs))
	v.sendAll(t, inputs)
	v.unharmed(t, closeLines+len(inputs))
}

// TestTooLargeForZooKeeper asks for topics whose znodes ZooKeeper would not take.
func TestTooLargeForZooKeeper(t *testing.T) {
	t.Parallel()
	v := newVictim(t, nil)
	list := "0:1" + strings.Repeat(",0:1", 400_000)
	for want, req := range map[string]kmsg.Request{
		"create": withVersion(createTopics(topicOf("many", sized(100_000, 1))), 7),
		"config": withVersion(createTopics(topicOf("wordy", configured("leader.replication.throttled.replicas", list))), 7),
		"grow":   withVersion(createPartitions(theTopic, 100_000), 3),
	} {
		code := map[string]int16{"create": 37, "config": 40, "grow": 37}[want]
		c := dial(t, v.addr)
		resp, err := c.ask(req)
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		if list := errorsIn(resp); len(list) != 1 || list[0].code != code || !strings.Contains(list[0].message, "jute.maxbuffer") {
			t.Errorf("%s: %v, want error %d", want, list, code)
		}
		v.serves()
	}
	v.before.resident += 64 << 20 // which was needed meanwhile, and is given back by and by
	v.unharmed(t, 40)
	v.afterwards(v.broker.PID())
}

// absurd returns the requests with extreme numbers in every place.
func absurd(requests [][]byte) [][]byte {
	numbers := [][]byte{
		{0x7f, 0xff, 0xff, 0xff}, {0x80, 0, 0, 0}, {0xff, 0xff, 0xff, 0xfe}, {0x00, 0x7f, 0xff, 0xff},
		{0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0x7f, 0xff}, {0x80, 0x00},
	}
	var inputs [][]byte
	for _, whole := range requests {
		for i := 8; i < len(whole); i++ { // key and version stay
			for _, number := range numbers {
				if i+len(number) <= len(whole) {
					input := slices.Clone(whole)
					copy(input[i:], number)
					inputs = append(inputs, input)
				}
			}
		}
	}
	return inputs
}

// requests returns minimal requests of the APIs, in the oldest, a middle and the newest version. Topics
// are only said to be created or to grow: ten thousand partitions are no mistake.
func (v *victim) requests(t testing.TB, names []string) [][]byte {
	t.Helper()
	var list [][]byte
	for _, a := range readAPIs(t) {
		if !slices.Contains(names, a.name) {
			continue
		}
		versions := []int16{a.min, a.max / 2, a.max}
		for _, version := range slices.Compact(versions) {
			req := v.minimal(a.name, version)
			switch r := req.(type) {
			case *kmsg.CreateTopicsRequest:
				if r.ValidateOnly = true; version == 0 {
					continue // which knows no such thing
				}
			case *kmsg.CreatePartitionsRequest:
				r.ValidateOnly = true
			}
			list = append(list, encode(req, 1))
		}
	}
	return list
}

// sendAll sends each input on a connection of its own. The broker must answer or close each of them
// soon once the client has nothing more to say, except where it was asked to wait.
func (v *victim) sendAll(t testing.TB, inputs [][]byte) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, silent := 0, 0
	for range 8 {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(inputs) || t.Failed() {
					return
				}
				if !v.sendOne(t, inputs[i]) {
					mu.Lock()
					silent++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d of %d inputs had neither an answer nor an end", silent, len(inputs))
	if silent > len(inputs)/50 {
		t.Errorf("%d of %d inputs had neither an answer nor an end", silent, len(inputs))
	}
}

// sendOne reports whether the input was answered or the connection ended.
func (v *victim) sendOne(t testing.TB, input []byte) bool {
	c, err := tryDial(v.addr)
	if err != nil {
		t.Errorf("the broker takes no connections any more: %v", err)
		return false
	}
	defer c.Close()
	tcp := c.Conn.(*net.TCPConn)
	tcp.SetLinger(0) // what the broker still has to say is not waited for
	c.SetDeadline(time.Now().Add(time.Second))
	if err := c.send(input); err != nil {
		return true
	}
	tcp.CloseWrite()
	var b [4096]byte
	_, err = c.Read(b[:])
	timeout, ok := errors.AsType[net.Error](err)
	return err == nil || errors.Is(err, io.EOF) || !ok || !timeout.Timeout()
}
