// Package verifier asks the coordinators of transactions whether partitions belong to a transaction that is
// open (KIP-890, Kafka's AddPartitionsToTxnManager).
//
// Without that question, records that arrive late, after their transaction was ended, would begin one that no
// coordinator knows of and nobody ends: the last stable offset would stand still for ever. So the first records
// of a transaction in a partition are written only after the coordinator has said that the partition belongs to
// it: an AddPartitionsToTxn request of version 4 or 5 with VerifyOnly.
//
// There is one request under way to each broker that coordinates; what is asked meanwhile goes with the next
// one, at most once for each transactional id, which the request keys its transactions by. A goroutine for each such
// broker sends and owns the connection. Both end when nothing was asked for a while, so that no connection is kept that
// the broker has closed, nor to a broker that is gone.
//
// Who asks waits for the answer: what becomes of it takes nobody else's time.
//
// Lock order: Verifier.mu alone. Answers are given, and requests sent, without it.
package verifier

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
	"github.com/gregor-mq/gregor/broker/topic"
)

// Options configure a Verifier. All fields are required.
type Options struct {
	// Coordinator returns the broker that leads a transactional id's partition of __transaction_state;
	// false if there is none that is alive.
	Coordinator func(transactionalID string) (broker int32, ok bool)
	// Address returns where a broker listens for other brokers, if it is alive.
	Address func(broker int32) (string, bool)
	// Dial opens a connection, whose requests are bounded by request.timeout.ms.
	Dial   func(ctx context.Context, addr string) (*interbroker.Conn, error)
	Logger logrus.FieldLogger
}

// Verifier asks coordinators.
type Verifier struct {
	opts   Options
	ctx    context.Context // of what is sent; it ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		peers map[int32]*peer
	}
}

// maxIdle is how long a connection is kept for the next question: less than connections.max.idle.ms, after which the
// broker closes it.
const maxIdle = time.Minute

// peer is a broker that coordinates. It has a goroutine as long as it is in Verifier.mu.peers.
type peer struct {
	id    int32
	queue []*asked      // in the order in which they came; guarded by Verifier.mu
	wake  chan struct{} // holds one when something was queued

	conn    *interbroker.Conn // nil: none. This and what follows belongs to the goroutine.
	version int16             // of AddPartitionsToTxn that the broker at conn knows
}

// Question is about a producer's transaction.
type Question struct {
	TransactionalID string
	ProducerID      int64
	Epoch           int16
	Partitions      []topic.Partition // that must belong to it
}

type asked struct {
	Question
	answer chan []int16 // has room for the one answer
}

// New returns a Verifier that is not connected to anybody.
func New(opts Options) (*Verifier, error) {
	if opts.Coordinator == nil || opts.Address == nil || opts.Dial == nil || opts.Logger == nil {
		return nil, errors.New("verifier: Options is incomplete")
	}
	v := &Verifier{opts: opts}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	v.mu.peers = map[int32]*peer{}
	return v, nil
}

// Close answers what is being asked with NETWORK_EXCEPTION, as it does what is asked later.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.cancel()
	v.mu.Unlock()
	v.wg.Wait()
}

// Verify asks q and waits for the answer: a code for each of q.Partitions, 0 if it belongs to the transaction, else what
// its coordinator said, or why that could not be found out: COORDINATOR_NOT_AVAILABLE, NETWORK_EXCEPTION. An epoch that
// is fenced is INVALID_PRODUCER_EPOCH, as producers expect it of a partition's leader. A coordinator that does not know
// such questions is taken to have agreed. What Dial bounds is waited for: the requests before, a connection, the answer.
//
// Of two questions about a transactional id that wait at the same time, the one with the lower epoch is fenced.
// Two of one epoch are both asked; Kafka answers the first of them with NETWORK_EXCEPTION.
func (v *Verifier) Verify(q Question) []int16 { return <-v.ask(q) }

