package zkutil

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

// session is one ZooKeeper session: one zk.Conn, which reconnects by itself as long as the session
// lives.
//
// go-zookeeper would hide the end of a session: it quietly makes a new one on the same zk.Conn. Here
// the first StateExpired is the end: dial then refuses, so that no request can reach another session.
type session struct {
	client *Client
	conn   *zk.Conn
	events <-chan zk.Event // closed when conn's goroutines are gone
	ready  chan struct{}   // closed once conn is set

	cancelDial context.CancelFunc

	ended     atomic.Bool // expired or closed
	watches   watches
	sessionID atomic.Int64

	// Guarded by Client.mu.
	connected   bool // requests may be sent
	established bool // there was a connection

	mu struct {
		sync.Mutex
		transport *transport // the latest
		waiting   bool       // for SetWatches to be out before requests go through
		refusal   error      // why the latest dial failed; nil if it did not
	}
}

var errSessionEnded = errors.New("session has ended")

// quiet discards what go-zookeeper logs; the Client says in its own words what matters.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// newSession begins a session. It does not wait for the connection.
func newSession(c *Client) (*session, error) {
	s := &session{client: c, ready: make(chan struct{})}
	addresses := new(servers)
	ctx, cancel := context.WithCancel(context.Background())
	dial := func(network, address string, _ time.Duration) (net.Conn, error) {
		select {
		case <-time.After(addresses.pause()):
		case <-ctx.Done():
		}
		return s.dial(ctx, network, address)
	}
	conn, events, err := zk.Connect(c.servers, c.opts.SessionTimeout,
		zk.WithDialer(dial), zk.WithHostProvider(addresses), zk.WithEventCallback(s.onEvent),
		zk.WithLogger(quiet{}), zk.WithLogInfo(false),
		zk.WithMaxConnBufferSize(maxRequestBytes+1024))
	if err != nil {
		cancel()
		return nil, err
	}
	s.conn, s.events, s.cancelDial = conn, events, cancel
	close(s.ready)
	return s, nil
}

// id returns the session's id, also after its end, or 0 before it has one.
func (s *session) id() int64 { return s.sessionID.Load() }

// String returns the id as ZooKeeper's logs write it.
func (s *session) String() string { return fmt.Sprintf("0x%x", uint64(s.id())) }

// dial connects to one server of the ensemble for go-zookeeper.
func (s *session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.ended.Load() {
		return nil, errSessionEnded
	}
	patience := s.client.patience()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.client.opts.Dial(ctx, network, address)
	s.mu.Lock()
	s.mu.refusal = err
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	t := newTransport(conn, patience, s.onSetWatches, func() { s.client.onDisconnected(s) })
	s.mu.Lock()
	s.mu.transport = t
	s.mu.Unlock()
	if s.ended.Load() {
		t.Close()
		return nil, errSessionEnded
	}
	return t, nil
}

// refusal says why no server could be dialled, nil if the latest one could.
func (s *session) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.refusal
}

// patience returns how long one server may take to accept a connection, and then to accept the session.
// All servers can be tried three times within a session timeout. (The Java client tries each once; but a
// server that is asked while it starts may stay silent for ever.)
func (c *Client) patience() time.Duration {
	share := c.opts.SessionTimeout / time.Duration(len(c.servers))
	return max(share/3, min(share, time.Second))
}

// onEvent takes go-zookeeper's events, on its goroutines. It must not block.
func (s *session) onEvent(e zk.Event) {
	<-s.ready
	switch {
	case s.ended.Load():
	case e.Type == zk.EventSession && e.State == zk.StateHasSession:
		s.sessionID.Store(s.conn.SessionID())
		s.mu.Lock()
		s.mu.waiting = s.watches.anyArmed()
		waiting := s.mu.waiting
		s.mu.Unlock()
		if !waiting {
			s.client.onConnected(s)
		}
	case e.Type == zk.EventSession && e.State == zk.StateDisconnected:
		s.client.onDisconnected(s)
	case e.Type == zk.EventSession && e.State == zk.StateExpired:
		s.ended.Store(true)
		s.client.onExpired(s)
	case e.Type > 0:
		if watchers := s.watches.take(e.Type, e.Path); len(watchers) > 0 {
			s.client.onChange(s, watchers, Event{Type: e.Type, Path: s.client.strip(e.Path)})
		}
	}
}

// onSetWatches lets requests through after a reconnection.
func (s *session) onSetWatches() {
	s.mu.Lock()
	waited := s.mu.waiting
	s.mu.waiting = false
	s.mu.Unlock()
	if waited {
		s.client.onConnected(s)
	}
}

// close ends the session on the server, so that its ephemeral nodes vanish now, and returns when
// all goroutines of go-zookeeper are gone. Without a connection it gives up after a second, and the
// server ends the session when it times out.
func (s *session) close() {
	s.conn.Close()
	s.ended.Store(true) // not before: go-zookeeper may need one more connection to say goodbye
	s.cancelDial()
	s.mu.Lock()
	t := s.mu.transport
	s.mu.Unlock()
	if t != nil {
		t.Close()
	}
	for range s.events {
	}
}

