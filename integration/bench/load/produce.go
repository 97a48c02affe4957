package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Produce sends batches over one connection as fast as they are answered, InFlight at a time. As a
// client with one thread does, it takes all responses that have come, and then sends as many requests
// as that allows with one system call.
func Produce(ctx context.Context, addr string, batches *Batches, limit Limit) (Result, error) {
	p := &producer{batches: batches}
	p.r.Latency.Reserve(int(min(limit.Bytes/int64(batches.BatchBytes())+1, 1<<20)))
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return p.r, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(limit.Time + patience))

	in := bufio.NewReader(conn)
	start := time.Now()
	for {
		if now := time.Now(); now.Sub(start) < limit.Time && p.r.Bytes < limit.Bytes {
			err = p.send(conn, now)
		}
		if err == nil && p.answered == p.r.Requests {
			break
		}
		if err == nil {
			err = p.receive(in)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return p.r, fmt.Errorf("produce: %w", err)
		}
	}
	p.r.Elapsed = time.Since(start)
	return p.r, nil
}

// producer is the state of a Produce.
type producer struct {
	batches  *Batches
	r        Result
	sent     [InFlight]time.Time // when a request was sent, by its number modulo InFlight
	answered int64               // requests
	buf      []byte              // a response
}

// send sends as many requests as may be in flight.
func (p *producer) send(conn net.Conn, now time.Time) error {
	var frames net.Buffers
	for p.r.Requests-p.answered < InFlight {
		f := p.batches.frames[int(p.r.Requests)%len(p.batches.frames)]
		p.sent[p.r.Requests%InFlight] = now
		p.r.Requests++
		p.r.Records += int64(f.records)
		p.r.Bytes += int64(len(f.batch))
		f.stamp(int32(p.r.Requests), now.UnixMilli())
		frames = append(frames, f.bytes)
	}
	_, err := frames.WriteTo(conn)
	return err
}

// receive waits for a response and takes it, and those that came with it.
func (p *producer) receive(in *bufio.Reader) error {
	for {
		var err error
		if p.buf, err = readFrame(in, p.buf); err != nil {
			return err
		}
		sent := p.sent[p.answered%InFlight]
		p.answered++
		if err := accepted(p.buf, int32(p.answered)); err != nil {
			return err
		}
		p.r.Latency.Add(time.Since(sent))
		if p.answered == p.r.Requests || in.Buffered() < 4 {
			return nil
		}
		if size, _ := in.Peek(4); in.Buffered() < 4+int(binary.BigEndian.Uint32(size)) {
			return nil
		}
	}
}

// accepted reads the response to a Produce request and returns the error that it may hold.
func accepted(frame []byte, correlation int32) error {
	resp := kmsg.ProduceResponse{Version: produceVersion}
	if err := decode(frame, correlation, &resp); err != nil {
		return err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fmt.Errorf("an answer about %d topics", len(resp.Topics))
	}
	return kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
}
