package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/sirupsen/logrus"
)

// feed reads chunks of data into in, whose sizes sizes gives, and calls frame for each frame. It
// returns the error that ends it, and checks on the way that the buffer stays in proportion.
func feed(t *testing.T, in *inbound, data, sizes []byte, maxBytes int, frame func([]byte)) error {
	arrived := 0
	for i := 0; len(data) > 0; i++ {
		size := 1
		if len(sizes) > 0 {
			size += int(sizes[i%len(sizes)]) * 97
		}
		n := copy(in.room(), data[:min(size, len(data))])
		in.filled(n)
		data = data[n:]
		arrived += n
		if most := max(4*minBuffer, 16*arrived); len(in.buf.b) > most {
			t.Fatalf("a buffer of %d bytes after %d", len(in.buf.b), arrived)
		}
		for {
			f, ok, err := in.next(maxBytes)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			frame(f)
		}
		in.rest()
	}
	return nil
}

func FuzzInbound(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x01c"), []byte{0})
	f.Add([]byte("\xff\xff\xff\xff"), []byte{3})
	large := binary.BigEndian.AppendUint32(nil, minBuffer+10)
	f.Add(append(large, make([]byte, minBuffer+20)...), []byte{200, 255})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		const maxBytes = 200_000
		var in inbound
		defer in.release()
		rest := data
		err := feed(t, &in, data, sizes, maxBytes, func(frame []byte) {
			n := int(int32(binary.BigEndian.Uint32(rest)))
			if n != len(frame) || !bytes.Equal(frame, rest[4:4+n]) {
				t.Fatalf("frame %x, want %d bytes of %x", frame, n, rest)
			}
			rest = rest[4+n:]
		})
		var bad bool
		if len(rest) >= 4 {
			n := int(int32(binary.BigEndian.Uint32(rest)))
			bad = n < 0 || n > maxBytes
			if !bad && len(rest) >= 4+n {
				t.Fatalf("a frame of %d bytes was kept back", n)
			}
		}
		if bad != (err != nil) {
			t.Fatalf("error %v, rest %x", err, rest)
		}
	})
}

