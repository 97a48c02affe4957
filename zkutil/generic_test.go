package zkutil_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/gregor-mq/gregor/zkutil"
)

func TestGenericOperations(t *testing.T) {
	ctx, c := within(t), connect(t)

	if _, err := c.Create(ctx, "/a/b", nil, zkutil.Persistent); !errors.Is(err, zkutil.ErrNoNode) {
		t.Errorf("create without a parent: %v", err)
	}
	path, err := c.CreateRecursive(ctx, "/a/b/c", []byte("x"), zkutil.Persistent)
	must(t, err)
	if path != "/a/b/c" {
		t.Errorf("created %q", path)
	}
	if _, err := c.Create(ctx, "/a/b/c", nil, zkutil.Persistent); !errors.Is(err, zkutil.ErrNodeExists) {
		t.Errorf("create twice: %v", err)
	}
	data, stat, err := c.Get(ctx, "/a/b/c")
	must(t, err)
	if string(data) != "x" || stat.Version != 0 {
		t.Errorf("got %q, %+v", data, stat)
	}
	if data, _, err := c.Get(ctx, "/a/b"); err != nil || data != nil {
		t.Errorf("a node without data has %v, %v; want nil", data, err)
	}
	stat, err = c.Set(ctx, "/a/b/c", []byte{}, 0)
	must(t, err)
	if data, _, err := c.Get(ctx, "/a/b/c"); err != nil || data == nil || len(data) != 0 || stat.Version != 1 {
		t.Errorf("a node with empty data has %v, %v, version %d", data, err, stat.Version)
	}
	if _, err := c.Set(ctx, "/a/b/c", nil, 0); !errors.Is(err, zkutil.ErrBadVersion) {
		t.Errorf("set with an old version: %v", err)
	}
	if exists, _, err := c.Exists(ctx, "/nobody"); exists || err != nil {
		t.Errorf("exists: %v, %v", exists, err)
	}
	if err := c.Delete(ctx, "/a/b", zkutil.AnyVersion); !errors.Is(err, zkutil.ErrNotEmpty) {
		t.Errorf("delete a parent: %v", err)
	}
	if _, err := c.Create(ctx, "a", nil, zkutil.Persistent); !errors.Is(err, zkutil.ErrInvalidPath) {
		t.Errorf("relative path: %v", err)
	}
	if _, err := c.Create(ctx, "/\U0001d11e", nil, zkutil.Persistent); !errors.Is(err, zkutil.ErrInvalidPath) {
		t.Errorf("a character that takes two in Java: %v", err)
	}
	if _, err := c.Set(ctx, "/a", make([]byte, 5<<20), -1); !errors.Is(err, zkutil.ErrTooLarge) {
		t.Errorf("5 MiB: %v", err)
	}
	for i := range 3 {
		path, err := c.Create(ctx, "/a/seq_", nil, zkutil.PersistentSequential)
		if want := fmt.Sprintf("/a/seq_%010d", i+1); err != nil || path != want {
			t.Errorf("sequential create %d: %q, %v; want %q", i, path, err, want)
		}
	}
	children, _, err := c.Children(ctx, "/a")
	if want := []string{"b", "seq_0000000001", "seq_0000000002", "seq_0000000003"}; err != nil || !slices.Equal(children, want) {
		t.Errorf("children %q, %v; want %q", children, err, want)
	}
	root, _, err := c.Children(ctx, "/")
	if err != nil || !slices.Equal(root, []string{"a"}) {
		t.Errorf("children of the chroot: %q, %v", root, err)
	}
	must(t, c.DeleteRecursive(ctx, "/a"))
	must(t, c.DeleteRecursive(ctx, "/a"))
	if exists, _, _ := c.Exists(ctx, "/a"); exists {
		t.Error("/a is still there")
	}

	wrapped, ok := errors.AsType[*zkutil.Error](c.Delete(ctx, "/a", -1))
	if !ok || wrapped.Op != "delete" || wrapped.Path != "/a" || wrapped.Error() != "zookeeper: delete /a: zk: node does not exist" {
		t.Errorf("error %+v", wrapped)
	}
}