// call sends op and waits for its answer, which comes at the latest when the connection is lost. The
// error in the result is go-zookeeper's.
func (s *session) call(op *Op) Result {
	if s.ended.Load() {
		return Result{Err: zk.ErrConnectionClosed}
	}
	path := op.path
	if !op.raw {
		path = s.client.full(path)
	}
	switch op.kind {
	case kindGet, kindExists, kindChildren:
		if op.watcher != nil {
			return s.readWatched(op, path)
		}
		return s.read(op, path)
	case kindCreate:
		created, err := s.conn.Create(path, op.data, int32(op.mode), s.client.acl(op))
		if err == nil && !op.raw {
			created = s.client.strip(created)
		}
		return Result{Path: created, Err: err}
	case kindSet:
		stat, err := s.conn.Set(path, op.data, op.version)
		return statResult(op, stat, err)
	case kindDelete:
		return Result{Path: op.path, Err: s.conn.Delete(path, op.version)}
	case kindCheck:
		multi := Op{kind: kindMulti, subs: []Op{*op}}
		return s.multi(&multi)
	default:
		return s.multi(op)
	}
}

func statResult(op *Op, stat *Stat, err error) Result {
	r := Result{Path: op.path, Err: err}
	if err == nil && stat != nil {
		r.Stat = *stat
	}
	return r
}

func (s *session) read(op *Op, path string) Result {
	switch op.kind {
	case kindGet:
		data, stat, err := s.conn.Get(path)
		r := statResult(op, stat, err)
		r.Data = data
		return r
	case kindExists:
		exists, stat, err := s.conn.Exists(path)
		r := statResult(op, stat, err)
		r.Exists = exists && err == nil
		return r
	default:
		children, stat, err := s.conn.Children(path)
		r := statResult(op, stat, err)
		sort.Strings(children)
		r.Children = children
		return r
	}
}

// readWatched reads with op's watcher set; see type watches.
func (s *session) readWatched(op *Op, path string) Result {
	kinds := map[opKind][]watchKind{
		kindGet: {watchData}, kindExists: {watchData, watchExist}, kindChildren: {watchChild},
	}[op.kind]
	keys := make([]watchKey, len(kinds))
	for i, kind := range kinds {
		keys[i] = watchKey{path, kind}
	}
	p := s.watches.begin(op.watcher, keys...)
	var r Result
	if p.arms {
		r = s.readArming(op, path)
	} else {
		r = s.read(op, path)
	}
	kept := kinds[0]
	if op.kind == kindExists && !r.Exists {
		kept = watchExist
	}
	p.end(kept, r.Err == nil)
	return r
}

// readArming reads with a watch on the server. The channels are left alone: the events come through
// onEvent.
func (s *session) readArming(op *Op, path string) Result {
	switch op.kind {
	case kindGet:
		data, stat, _, err := s.conn.GetW(path)
		r := statResult(op, stat, err)
		r.Data = data
		return r
	case kindExists:
		exists, stat, _, err := s.conn.ExistsW(path)
		r := statResult(op, stat, err)
		r.Exists = exists && err == nil
		return r
	default:
		children, stat, _, err := s.conn.ChildrenW(path)
		r := statResult(op, stat, err)
		sort.Strings(children)
		r.Children = children
		return r
	}
}

// multi sends the operations of op as one transaction. If it failed, the first operation at fault
// gives the error of the whole; ZooKeeper reports the operations around it as rolled back.
func (s *session) multi(op *Op) Result {
	requests := make([]any, len(op.subs))
	for i := range op.subs {
		sub := &op.subs[i]
		path := s.client.full(sub.path)
		switch sub.kind {
		case kindCreate:
			requests[i] = &zk.CreateRequest{Path: path, Data: sub.data, Acl: s.client.acl(sub), Flags: int32(sub.mode)}
		case kindSet:
			requests[i] = &zk.SetDataRequest{Path: path, Data: sub.data, Version: sub.version}
		case kindDelete:
			requests[i] = &zk.DeleteRequest{Path: path, Version: sub.version}
		case kindCheck:
			requests[i] = &zk.CheckVersionRequest{Path: path, Version: sub.version}
		default:
			return Result{Err: errors.New("a multi cannot hold " + sub.kind.String())}
		}
	}
	answers, err := s.conn.Multi(requests...)
	r := Result{Err: err}
	if len(answers) != len(op.subs) {
		return r
	}
	r.subs = make([]Result, len(answers))
	atFault := slices.IndexFunc(answers, func(a zk.MultiResponse) bool { return a.Error != nil })
	for i, a := range answers {
		if atFault >= 0 && i != atFault {
			a.Error = ErrRolledBack
		}
		sub := statResult(&op.subs[i], a.Stat, a.Error)
		if a.Error == nil && a.String != "" {
			sub.Path = s.client.strip(a.String)
		}
		r.subs[i] = sub
	}
	return r
}
