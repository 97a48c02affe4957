package conformance

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

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
			if controls(mutant[4:]) == controls(original[4:]) && !growsMuch(mutant[4:]) {
				inputs = append(inputs, mutant)
			}
		}
	}
	return inputs
}

// growsMuch reports whether the content of a frame asks for hundreds of thousands of partitions, which takes memory
// and is no mistake.
func growsMuch(content []byte) bool {
	r := kmsg.NewPtrCreatePartitionsRequest()
	if content[1] != byte(kmsg.CreatePartitions) || int16(content[3]) > r.MaxVersion() {
		return false
	}
	r.SetVersion(int16(content[3]))
	body := content[len(header(0, 0, 0, clientID)):]
	if r.IsFlexible() {
		body = body[1:]
	}
	return r.ReadFrom(body) == nil && slices.ContainsFunc(r.Topics, func(t kmsg.CreatePartitionsRequestTopic) bool { return t.Count > 100_000 })
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
	for want, req := range map[string]kmsg.Request{
		"create": withVersion(createTopics(topicOf("many", sized(100_000, 1))), 7),
		"grow":   withVersion(createPartitions(theTopic, 100_000), 3),
	} {
		const code = 37
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
// once the client has nothing more to say, except where it was asked to wait.
func (v *victim) sendAll(t testing.TB, inputs [][]byte) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []*conn // without an answer so far
	next := 0
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
				if c := v.sendOne(t, inputs[i]); c != nil {
					mu.Lock()
					open = append(open, c)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	defer func() { closeAll(open) }()
	silent := len(open)
	eventually(func() bool { // a broker on a busy machine catches up
		silent = 0
		for _, c := range open {
			if c.isSilent(time.Millisecond) {
				silent++
			}
		}
		return silent <= len(inputs)/50
	})
	t.Logf("%d of %d inputs had neither an answer nor an end", silent, len(inputs))
	if silent > len(inputs)/50 {
		t.Errorf("%d of %d inputs had neither an answer nor an end", silent, len(inputs))
	}
}

// sendOne returns the connection, if the input is not answered soon and the connection not ended.
func (v *victim) sendOne(t testing.TB, input []byte) *conn {
	c, err := tryDial(v.addr)
	if err != nil {
		t.Errorf("the broker takes no connections any more: %v", err)
		return nil
	}
	tcp := c.Conn.(*net.TCPConn)
	tcp.SetLinger(0) // what the broker still has to say is not waited for
	if err := c.send(input); err == nil {
		tcp.CloseWrite()
		if c.isSilent(time.Second) {
			return c
		}
	}
	c.Close()
	return nil
}

// isSilent reports whether neither an answer nor the end of the connection comes within a time, or came before.
func (c *conn) isSilent(within time.Duration) bool {
	if c.heard {
		return false
	}
	c.SetReadDeadline(time.Now().Add(within))
	var b [4096]byte
	_, err := c.Read(b[:])
	timeout, ok := errors.AsType[net.Error](err)
	c.heard = err == nil || !ok || !timeout.Timeout()
	return !c.heard
}