func TestMulti(t *testing.T) {
	ctx, c := within(t), connect(t)
	results, err := c.Multi(ctx,
		zkutil.CreateOp("/a", []byte("1")),
		zkutil.CreateModeOp("/a/s_", nil, zkutil.PersistentSequential),
		zkutil.SetOp("/a", []byte("2"), 0),
		zkutil.CheckOp("/a", 1))
	must(t, err)
	if results[0].Path != "/a" || results[1].Path != "/a/s_0000000000" || results[2].Stat.Version != 1 || results[2].Stat.Czxid == 0 {
		t.Errorf("results %+v", results)
	}
	results, err = c.Multi(ctx,
		zkutil.DeleteOp("/a/s_0000000000", -1),
		zkutil.CheckOp("/a", 7),
		zkutil.DeleteOp("/a", -1))
	if !errors.Is(err, zkutil.ErrBadVersion) || err.Error() != "zookeeper: check /a: zk: version conflict" {
		t.Errorf("multi: %v", err)
	}
	for i, want := range []error{zkutil.ErrRolledBack, zkutil.ErrBadVersion, zkutil.ErrRolledBack} {
		if !errors.Is(results[i].Err, want) {
			t.Errorf("result %d: %v, want %v", i, results[i].Err, want)
		}
	}
	if _, err := c.Multi(ctx, zkutil.GetOp("/a")); err == nil {
		t.Error("a multi with a read succeeds")
	}
}

