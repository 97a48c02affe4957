package zkutil_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/zkutil"
)

// shared is the ZooKeeper of all tests that do not stop it; each has a chroot of its own.
var shared struct {
	sync.Once
	zk  *cluster.ZooKeeper
	dir string
	err error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.zk != nil {
		shared.zk.Kill()
	}
	os.RemoveAll(shared.dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func sharedZooKeeper(t testing.TB) *cluster.ZooKeeper {
	t.Helper()
	shared.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "zkutil"); shared.err == nil {
			shared.zk, shared.err = cluster.NewZooKeeper(shared.dir)
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.zk
}

var (
	chroots     sync.Map // testing.TB -> string
	chrootCount atomic.Int64
)

// chroot names a chroot after the test, and its run for -count.
func chroot(t testing.TB) string {
	name := fmt.Sprintf("/%s_%d", strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()), chrootCount.Add(1))
	own, _ := chroots.LoadOrStore(t, name)
	return own.(string)
}

// options are what tests connect with: short sessions, the test's chroot.
func options(t testing.TB, addr string) zkutil.Options {
	return zkutil.Options{Connect: addr + chroot(t), SessionTimeout: 5 * time.Second, ConnectionTimeout: 30 * time.Second}
}

func connectWith(t testing.TB, opts zkutil.Options) *zkutil.Client {
	t.Helper()
	c, err := zkutil.Connect(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t testing.TB) *zkutil.Client {
	t.Helper()
	return connectWith(t, options(t, sharedZooKeeper(t).Addr()))
}

// within returns a context for the whole test that ends well before a hanging test would.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience bounds each wait, on a slow machine too.
const patience = time.Minute

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// next returns the next value of ch, which must come.
func next[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
		panic("unreachable")
	}
}

// logLines collects log messages.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) Levels() []logrus.Level { return logrus.AllLevels }

func (l *logLines) Fire(e *logrus.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, e.Message)
	return nil
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

func logger() (*logrus.Logger, *logLines) {
	lines := new(logLines)
	log := logrus.New()
	log.SetOutput(devNull{})
	log.AddHook(lines)
	return log, lines
}

type devNull struct{}

func (devNull) Write(p []byte) (int, error) { return len(p), nil }
