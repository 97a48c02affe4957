package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Requests are requests of one kind, encoded beforehand, that are sent in turn.
type Requests struct {
	kind   kmsg.Request
	frames [][]byte
	check  func(kmsg.Response) error
}

// Heartbeats are those of all members of groups.
func Heartbeats(groups []*Group) *Requests {
	q := &Requests{kind: &kmsg.HeartbeatRequest{Version: heartbeatVersion}, check: func(resp kmsg.Response) error {
		return kerr.ErrorForCode(resp.(*kmsg.HeartbeatResponse).ErrorCode)
	}}
	for _, g := range groups {
		for _, m := range g.Members {
			q.add(m.heartbeatRequest())
		}
	}
	return q
}

// Commits are OffsetCommits of all members of groups, each of so many partitions that are no other member's
// of its group.
func Commits(groups []*Group, partitions int) *Requests {
	q := &Requests{kind: &kmsg.OffsetCommitRequest{Version: commitVersion}, check: func(resp kmsg.Response) error {
		return committed(resp.(*kmsg.OffsetCommitResponse), partitions)
	}}
	for _, g := range groups {
		for i, m := range g.Members {
			q.add(m.commitRequest(i*partitions, partitions))
		}
	}
	return q
}

func (q *Requests) add(req kmsg.Request) {
	q.frames = append(q.frames, formatter.AppendRequest(nil, req, 0))
}

// committed returns the error that the response may hold.
func committed(resp *kmsg.OffsetCommitResponse, partitions int) error {
	count := 0
	for i := range resp.Topics {
		for _, p := range resp.Topics[i].Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
			count++
		}
	}
	if count != partitions {
		return fmt.Errorf("an answer about %d partitions of %d", count, partitions)
	}
	return nil
}

// Run sends the requests over so many connections, InFlight at a time on each, as fast as they are answered.
// The limit's requests are those of all connections, each of which has the requests of other members.
func (q *Requests) Run(ctx context.Context, addr string, connections int, limit Limit) (Result, error) {
	limit.Requests /= int64(connections)
	results, errs := make([]Result, connections), make([]error, connections)
	var wg sync.WaitGroup
	for i := range connections {
		var own [][]byte
		for j := i; j < len(q.frames) || len(own) < InFlight; j += connections {
			own = append(own, bytes.Clone(q.frames[j%len(q.frames)])) // each in flight has an id of its own
		}
		wg.Go(func() { results[i], errs[i] = q.run(ctx, addr, own, limit) })
	}
	wg.Wait()
	return merge(results), errors.Join(errs...)
}

func (q *Requests) run(ctx context.Context, addr string, frames [][]byte, limit Limit) (Result, error) {
	var r Result
	r.Latency.Reserve(1 << 18)
	w := window{
		r: &r,
		next: func(request int64, _ time.Time) []byte {
			frame := frames[request%int64(len(frames))]
			binary.BigEndian.PutUint32(frame[correlationAt:], uint32(request))
			r.Bytes += int64(len(frame))
			return frame
		},
		take: func(request int64, response []byte) error {
			resp := q.kind.ResponseKind()
			if err := decode(response, int32(request), resp); err != nil {
				return err
			}
			return q.check(resp)
		},
	}
	if err := w.run(ctx, addr, limit); err != nil {
		return r, fmt.Errorf("%s: %w", kmsg.NameForKey(q.kind.Key()), err)
	}
	return r, nil
}
