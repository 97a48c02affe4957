package load

import (
	"bufio"
	"context"
	"encoding/binary"
	"net"
	"time"
)

// window keeps InFlight requests unanswered on one connection. As a client with one thread does, it
// takes all responses that have come, and then sends as many requests as that allows with one system
// call.
type window struct {
	r *Result // Requests, Elapsed and Latency are counted here
	// next returns the request of a number, which counts from 0. It stays as it is until InFlight more
	// are asked for.
	next func(request int64, now time.Time) []byte
	// take is given the response to it, which it must not keep.
	take func(request int64, response []byte) error

	sent     [InFlight]time.Time // when a request was sent, by its number modulo InFlight
	answered int64               // requests
	buf      []byte              // a response
}

// run goes on until the limit is reached and all requests are answered.
func (w *window) run(ctx context.Context, addr string, limit Limit) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(limit.Time + patience))

	in := bufio.NewReader(conn)
	start := time.Now()
	for {
		if now := time.Now(); !limit.reached(w.r, now.Sub(start)) {
			err = w.send(conn, now)
		}
		if err == nil && w.answered == w.r.Requests {
			break
		}
		if err == nil {
			err = w.receive(in)
		}
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
	}
	w.r.Elapsed = time.Since(start)
	return nil
}

// send sends as many requests as may be in flight.
func (w *window) send(conn net.Conn, now time.Time) error {
	var requests net.Buffers
	for w.r.Requests-w.answered < InFlight {
		w.sent[w.r.Requests%InFlight] = now
		requests = append(requests, w.next(w.r.Requests, now))
		w.r.Requests++
	}
	_, err := requests.WriteTo(conn)
	return err
}

// receive waits for a response and takes it, and those that came with it.
func (w *window) receive(in *bufio.Reader) error {
	for {
		var err error
		if w.buf, err = readFrame(in, w.buf); err != nil {
			return err
		}
		w.r.Latency.Add(time.Since(w.sent[w.answered%InFlight]))
		if err := w.take(w.answered, w.buf); err != nil {
			return err
		}
		w.answered++
		if w.answered == w.r.Requests || in.Buffered() < 4 {
			return nil
		}
		if size, _ := in.Peek(4); in.Buffered() < 4+int(binary.BigEndian.Uint32(size)) {
			return nil
		}
	}
}
