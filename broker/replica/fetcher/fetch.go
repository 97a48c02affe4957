package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/wire"
)

// A large buffer is kept from one answer to the next while answers are large.
const (
	keepBuffer  = 1 << 20
	smallAnswer = 64 << 10
)

// errInterrupted ends a poll because there are notes.
var errInterrupted = errors.New("interrupted by changes")

// fetch sends one request and takes its answer over.
func (l *loop) fetch(ctx context.Context, req *wire.FetchRequest) error {
	req.ReplicaID, req.ReplicaEpoch = l.pool.opts.BrokerID, l.pool.opts.BrokerEpoch()
	body, err := l.poll(ctx, req)
	if err != nil {
		return err
	}
	in, err := wire.ReadFetch(req.Version, body)
	if err != nil {
		return err
	}
	switch in.ErrorCode {
	case 0:
		l.set.answered(in.SessionID)
	case kerr.FetchSessionIDNotFound.Code:
		l.set.lost()
		return nil
	case kerr.InvalidFetchSessionEpoch.Code, kerr.FetchSessionTopicIDError.Code:
		l.set.restart()
		return nil
	default:
		return kerr.ErrorForCode(in.ErrorCode)
	}
	var outside []*partition
	for a, ok := in.Next(); ok; a, ok = in.Next() {
		p := l.set.find(a)
		switch {
		case p == nil:
		case a.ErrorCode == kerr.OffsetOutOfRange.Code:
			outside = append(outside, p)
		default:
			place, err := p.take(a)
			if err == nil && l.pool.opts.Throttle.Throttled(p.name) {
				l.pool.opts.Throttle.Record(len(a.Records), time.Now())
			}
			l.settle(p, place, place.Offset >= a.HighWatermark, err)
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return l.outOfRange(ctx, outside)
}

// poll sends req and returns the body of the answer, which is valid until the next call.
func (l *loop) poll(ctx context.Context, req *wire.FetchRequest) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.mu.interrupt = cancel
	l.hurryLocked() // for notes that were left since takeNotes
	l.mu.Unlock()
	err := l.connect(ctx)
	var body []byte
	if err == nil {
		body, err = l.conn.Exchange(ctx, req, l.buffer[:0])
	}
	l.mu.Lock()
	l.mu.interrupt = nil
	if l.mu.hurry != nil {
		l.mu.hurry.Stop()
		l.mu.hurry = nil
	}
	l.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		err = errInterrupted
	}
	if l.buffer = body; cap(body) > keepBuffer && len(body) < smallAnswer {
		l.buffer = nil
	}
	return body, err
}

// take carries out what the leader has answered for p.
func (p *partition) take(a *wire.FetchedFrom) (replica.Place, error) {
	switch {
	case a.ErrorCode != 0:
		return replica.Place{}, kerr.ErrorForCode(a.ErrorCode)
	case a.Diverging != wire.NoEpochEnd:
		place, err := p.Diverged(a.Diverging.Epoch, a.Diverging.EndOffset)
		if err == nil && place == p.toldAs {
			err = fmt.Errorf("the leader's log diverges at %d of epoch %d, which is of no help", a.Diverging.EndOffset, a.Diverging.Epoch)
		}
		return place, err
	}
	return p.Append(&replica.Fetched{
		Offset: p.toldAs.Offset, Records: a.Records, HighWatermark: a.HighWatermark, LogStart: a.LogStartOffset,
	})
}
