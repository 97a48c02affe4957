package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Produce sends batches over one connection, InFlight at a time, as fast as they are answered.
func Produce(ctx context.Context, addr string, batches *Batches, limit Limit) (Result, error) {
	var r Result
	r.Latency.Reserve(int(min(limit.Bytes/int64(batches.BatchBytes())+1, 1<<20)))
	w := window{
		r: &r,
		next: func(request int64, now time.Time) []byte {
			f := batches.frames[int(request)%len(batches.frames)]
			f.stamp(int32(request), now.UnixMilli())
			r.Records += int64(f.records)
			r.Bytes += int64(len(f.batch))
			return f.bytes
		},
		take: func(request int64, response []byte) error { return accepted(response, int32(request)) },
	}
	if err := w.run(ctx, addr, limit); err != nil {
		return r, fmt.Errorf("produce: %w", err)
	}
	return r, nil
}

// A Target is a partition's leader and what is sent to it.
type Target struct {
	Addr    string
	Batches *Batches
}

// ProduceAll is Produce to several partitions at once, over a connection each. Each of them has an equal
// part of the limit's bytes.
func ProduceAll(ctx context.Context, targets []Target, limit Limit) (Result, error) {
	limit.Bytes /= int64(len(targets))
	results, errs := make([]Result, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { results[i], errs[i] = Produce(ctx, t.Addr, t.Batches, limit) })
	}
	wg.Wait()
	return merge(results), errors.Join(errs...)
}

// accepted reads the response to a Produce request and returns the error that it may hold.
func accepted(response []byte, correlation int32) error {
	resp := kmsg.ProduceResponse{Version: produceVersion}
	if err := decode(response, correlation, &resp); err != nil {
		return err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fmt.Errorf("an answer about %d topics", len(resp.Topics))
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
