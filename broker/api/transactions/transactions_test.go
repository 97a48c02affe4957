package transactions

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/api/internal/fixture"
	"github.com/gregor-mq/gregor/broker/request"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func silent() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// blocks claims consecutive blocks and counts them.
type blocks struct{ n atomic.Int64 }

func (b *blocks) claim(context.Context) (Block, error) {
	first := (b.n.Add(1) - 1) * blockSize
	return Block{First: first, Last: first + blockSize - 1}, nil
}

func TestEachIDIsGivenOutOnce(t *testing.T) {
	const users, each = 8, 1000
	var b blocks
	ids := NewIDs(b.claim, silent())
	defer ids.Close()
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range users {
		wg.Go(func() {
			for got := 0; got < each; {
				id, err := ids.Next()
				if err != nil {
					continue // the next block is on its way
				}
				got++
				mu.Lock()
				if seen[id] {
					t.Errorf("id %d was given out twice", id)
				}
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id := range int64(users * each) {
		if !seen[id] {
			t.Fatalf("id %d was left out", id)
		}
	}
}

func TestBlocksAreClaimedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b blocks
		ids := NewIDs(b.claim, silent())
		defer ids.Close()
		if _, err := ids.Next(); !errors.Is(err, errNoBlock) {
			t.Fatalf("before the first block: %v, want errNoBlock", err)
		}
		for want := range int64(3 * blockSize) {
			synctest.Wait()
			if id, err := ids.Next(); err != nil || id != want {
				t.Fatalf("id %d, %v; want %d without waiting", id, err, want)
			}
			synctest.Wait()
			used := want + 1
			if claimed, most := b.n.Load(), (used+blockSize/10+blockSize-1)/blockSize+1; claimed > most {
				t.Fatalf("%d blocks claimed for %d ids", claimed, used)
			}
		}
	})
}

func TestFailedClaimsAreRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b blocks
		failures := 3
		ids := NewIDs(func(ctx context.Context) (Block, error) {
			if failures--; failures >= 0 {
				return Block{}, errors.New("no connection")
			}
			return b.claim(ctx)
		}, silent())
		defer ids.Close()
		for range 5 { // impatient clients do not make more claims
			if _, err := ids.Next(); !errors.Is(err, errNoBlock) {
				t.Fatalf("%v, want errNoBlock", err)
			}
		}
		time.Sleep(3*claimBackoff + time.Millisecond)
		synctest.Wait()
		if id, err := ids.Next(); err != nil || id != 0 {
			t.Errorf("id %d, %v; want 0", id, err)
		}
		if b.n.Load() != 1 {
			t.Errorf("%d blocks claimed, want 1", b.n.Load())
		}
	})
}

func TestCloseEndsAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := NewIDs(func(ctx context.Context) (Block, error) {
			<-ctx.Done()
			return Block{}, ctx.Err()
		}, silent())
		ids.Next()
		synctest.Wait()
		ids.Close()
		if _, err := ids.Next(); !errors.Is(err, errNoBlock) {
			t.Errorf("after Close: %v, want errNoBlock", err)
		}
		ids.Close()
	})
}

func TestInitProducerID(t *testing.T) {
	ids := NewIDs((&blocks{}).claim, silent())
	defer ids.Close()
	h := &Handlers{IDs: ids, TransactionMaxTimeoutMs: 900_000}
	send := func(version int16, change func(*kmsg.InitProducerIDRequest)) *kmsg.InitProducerIDResponse {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.Version, req.TransactionTimeoutMillis = version, 60_000
		if change != nil {
			change(req)
		}
		resp := kmsg.NewPtrInitProducerIDResponse()
		fixture.Do(t, request.HandlerFunc(h.InitProducerID), req, resp)
		return resp
	}
	if got := send(5, nil); got.ErrorCode != 14 || got.ProducerID != -1 {
		t.Errorf("before the first block: %+v, want COORDINATOR_LOAD_IN_PROGRESS", got)
	}
	ids.wg.Wait()
	for version := int16(0); version <= 5; version++ {
		if got := send(version, nil); got.ErrorCode != 0 || got.ProducerID != int64(version) || got.ProducerEpoch != 0 {
			t.Errorf("v%d: %+v, want id %d in epoch 0", version, got, version)
		}
	}
	name, empty := "payments", ""
	tests := []struct {
		name   string
		change func(*kmsg.InitProducerIDRequest)
		want   int16
	}{
		{"a transaction", func(r *kmsg.InitProducerIDRequest) { r.TransactionalID = &name }, 16},
		{"an empty transactional id", func(r *kmsg.InitProducerIDRequest) { r.TransactionalID = &empty }, 42},
		{"a timeout of nothing", func(r *kmsg.InitProducerIDRequest) { r.TransactionalID, r.TransactionTimeoutMillis = &name, 0 }, 50},
		{"a timeout too long", func(r *kmsg.InitProducerIDRequest) { r.TransactionalID, r.TransactionTimeoutMillis = &name, 900_001 }, 50},
		{"a timeout without a transaction", func(r *kmsg.InitProducerIDRequest) { r.TransactionTimeoutMillis = 0 }, 0},
		{"an id without an epoch", func(r *kmsg.InitProducerIDRequest) { r.ProducerID = 4 }, 42},
		{"an epoch without an id", func(r *kmsg.InitProducerIDRequest) { r.ProducerEpoch = 4 }, 42},
		{"both, without a transaction", func(r *kmsg.InitProducerIDRequest) { r.ProducerID, r.ProducerEpoch = 4, 4 }, 0},
	}
	for _, tt := range tests {
		if got := send(5, tt.change); got.ErrorCode != tt.want {
			t.Errorf("%s: error %d, want %d", tt.name, got.ErrorCode, tt.want)
		}
	}
}
