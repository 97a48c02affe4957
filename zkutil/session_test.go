package zkutil_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// TestExpiredSession follows the end of a session: what fails, what is called in which order, and that
// all works again in the new one.
func TestExpiredSession(t *testing.T) {
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	log, lines := logger()
	opts := options(t, p.addr())
	opts.Logger = log
	c, other := connectWith(t, opts), connect(t)

	var calls []string // written by the event goroutine only, read after renewed
	renewed := make(chan int64, 10)
	expired := make(chan struct{})
	proceed := make(chan struct{})
	release := sync.OnceFunc(func() { close(proceed) })
	t.Cleanup(release)
	c.Subscribe(zkutil.Subscriber{
		Expired: func() {
			calls = append(calls, "first expired")
			close(expired)
			<-proceed
		},
		Renewed: func(int64) { calls = append(calls, "first renewed") },
	})
	cancel := c.Subscribe(zkutil.Subscriber{Expired: func() { t.Error("a subscriber that has left is called") }})
	c.Subscribe(zkutil.Subscriber{
		Expired: func() { calls = append(calls, "second expired") },
		Renewed: func(id int64) {
			calls = append(calls, "second renewed")
			_, err := c.Create(ctx, "/claim", nil, zkutil.Ephemeral) // callbacks may use the Client
			if err != nil {
				t.Error(err)
			}
			renewed <- id
		},
	})
	cancel()

	old := c.SessionID()
	_, err := c.Create(ctx, "/claim", nil, zkutil.Ephemeral)
	must(t, err)
	create(t, c, "/watched")
	w := zkutil.NewWatcher(func(e zkutil.Event) { t.Errorf("a watch of the dead session fires: %+v", e) })
	_, _, err = c.GetW(ctx, "/watched", w)
	must(t, err)

	p.expire()
	next(t, expired, "the call of Expired")
	for _, ctx := range []context.Context{ctx, zkutil.WithSession(ctx, old)} {
		if _, _, err := c.Get(ctx, "/watched"); !errors.Is(err, zkutil.ErrSessionExpired) {
			t.Errorf("while subscribers hear of the end: %v", err)
		}
	}
	if c.SessionID() != 0 || c.Connected() {
		t.Error("there seems to be a session")
	}
	if exists, _, err := other.Exists(ctx, "/claim"); exists || err != nil {
		t.Errorf("the claim has outlived its session: %v", err)
	}
	release()
	id := next(t, renewed, "the call of Renewed")
	if want := []string{"first expired", "second expired", "first renewed", "second renewed"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if id == old || id != c.SessionID() {
		t.Errorf("session %x before, %x after, current %x", old, id, c.SessionID())
	}
	_, stat, err := other.Exists(ctx, "/claim")
	if err != nil || stat.EphemeralOwner != id {
		t.Errorf("claim of %x, %v", stat.EphemeralOwner, err)
	}
	set(t, other, "/watched")
	if _, _, err := c.Get(zkutil.WithSession(ctx, old), "/watched"); !errors.Is(err, zkutil.ErrSessionExpired) {
		t.Errorf("an operation of the old session: %v", err)
	}
	if _, _, err := c.Get(zkutil.WithSession(ctx, id), "/watched"); err != nil {
		t.Errorf("an operation of the new session: %v", err)
	}
	joined := strings.Join(lines.all(), "\n")
	if strings.Count(joined, "session has expired") != 1 || strings.Count(joined, "session established") != 1 {
		t.Errorf("log:\n%s", joined)
	}
}

// TestOperationsAcrossExpiry has operations under way all the time while sessions die: each must succeed or
// say why not, and none may hang.
func TestOperationsAcrossExpiry(t *testing.T) {
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	c := connectWith(t, options(t, p.addr()))
	create(t, c, "/n")
	renewed := make(chan int64, 10)
	c.Subscribe(zkutil.Subscriber{Renewed: func(id int64) { renewed <- id }})

	var wg sync.WaitGroup
	var done atomic.Bool
	defer wg.Wait()
	defer done.Store(true)
	var succeeded, expired atomic.Int64
	for range 20 {
		wg.Go(func() {
			for !done.Load() {
				_, err := c.Set(ctx, "/n", nil, zkutil.AnyVersion)
				switch {
				case err == nil:
					succeeded.Add(1)
				case errors.Is(err, zkutil.ErrSessionExpired):
					expired.Add(1)
				default:
					t.Errorf("set: %v", err)
					return
				}
			}
		})
	}
	for range 5 {
		p.expire()
		next(t, renewed, "a new session")
	}
	done.Store(true)
	wg.Wait()
	if succeeded.Load() == 0 || expired.Load() == 0 {
		t.Errorf("%d operations succeeded, %d failed with their session", succeeded.Load(), expired.Load())
	}
}

// TestServerGoneAndBack stops and restarts a real server under a client.
func TestServerGoneAndBack(t *testing.T) {
	ctx := within(t)
	zk := cluster.StartZooKeeper(t)
	log, lines := logger()
	opts := options(t, zk.Addr())
	opts.Logger, opts.SessionTimeout = log, 30*time.Second
	c := connectWith(t, opts)
	var lost, back atomic.Int64
	c.Subscribe(zkutil.Subscriber{
		Disconnected: func() { lost.Add(1) },
		Connected:    func() { back.Add(1) },
		Expired:      func() { t.Error("the session has expired") },
	})
	session := c.SessionID()
	_, err := c.Create(ctx, "/claim", nil, zkutil.Ephemeral)
	must(t, err)
	events := make(chan zkutil.Event, 1)
	_, _, err = c.GetW(ctx, "/claim", zkutil.NewWatcher(func(e zkutil.Event) { events <- e }))
	must(t, err)

	for round, end := range []func(){zk.Stop, zk.Kill} {
		end()
		eventually(t, "the loss is noticed", func() bool { return !c.Connected() })
		goroutines := runtime.NumGoroutine()
		for range 20 {
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_, _, err := c.Get(short, "/claim")
			if !errors.Is(err, zkutil.ErrDisconnected) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("without a server: %v", err)
			}
			cancel()
		}
		if now := runtime.NumGoroutine(); now > goroutines+5 {
			t.Errorf("%d goroutines have become %d", goroutines, now)
		}
		answer := make(chan error, 1)
		go func() {
			_, err := c.Set(ctx, "/claim", fmt.Append(nil, round), zkutil.AnyVersion)
			answer <- err
		}()
		zk.Start(t)
		must(t, next(t, answer, "the answer to what was asked meanwhile"))
		if c.SessionID() != session {
			t.Errorf("session %x has become %x", session, c.SessionID())
		}
	}
	if e := next(t, events, "the event of a watch set before"); e.Type != zkutil.DataChanged {
		t.Errorf("event %+v", e)
	}
	eventually(t, "callbacks", func() bool { return lost.Load() == 2 && back.Load() == 2 })
	all := lines.all()
	if len(all) != 1+4 {
		t.Errorf("log, of which 1 line at the start and 2 a round are wanted:\n%s", strings.Join(all, "\n"))
	}
}

