// Package verifier asks the coordinators of transactions whether partitions belong to a transaction that is
// open (KIP-890, Kafka's AddPartitionsToTxnManager).
//
// Without that question, records that arrive late, after their transaction was ended, would begin one that no
// coordinator knows of and nobody ends: the last stable offset would stand still for ever. So the first records
// of a transaction in a partition are written only after the coordinator has said that the partition belongs to
// it: an AddPartitionsToTxn request of version 4 or 5 with VerifyOnly.
//
// There is one request under way to each broker that coordinates; what is asked meanwhile goes with the next
// one, at most once for each transactional id, which the request keys its transactions by. A goroutine sends
// while there is something to send, and owns the broker's connection meanwhile.
//
// Lock order: Verifier.mu alone. Answers are given, and requests sent, without it.
package verifier

import (
	"context"
	"errors"
	"slices"
	"sync"

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

// peer is a broker that coordinates.
type peer struct {
	id      int32
	queue   []*asked // in the order in which they came; guarded by Verifier.mu
	sending bool     // a goroutine sends what is queued; guarded by Verifier.mu

	conn    *interbroker.Conn // nil: none. This and what follows belongs to that goroutine.
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
	done func(codes []int16)
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
	for _, p := range v.mu.peers {
		p.hangUp()
	}
}

// Verify asks q. done is called once, from any goroutine and perhaps before Verify returns, with a code for each of
// q.Partitions: 0 if it belongs to the transaction, else what its coordinator said, or why that could not be found
// out: COORDINATOR_NOT_AVAILABLE, NETWORK_EXCEPTION. An epoch that is fenced is INVALID_PRODUCER_EPOCH, as producers
// expect it of a partition's leader. A coordinator that does not know such questions is taken to have agreed.
//
// Of two questions about a transactional id that wait at the same time, the one with the lower epoch is fenced.
// Two of one epoch are both asked; Kafka answers the first of them with NETWORK_EXCEPTION.
func (v *Verifier) Verify(q Question, done func(codes []int16)) {
	id, ok := v.opts.Coordinator(q.TransactionalID)
	if !ok {
		done(repeat(kerr.CoordinatorNotAvailable.Code, &q))
		return
	}
	v.mu.Lock()
	if v.ctx.Err() != nil {
		v.mu.Unlock()
		done(repeat(kerr.NetworkException.Code, &q))
		return
	}
	p := v.mu.peers[id]
	if p == nil {
		p = &peer{id: id}
		v.mu.peers[id] = p
	}
	fenced := p.fenceLocked(&q)
	if fenced == nil || fenced[0].Epoch < q.Epoch {
		p.queue = append(p.queue, &asked{q, done})
	} else {
		fenced = []*asked{{q, done}}
	}
	if !p.sending && len(p.queue) > 0 {
		p.sending = true
		v.wg.Go(func() { v.send(p) })
	}
	v.mu.Unlock()
	for _, a := range fenced {
		a.done(repeat(kerr.InvalidProducerEpoch.Code, &a.Question))
	}
}

// fenceLocked takes what waits of q's transactional id with a lower epoch out of the queue and returns it; if there
// is something with a higher epoch, it returns only that, and takes nothing out. It requires Verifier.mu.
func (p *peer) fenceLocked(q *Question) (fenced []*asked) {
	for _, a := range p.queue {
		switch {
		case a.TransactionalID != q.TransactionalID || a.Epoch == q.Epoch:
		case a.Epoch > q.Epoch:
			return []*asked{a}
		default:
			fenced = append(fenced, a)
		}
	}
	p.queue = slices.DeleteFunc(p.queue, func(a *asked) bool { return slices.Contains(fenced, a) })
	return fenced
}

// takeLocked takes from the queue what goes into the next request. It requires Verifier.mu.
func (p *peer) takeLocked() (batch []*asked) {
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

// send sends what is queued until nothing is.
func (v *Verifier) send(p *peer) {
	for {
		v.mu.Lock()
		batch := p.takeLocked()
		if len(batch) == 0 {
			p.sending = false
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
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

// repeat returns the same code for all partitions of q.
func repeat(code int16, q *Question) []int16 {
	return slices.Repeat([]int16{code}, len(q.Partitions))
}
