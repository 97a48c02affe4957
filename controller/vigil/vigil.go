package vigil

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/interbroker"
)

// Pauses between attempts: short ones while a process ends, during which its listener may outlive a connection. A connection
// that has lasted is followed by none.
const (
	firstPause = 2 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// patience bounds an attempt to connect and be answered.
const patience = 5 * time.Second

// Subject is a broker process to watch.
type Subject struct {
	Broker int32
	// Session is the ZooKeeper session in which the broker has registered: it tells one life of the broker from the next.
	Session int64
	Addr    string   // where it listens for other brokers
	Others  []string // where else it listens
}

func (s *Subject) equal(o *Subject) bool {
	return s.Broker == o.Broker && s.Session == o.Session && s.Addr == o.Addr && slices.Equal(s.Others, o.Others)
}

// Options configure a Vigil. All fields are required.
type Options struct {
	Dial func(ctx context.Context, addr string) (*interbroker.Conn, error)
	// Noticed is called when what Gone says of a broker has changed. It must not block.
	Noticed func(broker int32)
	Logger  logrus.FieldLogger
}

// Vigil watches brokers. Its methods may be called from any goroutine.
type Vigil struct {
	opts Options
	wg   sync.WaitGroup

	mu struct {
		sync.Mutex
		closed  bool
		watches map[int32]*watch
	}
}

// watch is the watch over one process; its goroutine ends with ctx.
type watch struct {
	*Vigil
	Subject
	log    logrus.FieldLogger
	cancel context.CancelFunc
	gone   bool // guarded by Vigil.mu
}

// New returns a Vigil that watches nobody yet.
func New(opts Options) *Vigil {
	v := &Vigil{opts: opts}
	v.mu.watches = map[int32]*watch{}
	return v
}

// Close ends all watches and returns when no goroutine is left.
func (v *Vigil) Close() {
	v.mu.Lock()
	v.mu.closed = true // at once: nobody would end a watch that begins after the others have been ended
	v.watchLocked(nil)
	v.mu.Unlock()
	v.wg.Wait()
}

// Watch makes the Vigil watch subjects, and nobody else. What it knows of one that it watches already it keeps.
func (v *Vigil) Watch(subjects []Subject) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.mu.closed {
		v.watchLocked(subjects)
	}
}

// watchLocked is Watch. It requires mu.
func (v *Vigil) watchLocked(subjects []Subject) {
	wanted := map[int32]*Subject{}
	for i := range subjects {
		wanted[subjects[i].Broker] = &subjects[i]
	}
	for id, w := range v.mu.watches {
		if s := wanted[id]; s != nil && w.equal(s) {
			delete(wanted, id)
			continue
		}
		w.cancel()
		delete(v.mu.watches, id)
	}
	for id, s := range wanted {
		ctx, cancel := context.WithCancel(context.Background())
		w := &watch{Vigil: v, Subject: *s, cancel: cancel, log: v.opts.Logger.WithField("broker", id)}
		v.mu.watches[id] = w
		v.wg.Go(func() { w.run(ctx) })
	}
}

// Gone reports whether the process is known to be gone that has registered broker in session.
func (v *Vigil) Gone(broker int32, session int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.mu.watches[broker]
	return w != nil && w.Session == session && w.gone
}

// run connects again and again, and notes what that shows.
func (w *watch) run(ctx context.Context) {
	var seen sight
	addr, pause := w.Addr, time.Duration(0)
	for ctx.Err() == nil {
		conn, o := w.connect(ctx, addr)
		if ctx.Err() != nil {
			return
		}
		seen = w.note(ctx, seen, o)
		if conn != nil {
			// The next attempt goes where this connection leads, whatever the name means by then.
			addr = conn.RemoteAddr().String()
			began := time.Now()
			err := conn.AwaitEnd(ctx)
			if ctx.Err() != nil {
				return
			}
			w.log.WithError(err).Debug("connection to the broker has ended")
			seen = w.note(ctx, seen, ended(err))
			if time.Since(began) > lastPause {
				pause = 0
				continue // at once: if its process has ended, that shows now
			}
		} else if !seen.closed {
			addr = w.Addr
		}
		pause = min(max(2*pause, firstPause), lastPause)
		sleep(ctx, pause)
	}
}

// note takes o into account, and tells of a change.
func (w *watch) note(ctx context.Context, before sight, o outcome) sight {
	after := before.after(o)
	if before.gone == after.gone {
		return after
	}
	w.mu.Lock()
	current := ctx.Err() == nil
	w.gone = after.gone
	w.mu.Unlock()
	if current {
		w.opts.Noticed(w.Broker)
	}
	return after
}

// connect opens a connection that a broker answers on; without one it says what that shows.
func (w *watch) connect(ctx context.Context, addr string) (*interbroker.Conn, outcome) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := w.opts.Dial(ctx, addr)
	if err != nil {
		o := failed(err, false)
		if o == refused {
			o = w.others(ctx)
		}
		return nil, o
	}
	if _, err = conn.RoundTrip(ctx, kmsg.NewPtrApiVersionsRequest()); err != nil {
		conn.Close()
		return nil, failed(err, true)
	}
	return conn, answered
}

// others says what the process's other listeners show, once the first refuses connections.
func (w *watch) others(ctx context.Context) outcome {
	for _, addr := range w.Others {
		conn, err := w.opts.Dial(ctx, addr)
		if err == nil {
			conn.Close()
			return cutShort
		}
		if failed(err, false) != refused {
			return unclear
		}
	}
	return refused
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