func TestBulk(t *testing.T) {
	ctx, c := within(t), connect(t)
	const n = 1000
	var creates []zkutil.Op
	var paths []string
	for i := range n {
		paths = append(paths, fmt.Sprintf("/n%04d", i))
		creates = append(creates, zkutil.CreateOp(paths[i], []byte(paths[i])))
	}
	for i, r := range c.Do(ctx, creates...) {
		if r.Err != nil || r.Path != paths[i] {
			t.Fatalf("create %d: %+v", i, r)
		}
	}
	paths[17] = "/nobody"
	for i, r := range c.GetAll(ctx, paths) {
		if i == 17 {
			if !errors.Is(r.Err, zkutil.ErrNoNode) {
				t.Errorf("absent node: %+v", r)
			}
		} else if r.Err != nil || string(r.Data) != paths[i] || r.Path != paths[i] {
			t.Fatalf("get %d: %+v", i, r)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for _, r := range c.GetAll(canceled, paths[:3]) {
		if !errors.Is(r.Err, context.Canceled) {
			t.Errorf("with an ended context: %v", r.Err)
		}
	}
}

func TestMultiBatch(t *testing.T) {
	ctx, c := within(t), connect(t)
	_, err := c.Create(ctx, "/guard", nil, zkutil.Persistent)
	must(t, err)
	guard := zkutil.CheckOp("/guard", 0)
	_, err = c.Create(ctx, "/n0300", nil, zkutil.Persistent)
	must(t, err)
	ops := []zkutil.Op{zkutil.SetOp("/n0300", nil, 9), zkutil.DeleteOp("/nobody", -1)}
	for i := range 1000 {
		ops = append(ops, zkutil.CreateOp(fmt.Sprintf("/n%04d", i), nil))
	}
	results, err := c.MultiBatch(ctx, guard, ops)
	must(t, err)
	for i, r := range results {
		var want error
		switch ops[i].Path() {
		case "/n0300":
			want = zkutil.ErrNodeExists
			if i == 0 {
				want = zkutil.ErrBadVersion
			}
		case "/nobody":
			want = zkutil.ErrNoNode
		}
		if !errors.Is(r.Err, want) || r.Path != ops[i].Path() {
			t.Errorf("operation %d on %s: %+v, want %v", i, ops[i].Path(), r, want)
		}
	}
	_, err = c.Set(ctx, "/guard", nil, -1)
	must(t, err)
	results, err = c.MultiBatch(ctx, guard, []zkutil.Op{zkutil.CreateOp("/late", nil), zkutil.CreateOp("/n0300", nil)})
	if !errors.Is(err, zkutil.ErrBadVersion) || !errors.Is(results[0].Err, zkutil.ErrBadVersion) || !errors.Is(results[1].Err, zkutil.ErrBadVersion) {
		t.Errorf("with a guard that has changed: %v, %+v", err, results)
	}
	if exists, _, _ := c.Exists(ctx, "/late"); exists {
		t.Error("done in spite of the guard")
	}
	if results, err := c.MultiBatch(ctx, guard, nil); err != nil || len(results) != 0 {
		t.Errorf("no operations: %v, %v", results, err)
	}
}

// TestMultiBatchLargeValues fills multis up to their size, not only their number of operations.
func TestMultiBatchLargeValues(t *testing.T) {
	ctx, c := within(t), connect(t)
	_, err := c.Create(ctx, "/guard", nil, zkutil.Persistent)
	must(t, err)
	var ops []zkutil.Op
	for i := range 20 {
		ops = append(ops, zkutil.CreateOp(fmt.Sprintf("/big%d", i), make([]byte, 100<<10)))
	}
	results, err := c.MultiBatch(ctx, zkutil.CheckOp("/guard", 0), ops)
	must(t, err)
	for _, r := range results {
		must(t, r.Err)
	}
}

// A server closes the connection on which it is sent more than it takes: such a request must not be
// sent again and again, and others must get through.
func TestLargerThanTheServerTakes(t *testing.T) {
	log, lines := logger()
	opts := options(t, sharedZooKeeper(t).Addr())
	opts.Logger = log
	c := connectWith(t, opts)
	ctx := within(t)
	create(t, c, "/a")
	for range 3 {
		if _, err := c.Set(ctx, "/a", make([]byte, 2<<20), -1); !errors.Is(err, zkutil.ErrTooLarge) {
			t.Fatalf("set 2 MiB: %v, want %v", err, zkutil.ErrTooLarge)
		}
		set(t, c, "/a")
	}
	if _, err := c.Set(ctx, "/a", make([]byte, 900_000), -1); err != nil {
		t.Errorf("set 900,000 bytes: %v", err)
	}
	if n := len(lines.all()); n > 20 {
		t.Errorf("%d lines were logged: %q", n, lines.all())
	}
}

func TestWatches(t *testing.T) {
	ctx, c := within(t), connect(t)
	events := make(chan zkutil.Event, 100)
	w := zkutil.NewWatcher(func(e zkutil.Event) { events <- e })
	expect := func(want ...zkutil.Event) {
		t.Helper()
		for _, want := range want {
			if got := next(t, events, "an event"); got != want {
				t.Errorf("event %+v, want %+v", got, want)
			}
		}
	}

	if _, _, err := c.GetW(ctx, "/a", w); !errors.Is(err, zkutil.ErrNoNode) {
		t.Fatal(err)
	}
	for range 3 { // thrice given is once called
		_, _, err := c.ExistsW(ctx, "/a", w)
		must(t, err)
	}
	create(t, c, "/a")
	expect(zkutil.Event{Type: zkutil.Created, Path: "/a"})
	set(t, c, "/a") // no watch is set
	for range 3 {
		_, _, err := c.GetW(ctx, "/a", w)
		must(t, err)
		_, _, err = c.ExistsW(ctx, "/a", w)
		must(t, err)
	}
	set(t, c, "/a")
	expect(zkutil.Event{Type: zkutil.DataChanged, Path: "/a"})
	_, _, err := c.ChildrenW(ctx, "/a", w)
	must(t, err)
	create(t, c, "/a/b")
	expect(zkutil.Event{Type: zkutil.ChildrenChanged, Path: "/a"})
	for _, r := range c.GetAllW(ctx, []string{"/a", "/a/b"}, w) {
		must(t, r.Err)
	}
	must(t, c.DeleteRecursive(ctx, "/a"))
	expect(zkutil.Event{Type: zkutil.Deleted, Path: "/a/b"}, zkutil.Event{Type: zkutil.Deleted, Path: "/a"})

	stopped := zkutil.NewWatcher(func(e zkutil.Event) { t.Errorf("a stopped watcher hears %+v", e) })
	_, _, err = c.ExistsW(ctx, "/a", stopped)
	must(t, err)
	_, _, err = c.ExistsW(ctx, "/a", w)
	must(t, err)
	stopped.Stop()
	create(t, c, "/a")
	expect(zkutil.Event{Type: zkutil.Created, Path: "/a"})
	if len(events) != 0 {
		t.Errorf("more events: %+v", <-events)
	}
}

func create(t testing.TB, c *zkutil.Client, path string) {
	t.Helper()
	_, err := c.Create(context.Background(), path, nil, zkutil.Persistent)
	must(t, err)
}

func set(t testing.TB, c *zkutil.Client, path string) {
	t.Helper()
	_, err := c.Set(context.Background(), path, []byte(time.Now().String()), zkutil.AnyVersion)
	must(t, err)
}

// TestCloseEndsTheSession also sees that Close does not give up waiting for ZooKeeper's answer, which takes go-zookeeper a second:
// of several one is quicker, however busy the machine.
func TestCloseEndsTheSession(t *testing.T) {
	ctx, other := within(t), connect(t)
	const tries, giveUp = 5, time.Second
	var took time.Duration
	for n := range tries {
		c := connect(t)
		_, err := c.Create(ctx, "/mine", nil, zkutil.Ephemeral)
		must(t, err)
		_, stat, err := other.Exists(ctx, "/mine")
		must(t, err)
		if stat.EphemeralOwner != c.SessionID() {
			t.Errorf("owner %x, session %x", stat.EphemeralOwner, c.SessionID())
		}
		began := time.Now()
		c.Close()
		c.Close() // does nothing
		took = time.Since(began)
		if exists, _, err := other.Exists(ctx, "/mine"); exists || err != nil {
			t.Errorf("the ephemeral node has outlived its session: %v, %v", exists, err)
		}
		if _, _, err := c.Get(ctx, "/"); !errors.Is(err, zkutil.ErrClosed) {
			t.Errorf("use after Close: %v", err)
		}
		if took < giveUp {
			return
		}
		t.Logf("Close %d took %v", n+1, took)
	}
	t.Errorf("Close took %v", took)
}

func TestChrootIsMadeOnce(t *testing.T) {
	ctx := within(t)
	opts := options(t, sharedZooKeeper(t).Addr())
	opts.Connect += "/deep/er"
	keep := opts
	keep.KeepChroot = true
	if _, err := zkutil.Connect(ctx, keep); !errors.Is(err, zkutil.ErrNoNode) {
		t.Errorf("with a chroot that is not to be made: %v", err)
	}
	for range 2 {
		c := connectWith(t, opts)
		if c.Chroot() != chroot(t)+"/deep/er" {
			t.Errorf("chroot %q", c.Chroot())
		}
		children, _, err := c.Children(ctx, "/")
		if diff := cmp.Diff([]string(nil), children); err != nil || len(children) > 0 {
			t.Errorf("%v %s", err, diff)
		}
	}
}

// TestWhyThereIsNoConnection: who waits for ZooKeeper hears where it is looked for, and in the end what stands in the way.
func TestWhyThereIsNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	logger, hook := logtest.NewNullLogger()
	opts := zkutil.Options{Connect: address, SessionTimeout: 5 * time.Second, ConnectionTimeout: 2 * time.Second, Logger: logger}
	_, err = zkutil.Connect(within(t), opts)
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, zkutil.ErrDisconnected) {
		t.Errorf("Connect: %v", err)
	}
	lines := hook.AllEntries()
	if len(lines) != 1 || lines[0].Message != "connecting to ZooKeeper" || lines[0].Data["servers"] != address {
		t.Errorf("logged %v", lines)
	}
}

func TestConnectTimeout(t *testing.T) {
	p := startProxy(t, "127.0.0.1:1")
	opts := options(t, p.addr())
	opts.ConnectionTimeout = 300 * time.Millisecond
	_, err := zkutil.Connect(within(t), opts)
	if !errors.Is(err, zkutil.ErrDisconnected) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v", err)
	}
}
