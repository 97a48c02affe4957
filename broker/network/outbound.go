package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/wire"
)

const (
	// outboundBytes is how much is gathered for one write before no further reply is added.
	outboundBytes = 64 << 10
	// inlineSection is the largest section that is copied into the buffer: up to there reading it
	// costs less than the system calls of its own that it would need.
	inlineSection = 16 << 10
	// inlineBytes bounds the buffer up to which sections are copied into it.
	inlineBytes = 256 << 10
	// copyChunk is the piece in which a section is written that cannot be sent by sendfile.
	copyChunk = 64 << 10
	// outboundKept is the largest buffer that is kept for the next replies.
	outboundKept = 1 << 20
)

// outbound is a run of encoded replies on its way into the socket. It belongs to whoever holds the
// connection's writing flag.
type outbound struct {
	buf     []byte // everything but the sections in cuts
	off     int    // buf[:off] is written
	cuts    []outCut
	sent    int // cuts[:sent] are written and released
	slots   []*slot
	encoded int    // slots[:encoded] are in buf and cuts, or were
	scratch []byte // a sectioned body before it is taken apart
	chunk   *buffer
	filled  int   // bytes of the section in chunk, at which chunkAt starts to be unwritten
	chunkAt int   //
	reason  error // close the connection for it once all is written
	fatal   error // close the connection instead of writing
}

// outCut is a section to be written before buf[at].
type outCut struct {
	at   int
	sec  request.Section
	pos  int64 // bytes of the section written
	size int64
	copy bool // sendfile is not possible
}

var outbounds = sync.Pool{New: func() any { return new(outbound) }}

func (o *outbound) empty() bool { return len(o.slots) == 0 && o.reason == nil }

// pending returns how many bytes are left to be written, at least: replies not yet encoded count as
// much as is encoded at a time.
func (o *outbound) pending() int64 {
	n := int64(len(o.buf) - o.off + (len(o.slots)-o.encoded)*outboundBytes)
	for i := o.sent; i < len(o.cuts); i++ {
		n += o.cuts[i].size - o.cuts[i].pos
	}
	return n
}

// encode puts further replies into buf, until that is large enough for a write. A body that panics
// costs the connection, not the broker.
func (o *outbound) encode() {
	defer func() {
		if p := recover(); p != nil {
			o.fatal = &panicError{p, debug.Stack()}
			s := o.slots[o.encoded]
			if r, ok := s.body.(request.Recycler); ok {
				r.Recycle()
			}
			s.body = nil // finish must not try it again
		}
	}()
	for o.encoded < len(o.slots) && len(o.buf) < outboundBytes && o.fatal == nil {
		if s := o.slots[o.encoded]; s.state == answered {
			o.encodeReply(s)
		}
		o.encoded++
	}
}

func (o *outbound) encodeReply(s *slot) {
	start, cuts := len(o.buf), len(o.cuts)
	o.buf = append(o.buf, 0, 0, 0, 0)
	o.buf = wire.AppendResponseHeader(o.buf, s.Key, s.Version, s.CorrelationID)
	if b, ok := s.body.(request.Sectioned); ok {
		o.appendSectioned(b)
	} else {
		o.buf = s.body.AppendTo(o.buf)
	}
	size := int64(len(o.buf) - start - 4)
	for _, cut := range o.cuts[cuts:] {
		size += cut.size
	}
	if size > math.MaxInt32 {
		o.fatal = fmt.Errorf("a reply of %d bytes is too large", size)
	}
	binary.BigEndian.PutUint32(o.buf[start:], uint32(size))
	s.responseBytes = int(size)
	r, ok := s.body.(request.Recycler)
	s.body = nil
	if ok {
		r.Recycle()
	}
}

// appendSectioned appends body; its small sections are copied, the others noted in cuts.
func (o *outbound) appendSectioned(body request.Sectioned) {
	o.scratch = body.AppendTo(o.scratch[:0])
	from := 0
	for _, cut := range body.Cuts() {
		o.buf = append(o.buf, o.scratch[from:cut.At]...)
		from = cut.At
		size := cut.Section.Size()
		switch {
		case size > inlineSection || len(o.buf)+int(size) > inlineBytes:
			o.cuts = append(o.cuts, outCut{at: len(o.buf), sec: cut.Section, size: size})
			continue
		case size > 0:
			start := len(o.buf)
			o.buf = append(o.buf, make([]byte, size)...)
			if n, err := cut.Section.ReadAt(o.buf[start:], 0); n < int(size) {
				o.fatal = fmt.Errorf("read %d of %d bytes of a log section: %w", n, size, err)
			}
		}
		cut.Section.Release()
	}
	o.buf = append(o.buf, o.scratch[from:]...)
}