func TestAnnouncedBytesTakeNoMemory(t *testing.T) {
	var in inbound
	defer in.release()
	data := binary.BigEndian.AppendUint32(nil, 100<<20)
	if err := feed(t, &in, append(data, make([]byte, 300_000)...), []byte{255}, 100<<20, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(in.buf.b); n > 4*400_000 {
		t.Errorf("a buffer of %d bytes for 300 kB of 100 MiB", n)
	}
}

// TestLeanReadsWhatIsPaidFor: with queued.max.request.bytes what lies in the socket behind a frame is left there, however large the
// frames before were.
func TestLeanReadsWhatIsPaidFor(t *testing.T) {
	in := inbound{lean: true}
	defer in.release()
	const size = 1_200_000
	pipelined := bytes.Repeat(frame(keyEcho, 0, 1, make([]byte, size)), 3)
	for read := 0; read < len(pipelined); {
		if room := len(in.room()); room > max(0, in.need-(in.w-in.r))+minBuffer {
			t.Fatalf("%d bytes may be read, %d of %d are there", room, in.w-in.r, in.need)
		}
		n := copy(in.room(), pipelined[read:])
		in.filled(n)
		read += n
		whole, ok, err := in.next(100 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if !ok && in.need > 0 && in.w-in.r <= minBuffer { // now is when room for it would be waited for
			in.compact(nil)
			if len(in.buf.b) > minBuffer {
				t.Fatalf("a buffer of %d bytes waits with %d", len(in.buf.b), in.w-in.r)
			}
		}
		if ok {
			want := bytes.Clone(whole)
			if again := in.compact(whole); !bytes.Equal(again, want) {
				t.Fatal("compact has changed the frame")
			}
			in.rest()
		}
	}
	if in.buf != nil {
		t.Errorf("%d bytes are left", in.w-in.r)
	}
}

func TestBufferClasses(t *testing.T) {
	for n, want := range map[int]int{0: minBuffer, 1: minBuffer, minBuffer: minBuffer, minBuffer + 1: 4 * minBuffer,
		4 * minBuffer: 4 * minBuffer, 4*minBuffer + 1: 16 * minBuffer, 1 << 20: 1 << 20, 1<<20 + 1: 4 << 20,
		4 << 20: 4 << 20, 4<<20 + 1: 4<<20 + 1} {
		b := getBuffer(n)
		if len(b.b) != want {
			t.Errorf("getBuffer(%d) has %d bytes, want %d", n, len(b.b), want)
		}
		putBuffer(b)
	}
}

// script is a transport that reads what it is given and keeps nothing of what is written.
type script struct {
	data, sizes []byte
	n           int
	polls       int
	replies     bytes.Buffer
}

func (s *script) read(in *inbound) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	size := len(s.data)
	if len(s.sizes) > 0 {
		size = 1 + int(s.sizes[s.n%len(s.sizes)])
		s.n++
	}
	n := copy(in.room(), s.data[:min(size, len(s.data))])
	in.filled(n)
	s.data = s.data[n:]
	return n, nil
}

// poll gives the next piece at every other call.
func (s *script) poll(in *inbound) (int, error) {
	if s.polls++; s.polls%2 == 0 {
		return 0, nil
	}
	return s.read(in)
}

func (s *script) write(p []byte, _, _ bool) (int, error) { return s.replies.Write(p) }
func (s *script) sendfile(request.Section, int64, int, bool) (int, error) {
	return 0, errNoSendfile
}
func (s *script) interrupt() {}
func (s *script) close()     {}

// FuzzConnection sends anything to a connection. Each request that is handled gets one reply, in
// order, and nothing panics or hangs.
func FuzzConnection(f *testing.F) {
	f.Add(append(frame(keyEcho, 0, 1, []byte("a")), frame(keyLater, 0, 2, nil)...), []byte{5})
	f.Add(append(frame(0, 9, 1, []byte{0}), frame(999, 0, 2, nil)...), []byte{200})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		var handled []int32
		handler := func(answer bool) request.HandlerFunc {
			return func(r *request.Request) {
				if answer {
					handled = append(handled, r.CorrelationID)
					echo(r)
				} else {
					r.Reply(nil)
				}
			}
		}
		logger := logrus.New()
		logger.SetOutput(io.Discard)
		s, err := New(Options{Listeners: []Listener{{Name: "L", Protocol: "PLAINTEXT"}}, Logger: logger,
			MaxRequestBytes: 1 << 20, QueuedBytes: int64(len(sizes)%2) * 100,
			Router: routes{}.handle(keyEcho, false, handler(true)).handle(0, false, handler(false)).
				together(keyLater, func(rs []*request.Request) {
					for _, r := range rs {
						handler(true)(r)
					}
				})})
		if err != nil {
			t.Fatal(err)
		}
		tr := &script{data: data, sizes: sizes}
		c := &conn{srv: s, lst: &listener{Listener: Listener{Name: "L"}, srv: s, log: newCloseLog(logger)}, tr: tr,
			wake: make(chan struct{}, 1), done: make(chan struct{})}
		c.in.lean = s.queued.limited()
		s.mu.conns[c] = struct{}{}
		s.admission.take("L", c.info.Remote.Addr())
		c.serve()
		var in inbound
		defer in.release()
		err = feed(t, &in, tr.replies.Bytes(), nil, 1<<20, func(reply []byte) {
			if id := int32(binary.BigEndian.Uint32(reply)); len(handled) == 0 || id != handled[0] {
				t.Fatalf("reply %d, want one of %v", id, handled)
			}
			handled = handled[1:]
		})
		if err != nil || len(handled) > 0 {
			t.Fatalf("%v, no replies for %v", err, handled)
		}
		var panicked *panicError
		if errors.As(c.mu.reason, &panicked) {
			t.Fatal(c.mu.reason)
		}
		if s.queued.mu.used != 0 {
			t.Fatalf("%d bytes are held for ever", s.queued.mu.used)
		}
	})
}