// ask returns where the answer to q will be.
func (v *Verifier) ask(q Question) <-chan []int16 {
	a := &asked{q, make(chan []int16, 1)}
	id, ok := v.opts.Coordinator(q.TransactionalID)
	if !ok {
		a.repeat(kerr.CoordinatorNotAvailable.Code)
		return a.answer
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ctx.Err() != nil {
		a.repeat(kerr.NetworkException.Code)
		return a.answer
	}
	p := v.mu.peers[id]
	if p == nil {
		p = &peer{id: id, wake: make(chan struct{}, 1)}
		v.mu.peers[id] = p
		v.wg.Go(func() { v.serve(p) })
	}
	p.queueLocked(a)
	return a.answer
}

// queueLocked queues a, or whichever has the lower epoch of it and what waits of its transactional id is fenced. It
// requires Verifier.mu.
func (p *peer) queueLocked(a *asked) {
	for _, waiting := range p.queue {
		if waiting.TransactionalID == a.TransactionalID && waiting.Epoch > a.Epoch {
			a.repeat(kerr.InvalidProducerEpoch.Code)
			return
		}
	}
	p.queue = slices.DeleteFunc(p.queue, func(waiting *asked) bool {
		fenced := waiting.TransactionalID == a.TransactionalID && waiting.Epoch < a.Epoch
		if fenced {
			waiting.repeat(kerr.InvalidProducerEpoch.Code)
		}
		return fenced
	})
	p.queue = append(p.queue, a)
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take takes from the queue what goes into the next request; nothing is left if that is nothing.
func (v *Verifier) take(p *peer) (batch []*asked) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var left []*asked
	taken := map[string]bool{}
	for _, a := range p.queue {
		if taken[a.TransactionalID] {
			left = append(left, a)
			continue
		}
		taken[a.TransactionalID] = true
		batch = append(batch, a)
	}
	p.queue = left
	return batch
}

// serve is the peer's goroutine.
func (v *Verifier) serve(p *peer) {
	defer p.hangUp()
	idle := time.NewTimer(maxIdle)
	defer idle.Stop()
	for {
		select {
		case <-p.wake:
			v.send(p)
			idle.Reset(maxIdle)
		case <-idle.C:
			if v.retire(p) {
				return
			}
		case <-v.ctx.Done():
			v.send(p) // which fails
			return
		}
	}
}

// retire ends p, unless it has been asked something just now.
func (v *Verifier) retire(p *peer) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(p.queue) > 0 {
		return false
	}
	delete(v.mu.peers, p.id)
	return true
}

// send sends what is queued until nothing is.
func (v *Verifier) send(p *peer) {
	for batch := v.take(p); len(batch) > 0; batch = v.take(p) {
		resp, err := v.exchange(p, request(batch))
		if err != nil && v.ctx.Err() == nil {
			v.opts.Logger.WithField("coordinator", p.id).WithError(err).Warn("cannot verify transactions with their coordinator")
		}
		answer(batch, resp, err)
	}
}

func request(batch []*asked) *kmsg.AddPartitionsToTxnRequest {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	for _, a := range batch {
		t := kmsg.NewAddPartitionsToTxnRequestTransaction()
		t.TransactionalID, t.ProducerID, t.ProducerEpoch, t.VerifyOnly = a.TransactionalID, a.ProducerID, a.Epoch, true
		at := map[string]int{}
		for _, p := range a.Partitions {
			i, ok := at[p.Topic]
			if !ok {
				i = len(t.Topics)
				at[p.Topic] = i
				part := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
				part.Topic = p.Topic
				t.Topics = append(t.Topics, part)
			}
			t.Topics[i].Partitions = append(t.Topics[i].Partitions, p.Index)
		}
		req.Transactions = append(req.Transactions, t)
	}
	return req
}

// repeat answers the same code for all partitions.
func (a *asked) repeat(code int16) { a.answer <- slices.Repeat([]int16{code}, len(a.Partitions)) }