// write writes what is left; without wait, errWouldBlock says that the socket is full.
func (o *outbound) write(t transport, wait bool) error {
	if o.fatal != nil {
		return o.fatal
	}
	for {
		end, more := len(o.buf), o.sent < len(o.cuts)
		if more {
			end = o.cuts[o.sent].at
		}
		if o.off < end {
			n, err := t.write(o.buf[o.off:end], more, wait)
			o.off += n
			if err != nil {
				return err
			}
		}
		if !more && o.encoded == len(o.slots) {
			return nil
		}
		if !more {
			o.rewind()
			if o.encode(); o.fatal != nil {
				return o.fatal
			}
			continue
		}
		if err := o.writeSection(t, &o.cuts[o.sent], wait); err != nil {
			return err
		}
		o.cuts[o.sent].sec.Release()
		o.cuts[o.sent].sec = nil
		o.sent++
	}
}

// rewind makes room for further replies once all that are encoded are written.
func (o *outbound) rewind() {
	clear(o.cuts)
	o.buf, o.off, o.cuts, o.sent = o.buf[:0], 0, o.cuts[:0], 0
	if cap(o.buf) > outboundKept {
		o.buf = nil
	}
}

func (o *outbound) writeSection(t transport, cut *outCut, wait bool) error {
	for cut.pos < cut.size {
		if !cut.copy {
			n, err := t.sendfile(cut.sec, cut.pos, int(cut.size-cut.pos), wait)
			cut.pos += int64(n)
			if errors.Is(err, errNoSendfile) {
				cut.copy = true
			} else if err != nil {
				return err
			}
			continue
		}
		if err := o.copySection(t, cut, wait); err != nil {
			return err
		}
	}
	return nil
}

// copySection writes one chunk of cut, which it reads first unless it is there already.
func (o *outbound) copySection(t transport, cut *outCut, wait bool) error {
	if o.chunk == nil {
		o.chunk = getBuffer(copyChunk)
	}
	if o.chunkAt == o.filled {
		want := int(min(cut.size-cut.pos, int64(len(o.chunk.b))))
		n, err := cut.sec.ReadAt(o.chunk.b[:want], cut.pos)
		if n < want {
			return fmt.Errorf("read %d of %d bytes of a log section: %w", n, want, err)
		}
		o.chunkAt, o.filled = 0, n
	}
	left := int64(o.filled - o.chunkAt)
	more := cut.pos+left < cut.size || o.off < len(o.buf) || o.sent+1 < len(o.cuts)
	n, err := t.write(o.chunk.b[o.chunkAt:o.filled], more, wait)
	o.chunkAt += n
	cut.pos += int64(n)
	return err
}

// finish ends a run of replies, whether written or given up: sections, bodies and slots are given
// back, and the requests are reported if ob is there.
func (o *outbound) finish(listener string, ob Observer, start time.Time) {
	for i := o.sent; i < len(o.cuts); i++ {
		o.cuts[i].sec.Release()
	}
	var end time.Time
	if ob != nil {
		end = time.Now()
	}
	for _, s := range o.slots {
		if s.body != nil {
			discard(s.body)
		}
		if ob != nil {
			ob.Served(s.served(listener, start, end))
		}
		s.free()
	}
	if o.chunk != nil {
		putBuffer(o.chunk)
	}
	clear(o.cuts)
	clear(o.slots)
	buf, scratch := o.buf[:0], o.scratch[:0]
	if cap(buf) > outboundKept {
		buf = nil
	}
	if cap(scratch) > outboundKept {
		scratch = nil
	}
	*o = outbound{buf: buf, scratch: scratch, cuts: o.cuts[:0], slots: o.slots[:0]}
}

// served describes s, whose reply was written from start to end.
func (s *slot) served(listener string, start, end time.Time) Served {
	return Served{
		Listener: listener, Key: s.Key, Version: s.Version,
		RequestBytes: s.Size, ResponseBytes: s.responseBytes,
		RequestQueue: s.handled.Sub(s.Received), Local: s.local, Remote: s.remote,
		ResponseQueue: start.Sub(s.replied), ResponseSend: end.Sub(start), Throttle: s.Throttle,
	}
}

// panicError is a panic that was recovered.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }
