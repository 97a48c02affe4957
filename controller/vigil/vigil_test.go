package vigil

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/broker/interbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSight(t *testing.T) {
	tests := []struct {
		name     string
		outcomes []outcome
		gone     bool
	}{
		{"a process ends", []outcome{answered, closed, refused}, true},
		{"its listener lives a little longer than its connections", []outcome{answered, closed, cutShort, cutShort, refused}, true},
		{"it was never reached: it is just starting", []outcome{refused, refused}, false},
		{"its connection was reset, its listener is there", []outcome{answered, closed, answered, refused}, false},
		{"time-out of the connection, then refused", []outcome{answered, unclear, refused}, false},
		{"time-out in between", []outcome{answered, closed, unclear, refused}, false},
		{"once gone, doubts do not bring it back", []outcome{answered, closed, refused, unclear, cutShort, refused}, true},
		{"an answer does", []outcome{answered, closed, refused, answered}, false},
		{"after which it must be closed again", []outcome{answered, closed, refused, answered, refused}, false},
	}
	for _, tt := range tests {
		var s sight
		for _, o := range tt.outcomes {
			s = s.after(o)
		}
		if s.gone != tt.gone {
			t.Errorf("%s: gone = %v, want %v", tt.name, s.gone, tt.gone)
		}
	}
}

func TestWhatFailuresShow(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errno)}
	}
	tests := []struct {
		err     error
		dialled bool
		want    outcome
	}{
		{dial(syscall.ECONNREFUSED), false, refused},
		{dial(syscall.ETIMEDOUT), false, unclear},
		{dial(syscall.EHOSTUNREACH), false, unclear},
		{dial(syscall.ENETUNREACH), false, unclear},
		{context.DeadlineExceeded, false, unclear},
		{&net.DNSError{Err: "no such host"}, false, unclear},
		{io.EOF, true, cutShort},
		{dial(syscall.ECONNRESET), true, cutShort},
		{os.ErrDeadlineExceeded, true, unclear},
	}
	for _, tt := range tests {
		if got := failed(tt.err, tt.dialled); got != tt.want {
			t.Errorf("failed(%v, %v) = %v, want %v", tt.err, tt.dialled, got, tt.want)
		}
	}
	if got := ended(dial(syscall.ETIMEDOUT)); got != unclear {
		t.Errorf("a connection whose peer does not answer the system's probes: %v, want unclear", got)
	}
	if got := ended(dial(syscall.ECONNRESET)); got != closed {
		t.Errorf("a connection that is reset: %v, want closed", got)
	}
}

// process is a listener that answers ApiVersions, as a broker does.
type process struct {
	t       *testing.T
	addr    string
	curt    atomic.Bool  // it closes a connection with the first answer
	tries   atomic.Int64 // connections
	answers atomic.Int64
	wg      sync.WaitGroup

	mu struct {
		sync.Mutex
		listener net.Listener
		conns    []net.Conn
	}
}

func start(t *testing.T) *process {
	p := &process{t: t, addr: "127.0.0.1:0"}
	p.listen()
	t.Cleanup(p.end)
	return p
}

func (p *process) listen() {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.addr = l.Addr().String()
	p.mu.Lock()
	p.mu.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.tries.Add(1)
			p.mu.Lock()
			p.mu.conns = append(p.mu.conns, c)
			p.mu.Unlock()
			p.wg.Go(func() { p.serve(c) })
		}
	})
}

func (p *process) serve(c net.Conn) {
	if p.curt.Load() {
		defer c.Close()
	}
	var size [4]byte
	for {
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		frame := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, frame); err != nil {
			return
		}
		c.Write(append([]byte{0, 0, 0, 10}, append(frame[4:8:8], 0, 0, 0, 0, 0, 0)...))
		if p.answers.Add(1); p.curt.Load() {
			return
		}
	}
}

// cut ends the connections only.
func (p *process) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.mu.conns {
		c.Close()
	}
	p.mu.conns = nil
}

// end is what the system does when a process ends.
func (p *process) end() {
	p.mu.Lock()
	p.mu.listener.Close()
	p.mu.Unlock()
	p.cut()
	p.wg.Wait()
}

