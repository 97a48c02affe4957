package verifier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/broker/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// coordinator is a broker that coordinates, at the other end of pipes.
type coordinator struct {
	t          *testing.T
	maxVersion int16
	// answer fills in the response; false closes the connection.
	answer func(req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) bool
	hold   chan struct{} // not nil: every answer takes one from it

	wg       sync.WaitGroup
	mu       sync.Mutex
	dials    int
	requests []*kmsg.AddPartitionsToTxnRequest
	conns    []net.Conn
}

func newVerifier(t *testing.T, c *coordinator) *Verifier {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := interbroker.Dialer{ClientID: "AddPartitionsManager", Timeout: 30 * time.Second, Net: c.dial}
	v, err := New(Options{
		Coordinator: func(id string) (int32, bool) { return 7, id != "nobody's" },
		Address:     func(broker int32) (string, bool) { return fmt.Sprintf("broker-%d:9092", broker), true },
		Dial:        d.Dial, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (c *coordinator) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dials++; c.maxVersion < 0 {
		return nil, errors.New("connection refused")
	}
	c.conns = append(c.conns, theirs)
	c.wg.Go(func() { c.serve(theirs) })
	return ours, nil
}

func (c *coordinator) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(conn, frame); err != nil {
			return
		}
		h, body, err := wire.ParseHeader(frame)
		if err != nil {
			c.t.Error(err)
			return
		}
		out := c.respond(&h, body)
		if out == nil {
			return
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(4+len(out)))
		if _, err := conn.Write(append(binary.BigEndian.AppendUint32(head, uint32(h.CorrelationID)), out...)); err != nil {
			return
		}
	}
}

func (c *coordinator) respond(h *wire.Header, body []byte) []byte {
	if h.Key == wire.KeyApiVersions {
		resp := kmsg.NewPtrApiVersionsResponse()
		resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{{ApiKey: int16(kmsg.AddPartitionsToTxn), MaxVersion: c.maxVersion}}
		return resp.AppendTo(nil)
	}
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	if err := wire.DecodeBody(req, h.Key, h.Version, body); err != nil {
		c.t.Error(err)
		return nil
	}
	c.mu.Lock()
	c.requests = append(c.requests, req)
	c.mu.Unlock()
	if c.hold != nil {
		<-c.hold
	}
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	if !c.answer(req, resp) {
		return nil
	}
	return resp.AppendTo([]byte{0}) // no tags in the header
}

// agree answers code for every partition.
func agree(code int16) func(*kmsg.AddPartitionsToTxnRequest, *kmsg.AddPartitionsToTxnResponse) bool {
	return func(req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) bool {
		for _, in := range req.Transactions {
			t := kmsg.NewAddPartitionsToTxnResponseTransaction()
			t.TransactionalID = in.TransactionalID
			for _, it := range in.Topics {
				ot := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
				ot.Topic = it.Topic
				for _, p := range it.Partitions {
					op := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
					op.Partition, op.ErrorCode = p, code
					ot.Partitions = append(ot.Partitions, op)
				}
				t.Topics = append(t.Topics, ot)
			}
			resp.Transactions = append(resp.Transactions, t)
		}
		return true
	}
}

func about(id string, epoch int16, partitions ...topic.Partition) Question {
	if partitions == nil {
		partitions = []topic.Partition{{Topic: "t"}}
	}
	return Question{TransactionalID: id, ProducerID: 9, Epoch: epoch, Partitions: partitions}
}

// TestAnswers: what the coordinator says, or why it says nothing.
func TestAnswers(t *testing.T) {
	tests := []struct {
		name       string
		id         string
		maxVersion int16
		answer     func(*kmsg.AddPartitionsToTxnRequest, *kmsg.AddPartitionsToTxnResponse) bool
		want       int16
	}{
		{"in the transaction", "tx", 5, agree(0), 0},
		{"version 4", "tx", 4, agree(0), 0},
		{"a version that is not known yet", "tx", 9, agree(0), 0},
		{"not in the transaction", "tx", 5, agree(120), 120},
		{"fenced", "tx", 5, agree(90), 47},
		{"another producer id", "tx", 5, agree(49), 49},
		{"a broker that cannot verify", "tx", 3, agree(120), 0},
		{"no coordinator", "nobody's", 5, agree(0), 15},
		{"no connection", "tx", -1, agree(0), 13},
		{"closed without an answer", "tx", 5, func(*kmsg.AddPartitionsToTxnRequest, *kmsg.AddPartitionsToTxnResponse) bool { return false }, 13},
		{"not authorized", "tx", 5, func(_ *kmsg.AddPartitionsToTxnRequest, r *kmsg.AddPartitionsToTxnResponse) bool {
			r.ErrorCode = 31
			return true
		}, 48},
		{"another error of the whole", "tx", 5, func(_ *kmsg.AddPartitionsToTxnRequest, r *kmsg.AddPartitionsToTxnResponse) bool {
			r.ErrorCode = 16
			return true
		}, 16},
		{"left out", "tx", 5, func(*kmsg.AddPartitionsToTxnRequest, *kmsg.AddPartitionsToTxnResponse) bool { return true }, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &coordinator{t: t, maxVersion: tt.maxVersion, answer: tt.answer}
			v := newVerifier(t, c)
			partitions := []topic.Partition{{Topic: "t", Index: 3}, {Topic: "u"}, {Topic: "t", Index: 1}}
			got := v.Verify(about(tt.id, 2, partitions...))
			if !slices.Equal(got, slices.Repeat([]int16{tt.want}, 3)) {
				t.Errorf("codes %v, want %d", got, tt.want)
			}
			v.Close()
			c.wg.Wait()
			for _, req := range c.requests {
				if req.Version != min(tt.maxVersion, 5) || len(req.Transactions) != 1 || !req.Transactions[0].VerifyOnly ||
					req.Transactions[0].ProducerID != 9 || req.Transactions[0].ProducerEpoch != 2 {
					t.Errorf("asked in version %d: %+v", req.Version, req.Transactions)
				}
			}
		})
	}
}