// TestFrozenServer checks that a server which accepts connections and says nothing does not hold up Close or
// an operation beyond its context.
func TestFrozenServer(t *testing.T) {
	ctx := within(t)
	zk := cluster.StartZooKeeper(t)
	opts := options(t, zk.Addr())
	opts.SessionTimeout = 6 * time.Second
	c := connectWith(t, opts)
	create(t, c, "/n")
	expired := make(chan struct{}, 1)
	c.Subscribe(zkutil.Subscriber{Expired: func() { expired <- struct{}{} }})
	zk.Pause()
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // long enough for the request to be sent, and shorter than the silence that is noticed
	defer cancel()
	_, err := c.Set(short, "/n", nil, zkutil.AnyVersion)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, zkutil.ErrOutcomeUnknown) {
		t.Errorf("set on a frozen server: %v", err)
	}
	eventually(t, "the silence is noticed", func() bool { return !c.Connected() })
	began := time.Now()
	c.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	zk.Resume()
}

// TestAnotherServerTakesOver has one way to ZooKeeper fail after the other, by a cut and by silence; the session
// moves to the third with its ephemeral node and its watch.
func TestAnotherServerTakesOver(t *testing.T) {
	ctx := within(t)
	zk := sharedZooKeeper(t)
	proxies := []*proxy{startProxy(t, zk.Addr()), startProxy(t, zk.Addr()), startProxy(t, zk.Addr())}
	opts := options(t, proxies[0].addr()+","+proxies[1].addr()+","+proxies[2].addr())
	opts.SessionTimeout = 6 * time.Second
	c, other := connectWith(t, opts), connect(t)
	c.Subscribe(zkutil.Subscriber{Expired: func() { t.Error("the session has expired") }})
	_, err := c.Create(ctx, "/claim", nil, zkutil.Ephemeral)
	must(t, err)
	events := make(chan zkutil.Event, 1)
	_, _, err = c.GetW(ctx, "/claim", zkutil.NewWatcher(func(e zkutil.Event) { events <- e }))
	must(t, err)
	used := func() *proxy {
		for _, p := range proxies {
			p.mu.Lock()
			n := len(p.mu.conns)
			p.mu.Unlock()
			if n > 0 {
				return p
			}
		}
		t.Fatal("no proxy is in use")
		return nil
	}
	used().cut(true)
	_, _, err = c.Get(ctx, "/claim")
	must(t, err)
	used().freeze()
	set(t, other, "/claim")
	if e := next(t, events, "the event of a change during the silence"); e.Type != zkutil.DataChanged {
		t.Errorf("event %+v", e)
	}
	_, stat, err := c.Get(ctx, "/claim")
	if err != nil || stat.EphemeralOwner != c.SessionID() {
		t.Errorf("claim %+v, %v", stat, err)
	}
}