// watchFor returns a Vigil over the process, the other listeners, and how often it has dialled, and told news.
func watchFor(t *testing.T, addr string, others ...string) (v *Vigil, dials, news *atomic.Int64) {
	dials, news = new(atomic.Int64), new(atomic.Int64)
	log := logrus.New()
	log.SetOutput(io.Discard)
	d := interbroker.Dialer{ClientID: "1"}
	v = New(Options{
		Dial: func(ctx context.Context, addr string) (*interbroker.Conn, error) {
			conn, err := d.Dial(ctx, addr)
			dials.Add(1)
			return conn, err
		},
		Noticed: func(broker int32) {
			if broker != 7 {
				t.Errorf("news of broker %d", broker)
			}
			news.Add(1)
		},
		Logger: log,
	})
	t.Cleanup(v.Close)
	v.Watch([]Subject{{Broker: 7, Session: 1, Addr: addr, Others: others}})
	return v, dials, news
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
	}
}

func TestEndIsNoticed(t *testing.T) {
	p := start(t)
	v, _, news := watchFor(t, p.addr)
	await(t, "answer", func() bool { return p.answers.Load() == 1 })
	if v.Gone(7, 1) {
		t.Fatal("a process that lives is gone")
	}
	p.end()
	await(t, "notice of its end", func() bool { return v.Gone(7, 1) })
	if v.Gone(7, 2) || v.Gone(8, 1) {
		t.Error("another life, or another broker, is gone, too")
	}
	p.listen()
	await(t, "return", func() bool { return !v.Gone(7, 1) })
	await(t, "news of both", func() bool { return news.Load() == 2 })
	v.Watch([]Subject{{Broker: 7, Session: 2, Addr: p.addr}})
	if v.Gone(7, 1) {
		t.Error("a life that is not watched any more is gone")
	}
}

func TestWhatIsNoEnd(t *testing.T) {
	t.Run("connection is cut", func(t *testing.T) {
		p := start(t)
		v, _, news := watchFor(t, p.addr)
		for n := range int64(5) {
			await(t, "connection", func() bool { return p.tries.Load() > n })
			p.cut()
		}
		if v.Gone(7, 1) || news.Load() > 0 {
			t.Error("it is gone")
		}
	})
	t.Run("not reached yet", func(t *testing.T) {
		p := start(t)
		p.end()
		v, dials, news := watchFor(t, p.addr)
		await(t, "attempts", func() bool { return dials.Load() > 5 })
		if v.Gone(7, 1) || news.Load() > 0 {
			t.Error("it is gone")
		}
	})
	t.Run("it answers and closes", func(t *testing.T) {
		p := start(t)
		p.curt.Store(true)
		v, _, news := watchFor(t, p.addr)
		await(t, "connections", func() bool { return p.tries.Load() >= 5 })
		began, tries := time.Now(), p.tries.Load() // 32 ms, 64, 128, 256 are to pass, or more
		await(t, "connections", func() bool { return p.tries.Load() >= tries+4 })
		if took := time.Since(began); took < 200*time.Millisecond {
			t.Errorf("4 connections in %v", took)
		}
		if v.Gone(7, 1) || news.Load() > 0 {
			t.Error("it is gone")
		}
	})
	t.Run("another listener is there", func(t *testing.T) {
		p, other := start(t), start(t)
		v, _, _ := watchFor(t, p.addr, other.addr)
		await(t, "answer", func() bool { return p.answers.Load() == 1 })
		p.end()
		await(t, "attempts", func() bool { return other.tries.Load() > 5 })
		if v.Gone(7, 1) {
			t.Fatal("it is gone")
		}
		other.end()
		await(t, "notice of its end", func() bool { return v.Gone(7, 1) })
	})
}

// TestCloseAmidWatch closes Vigils that are told at this moment whom to watch: every watch ends.
func TestCloseAmidWatch(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	unreachable := func(context.Context, string) (*interbroker.Conn, error) { return nil, syscall.EHOSTUNREACH }
	for range 50 {
		v := New(Options{Dial: unreachable, Noticed: func(int32) {}, Logger: log})
		closed := make(chan struct{})
		var telling sync.WaitGroup
		for broker := range int32(4) {
			telling.Go(func() {
				for session := int64(1); ; session++ {
					v.Watch([]Subject{{Broker: broker, Session: session, Addr: "127.0.0.1:1"}})
					select {
					case <-closed:
						return
					default:
					}
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond) // any moment will do
		go func() {
			v.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Fatal("Close waits for a watch that nobody ends")
		}
		telling.Wait()
	}
}
