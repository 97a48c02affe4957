// Package transactions serves the APIs of idempotent and transactional producers. This broker coordinates no
// transactions: it gives idempotent producers their ids, and does what coordinators on other brokers ask of the leader of
// a partition, which is to write the markers that end a transaction.
package transactions

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

// Block is a range of producer ids, both ends included, that no other broker gives out.
type Block struct{ First, Last int64 }

// IDs gives out producer ids from blocks that it takes from ZooKeeper, the next one before the
// current is used up, so that handing out an id never waits.
//
// Invariant: an id is given out at most once, by this broker or any other: a block is used only
// after its claim is written.
type IDs struct {
	claim  func(ctx context.Context) (Block, error)
	logger logrus.FieldLogger
	ctx    context.Context // of the claims; it ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu struct {
		sync.Mutex
		current  Block
		next     *Block // nil: not claimed yet
		claiming bool
	}
}

// prefetchAt is the part of a block, in percent, after which the next one is claimed
// (RPCProducerIdManager.PID_PREFETCH_THRESHOLD).
const prefetchAt = 90

const claimBackoff = 50 * time.Millisecond

// errNoBlock says that the next block has not arrived yet; the client tries again.
var errNoBlock = errors.New("no block of producer ids yet")

// NewIDs returns IDs that take their blocks with claim.
func NewIDs(claim func(ctx context.Context) (Block, error), logger logrus.FieldLogger) *IDs {
	ids := &IDs{claim: claim, logger: logger}
	ids.ctx, ids.cancel = context.WithCancel(context.Background())
	ids.mu.current = Block{First: 0, Last: -1}
	return ids
}

// Close ends a claim that is under way.
func (ids *IDs) Close() {
	ids.cancel()
	ids.wg.Wait()
}

// Next returns an id; errNoBlock while the next block is on its way.
func (ids *IDs) Next() (int64, error) {
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if ids.mu.current.First > ids.mu.current.Last && ids.mu.next != nil {
		ids.mu.current, ids.mu.next = *ids.mu.next, nil
	}
	b := &ids.mu.current
	if b.First > b.Last {
		ids.claimLocked()
		return -1, errNoBlock
	}
	id := b.First
	b.First++
	if used := blockSize - (b.Last - b.First + 1); used*100 >= blockSize*prefetchAt && ids.mu.next == nil {
		ids.claimLocked()
	}
	return id, nil
}

// blockSize is the length of the blocks that brokers take (ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE).
const blockSize = 1000

func (ids *IDs) claimLocked() {
	if ids.mu.claiming || ids.ctx.Err() != nil {
		return
	}
	ids.mu.claiming = true
	ids.wg.Go(func() {
		b, err := ids.claim(ids.ctx)
		for err != nil && ids.ctx.Err() == nil {
			ids.logger.WithError(err).Warn("claiming a block of producer ids failed, trying again")
			select {
			case <-ids.ctx.Done():
			case <-time.After(claimBackoff):
				b, err = ids.claim(ids.ctx)
			}
		}
		ids.mu.Lock()
		defer ids.mu.Unlock()
		ids.mu.claiming = false
		if err == nil {
			ids.mu.next = &b
		}
	})
}

// Handlers serve the APIs of the package. All fields are required.
type Handlers struct {
	IDs *IDs
	// TransactionMaxTimeoutMs is transaction.max.timeout.ms.
	TransactionMaxTimeoutMs int32
}

// InitProducerID gives an idempotent producer its id, versions 0 to 5. With a transactional id the
// answer is NOT_COORDINATOR: another broker is to be asked.
func (h *Handlers) InitProducerID(r *request.Request) {
	req := kmsg.NewPtrInitProducerIDRequest()
	if !wire.DecodeOrDrop(r, req) {
		return
	}
	resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	resp.ErrorCode = h.refusal(req)
	if resp.ErrorCode == 0 {
		id, err := h.IDs.Next()
		if err != nil {
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		} else {
			resp.ProducerID, resp.ProducerEpoch = id, 0
		}
	}
	r.Reply(resp)
}

func (h *Handlers) refusal(req *kmsg.InitProducerIDRequest) int16 {
	if (req.ProducerID == -1) != (req.ProducerEpoch == -1) {
		return kerr.InvalidRequest.Code
	}
	switch {
	case req.TransactionalID == nil:
		return 0
	case *req.TransactionalID == "":
		return kerr.InvalidRequest.Code
	case req.TransactionTimeoutMillis <= 0 || req.TransactionTimeoutMillis > h.TransactionMaxTimeoutMs:
		return kerr.InvalidTransactionTimeout.Code
	}
	return kerr.NotCoordinator.Code
}
