package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// A pipeline is a connection with up to InFlight requests unanswered. One goroutine sends, another
// receives, and both share the first error.
type pipeline struct {
	conn     net.Conn
	received func(flight) // called for each response, in order, by the goroutine that receives
	sent     chan flight  // what is to be known of a request when its response comes, in order
	wg       sync.WaitGroup
	unwatch  func() bool

	once   sync.Once
	failed chan struct{}
	err    error // valid once failed is closed
}

// startPipeline connects. The pipeline fails if ctx ends, and if it is used for longer than limit and
// a broker's patience.
func startPipeline(ctx context.Context, addr string, limit time.Duration, received func(flight)) (*pipeline, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(limit + patience))
	p := &pipeline{conn: conn, received: received, sent: make(chan flight, InFlight-1), failed: make(chan struct{})}
	p.unwatch = context.AfterFunc(ctx, func() { p.fail(context.Cause(ctx)) })
	p.wg.Go(func() {
		if err := p.receive(); err != nil {
			p.fail(fmt.Errorf("produce: %w", err))
		}
	})
	return p, nil
}

// fail ends the pipeline. The first error counts.
func (p *pipeline) fail(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.failed)
		p.conn.Close()
	})
}

// finish waits for the responses that are still to come, and ends the pipeline.
func (p *pipeline) finish() error {
	close(p.sent)
	p.wg.Wait()
	p.unwatch()
	p.conn.Close()
	select {
	case <-p.failed:
		return p.err
	default:
		return nil
	}
}

// send sends a request once fewer than InFlight are unanswered. It reports false if the pipeline
// failed.
func (p *pipeline) send(f *frame, note flight) bool {
	// The receiver holds one note while it waits for the response, the channel the others.
	select {
	case p.sent <- note:
	case <-p.failed:
		return false
	}
	if _, err := p.conn.Write(f.bytes); err != nil {
		p.fail(fmt.Errorf("produce: %w", err))
		return false
	}
	return true
}

// receive reads the response to every request that is sent, until no more will be.
func (p *pipeline) receive() error {
	buf := make([]byte, 0, 4<<10)
	correlation := int32(0)
	for note := range p.sent {
		correlation++
		var err error
		if buf, err = readFrame(p.conn, buf); err != nil {
			return err
		}
		if err := accepted(buf, correlation); err != nil {
			return err
		}
		p.received(note)
	}
	return nil
}