// TestWatchesSurviveReconnection changes watched nodes while the client is cut off, again and again, with other
// requests pressing in at the moment of reconnection. No change may go unheard.
func TestWatchesSurviveReconnection(t *testing.T) {
	if raceEnabled {
		t.Skip("go-zookeeper has a race that transport makes up for")
	}
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	opts := options(t, p.addr())
	opts.SessionTimeout = 20 * time.Second
	c, other := connectWith(t, opts), connect(t)
	const nodes = 50
	var paths []string
	for i := range nodes {
		paths = append(paths, fmt.Sprintf("/n%d", i))
		create(t, c, paths[i])
	}
	var wg sync.WaitGroup
	var done atomic.Bool
	defer wg.Wait()
	defer done.Store(true)
	for range 4 {
		wg.Go(func() {
			for !done.Load() {
				if _, _, err := c.Get(ctx, "/n0"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	events := make(chan zkutil.Event, 10*nodes)
	w := zkutil.NewWatcher(func(e zkutil.Event) { events <- e })
	for round := range 10 {
		for _, r := range c.GetAllW(ctx, paths, w) {
			must(t, r.Err)
		}
		created := fmt.Sprintf("/new%d", round)
		_, _, err := c.ExistsW(ctx, created, w)
		must(t, err)
		_, _, err = c.ChildrenW(ctx, "/", w)
		must(t, err)
		p.cut(true)
		for _, path := range paths {
			set(t, other, path)
		}
		create(t, other, created)
		p.heal()
		heard := map[zkutil.Event]bool{}
		for range nodes + 2 {
			heard[next(t, events, fmt.Sprintf("event %d of round %d", len(heard), round))] = true
		}
		if len(heard) != nodes+2 || !heard[zkutil.Event{Type: zkutil.Created, Path: created}] || !heard[zkutil.Event{Type: zkutil.ChildrenChanged, Path: "/"}] {
			t.Errorf("round %d: heard of %d changes: %v", round, len(heard), heard)
		}
	}
	done.Store(true)
	wg.Wait()
	if p.count(opSetWatches) == 0 {
		t.Error("no watches were set again")
	}
}

func TestLostAnswers(t *testing.T) {
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	opts := options(t, p.addr())
	opts.SessionTimeout = 20 * time.Second
	c := connectWith(t, opts)
	create(t, c, "/old")
	fence := electFirst(t, c, 1)

	tests := []struct {
		name string
		op   int32
		do   func() error
		want error
	}{
		{name: "create", op: opCreate, do: func() error {
			_, err := c.Create(ctx, "/a", []byte("mine"), zkutil.Persistent)
			return err
		}},
		{name: "create of an ephemeral node", op: opCreate, do: func() error {
			_, err := c.Create(ctx, "/e", []byte("mine"), zkutil.Ephemeral)
			return err
		}},
		{name: "create of what another has made", op: opCreate, want: zkutil.ErrNodeExists, do: func() error {
			_, err := c.Create(ctx, "/old", []byte("mine"), zkutil.Persistent)
			return err
		}},
		{name: "set with a version", op: opSetData, do: func() error {
			stat, err := c.Set(ctx, "/old", []byte("new"), 0)
			if err == nil && stat.Version != 1 {
				return fmt.Errorf("version %d", stat.Version)
			}
			return err
		}},
		{name: "set with an old version", op: opSetData, want: zkutil.ErrBadVersion, do: func() error {
			_, err := c.Set(ctx, "/old", []byte("newer"), 0)
			return err
		}},
		{name: "multi", op: opMulti, do: func() error {
			results, err := c.Multi(ctx, zkutil.CheckOp("/old", 1), zkutil.CreateOp("/m", []byte("1")),
				zkutil.SetOp("/m", []byte("2"), 0), zkutil.DeleteOp("/a", 0))
			if err == nil && results[2].Stat.Version != 1 {
				return fmt.Errorf("results %+v", results)
			}
			return err
		}},
		{name: "multi that was refused", op: opMulti, want: zkutil.ErrNodeExists, do: func() error {
			_, err := c.Multi(ctx, zkutil.CheckOp("/old", 1), zkutil.CreateOp("/m", []byte("9")))
			return err
		}},
		{name: "multi with a sequential node", op: opMulti, want: zkutil.ErrOutcomeUnknown, do: func() error {
			_, err := c.Multi(ctx, zkutil.CreateModeOp("/s_", nil, zkutil.PersistentSequential), zkutil.CreateOp("/after", nil))
			return err
		}},
		{name: "delete", op: opDelete, do: func() error { return c.Delete(ctx, "/m", zkutil.AnyVersion) }},
		{name: "fenced batch", op: opMulti, do: func() error {
			results, err := c.Fenced(ctx, fence, zkutil.CreateOp("/f1", nil), zkutil.SetOp("/old", []byte("fenced"), 1), zkutil.CreateOp("/f2", []byte("2")))
			for _, r := range results {
				err = errors.Join(err, r.Err)
			}
			if results[1].Stat.Version != 2 {
				return fmt.Errorf("results %+v", results)
			}
			return err
		}},
		{name: "get", op: opGetData, do: func() error {
			data, _, err := c.Get(ctx, "/old")
			if string(data) != "fenced" {
				return fmt.Errorf("got %q", data)
			}
			return err
		}},
		{name: "broker registration", op: opMulti, do: func() error {
			epoch, err := c.RegisterBroker(ctx, broker(5))
			if _, stat, _ := c.Exists(ctx, zkutil.BrokerPath(5)); stat.Czxid != epoch || stat.Version != 1 {
				return fmt.Errorf("epoch %d, %+v", epoch, stat)
			}
			return err
		}},
		{name: "producer ids", op: opSetData, do: func() error {
			_, err := c.AllocateProducerIDs(ctx, 5)
			return err
		}},
		{name: "partition state", op: opSetData, do: func() error {
			s, err := c.WritePartitionState(ctx, part, zkutil.PartitionState{Leader: 7, ISR: []int32{7}})
			if err == nil && s.Version != 1 {
				return fmt.Errorf("state %+v", s)
			}
			return err
		}},
	}
	must(t, c.EnsurePersistentPaths(ctx))
	_, err := c.CreateRecursive(ctx, zkutil.PartitionStatePath(part), nil, zkutil.Persistent)
	must(t, err)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lost := p.loseAnswer(tt.op)
			if err := tt.do(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			next(t, lost, "the loss of an answer")
		})
	}
}

func TestLostAnswerOfElection(t *testing.T) {
	ctx := within(t)
	p := startProxy(t, sharedZooKeeper(t).Addr())
	opts := options(t, p.addr())
	opts.SessionTimeout = 20 * time.Second
	c := connectWith(t, opts)
	for epoch := int32(1); epoch <= 3; epoch++ {
		lost := p.loseAnswer(opMulti)
		f, err := c.ElectController(ctx, 4, int64(epoch))
		must(t, err)
		next(t, lost, "the loss of an answer")
		if f != (zkutil.Fence{Epoch: epoch, Version: epoch}) {
			t.Errorf("fence %+v, want epoch %d", f, epoch)
		}
		lost = p.loseAnswer(opMulti)
		must(t, c.Resign(ctx, f))
		next(t, lost, "the loss of an answer")
	}
}