// TestBatching: what is asked while a request is under way goes with the next one, once for each transactional id.
func TestBatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{t: t, maxVersion: 5, answer: agree(0), hold: make(chan struct{}, 9)}
		v := newVerifier(t, c)
		answers := []<-chan []int16{v.ask(about("a", 0))}
		synctest.Wait()
		answers = append(answers, v.ask(about("a", 0)), v.ask(about("b", 0)), v.ask(about("a", 0, topic.Partition{Topic: "u"})), v.ask(about("c", 0)))
		fenced := v.ask(about("d", 3))
		answers = append(answers, v.ask(about("d", 4)))
		if got := <-fenced; got[0] != 47 {
			t.Errorf("a lower epoch that waits: %v, want 47", got)
		}
		if got := v.Verify(about("d", 1)); got[0] != 47 {
			t.Errorf("a lower epoch: %v, want 47", got)
		}
		for range 3 {
			c.hold <- struct{}{}
		}
		for i, a := range answers {
			if got := <-a; got[0] != 0 {
				t.Errorf("question %d: %v", i, got)
			}
		}
		synctest.Wait()
		var sizes []int
		for _, req := range c.requests {
			sizes = append(sizes, len(req.Transactions))
		}
		if !slices.Equal(sizes, []int{1, 4, 1}) || c.dials != 1 {
			t.Errorf("requests of %v transactions on %d connections, want 1, 4 and 1 on one", sizes, c.dials)
		}
		v.Close()
		c.wg.Wait()
	})
}

// TestIdleConnectionThatWasClosed is opened anew without anybody noticing.
func TestIdleConnectionThatWasClosed(t *testing.T) {
	c := &coordinator{t: t, maxVersion: 5, answer: agree(0)}
	v := newVerifier(t, c)
	for range 3 {
		if got := v.Verify(about("tx", 0)); got[0] != 0 {
			t.Fatalf("codes %v, want 0", got)
		}
		c.mu.Lock()
		c.conns[len(c.conns)-1].Close()
		c.mu.Unlock()
	}
	v.Close()
	c.wg.Wait()
}

// TestUnusedConnectionIsClosed after a while, and all that there was for its broker ends; the next question finds it again.
func TestUnusedConnectionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &coordinator{t: t, maxVersion: 5, answer: agree(0)}
		v := newVerifier(t, c)
		for _, tt := range []struct {
			pause time.Duration // before the question
			dials int
		}{{0, 1}, {maxIdle - time.Second, 1}, {maxIdle - time.Second, 1}, {maxIdle + time.Second, 2}} {
			time.Sleep(tt.pause)
			if got := v.Verify(about("tx", 0)); got[0] != 0 || c.dials != tt.dials {
				t.Errorf("after %v: %v, on connection %d, want %d", tt.pause, got, c.dials, tt.dials)
			}
		}
		time.Sleep(maxIdle + time.Second)
		c.wg.Wait() // all connections are closed
		if n := len(v.mu.peers); n != 0 {
			t.Errorf("%d brokers are remembered", n)
		}
		v.Close()
	})
}

// TestClose answers who waits, and who comes later.
func TestClose(t *testing.T) {
	c := &coordinator{t: t, maxVersion: 5, answer: agree(0), hold: make(chan struct{}, 1)}
	v := newVerifier(t, c)
	first, second := v.ask(about("a", 0)), v.ask(about("b", 0))
	v.Close()
	for _, a := range []<-chan []int16{first, second, v.ask(about("c", 0))} {
		if got := <-a; got[0] != 13 {
			t.Errorf("codes %v, want NETWORK_EXCEPTION", got)
		}
	}
	c.hold <- struct{}{}
	c.wg.Wait()
}
