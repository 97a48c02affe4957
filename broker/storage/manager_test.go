package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

func partition(i int) topic.Partition { return topic.Partition{Topic: "orders", Index: int32(i)} }

func TestOneBrokerForADirectory(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, testOptions(vfs.OS, dir))
	if _, err := Open(testOptions(vfs.OS, dir)); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second broker: %v", err)
	}
	if _, err := Open(testOptions(vfs.NewMem(), "a", "./a")); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("one directory twice: %v", err)
	}
}

func TestDirectoriesThatStopTheBroker(t *testing.T) {
	tests := []struct {
		name string
		dirs []string
		ok   bool
	}{
		{"a foreign directory", []string{"a/lost+found"}, false},
		{"a partition that is no number", []string{"a/orders-x"}, false},
		{"a replica in two directories", []string{"a/orders-0", "b/orders-0"}, false},
		{"Kafka's other directories", []string{"a/remote-log-index-cache", "a/__cluster_metadata-0"}, true},
		{"a future and a stray replica", []string{"a/orders-0.0123456789abcdef0123456789abcdef-future", "b/orders-0.0123456789abcdef0123456789abcdef-stray"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fsys := vfs.NewMem()
			for _, d := range append(tt.dirs, "a", "b") {
				if err := fsys.MkdirAll(d); err != nil {
					t.Fatal(err)
				}
			}
			m, err := Open(testOptions(fsys, "a", "b"))
			if tt.ok != (err == nil) {
				t.Fatalf("open: %v", err)
			}
			if err == nil {
				if n := len(slices.Collect(m.Logs())); n != 0 {
					t.Errorf("%d logs", n)
				}
				m.Close()
			}
		})
	}
}

func TestRefusedStartStaysClean(t *testing.T) {
	fsys := loadFixture(t)
	if err := fsys.MkdirAll("data/lost+found"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(loadOptions(fsys)); err == nil {
		t.Fatal("opened")
	}
	if exists, _ := vfs.Exists(fsys, "data/"+checkpoint.CleanShutdown); !exists {
		t.Error("the mark of the clean stop is gone")
	}
	remove(t, fsys, "data/lost+found")
	mustOpen(t, loadOptions(fsys))
}

func TestCreateGoesWhereTheFewestReplicasAre(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.NewMem(), "a", "b", "c"))
	for i := range 7 {
		mustCreate(t, m, partition(i), DefaultLogConfig())
	}
	got := map[string]int{}
	for _, d := range m.Dirs() {
		got[d.Path] = d.Logs
	}
	if got["a"] != 3 || got["b"] != 2 || got["c"] != 2 {
		t.Errorf("logs: %v", got)
	}
	l, err := m.Create(partition(7), CreateOptions{New: true, Dir: "a"})
	if err != nil || l.Dir() != "a" {
		t.Errorf("preferred directory: %v", err)
	}
	if _, err := m.Create(partition(7), CreateOptions{New: true}); !errors.Is(err, ErrExists) {
		t.Errorf("a second time: %v", err)
	}
}

func TestCreateInParallel(t *testing.T) {
	m := mustOpen(t, testOptions(vfs.NewMem(), "a", "b"))
	var wg sync.WaitGroup
	for i := range 100 {
		for range 2 { // one of the two is refused
			wg.Go(func() {
				if _, err := m.Create(partition(i), CreateOptions{New: true}); err != nil && !errors.Is(err, ErrExists) {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if d := m.Dirs(); d[0].Logs != 50 || d[1].Logs != 50 {
		t.Errorf("logs: %+v", d)
	}
}

// failures collects what the hooks are told.
type failures struct {
	mu  sync.Mutex
	got []string
}

func (f *failures) hook(o *Options) {
	o.OnDirFailure = func(dir string, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, dir)
	}
	o.OnAllDirsFailed = func(error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, "all")
	}
}

func TestFailedDirectory(t *testing.T) {
	var broken sync.Map // prefixes of paths that fail
	fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		var err error
		broken.Range(func(dir, _ any) bool {
			if strings.HasPrefix(op.Path, dir.(string)+"/") {
				err = fmt.Errorf("%s is broken", dir)
			}
			return err == nil
		})
		return err
	})
	o := testOptions(fsys, "a", "b")
	var hooks failures
	hooks.hook(&o)
	m := mustOpen(t, o)
	var logs []*Log
	for i := range 4 {
		l := mustCreate(t, m, partition(i), DefaultLogConfig())
		appendRecords(t, l, 0, 1)
		logs = append(logs, l)
	}
	broken.Store("a", true)
	for _, l := range logs { // twice: the first error and those after
		for range 2 {
			_, err := l.AppendLeader(batch(t, batchOpts{timestamp: testNow}), AppendOptions{Now: testNow})
			if want := l.Dir() == "a"; want != errors.Is(err, ErrStorage) || !want && err != nil {
				t.Errorf("append in %s: %v", l.Dir(), err)
			}
		}
		if _, err := l.Read(0, 100, 1, true); (l.Dir() == "a") != errors.Is(err, ErrStorage) {
			t.Errorf("read in %s: %v", l.Dir(), err)
		}
	}
	if _, err := m.Create(partition(9), CreateOptions{}); !errors.Is(err, ErrStorage) {
		t.Errorf("create what may be on the failed directory: %v", err)
	}
	l, err := m.Create(partition(9), CreateOptions{New: true})
	if err != nil || l.Dir() != "b" {
		t.Errorf("create a new replica: %v", err)
	}
	if err := m.Delete(logs[0].Partition()); !errors.Is(err, ErrStorage) {
		t.Errorf("delete on the failed directory: %v", err)
	}
	broken.Store("b", true)
	m.CheckpointHighWatermarks()
	if _, err := m.Create(partition(10), CreateOptions{New: true}); !errors.Is(err, ErrStorage) {
		t.Errorf("create without a directory: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if want := []string{"a", "b", "all"}; !slices.Equal(hooks.got, want) {
		t.Errorf("hooks: %v, want %v", hooks.got, want)
	}
	broken.Clear()
	m = mustOpen(t, testOptions(fsys, "a", "b"))
	for i := range 4 {
		if l := m.Log(partition(i)); l == nil || l.EndOffset() < 1 {
			t.Errorf("log %d is gone", i)
		}
	}
}

func TestFailureAtStart(t *testing.T) {
	mem := vfs.NewMem()
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if op.Path == "a/.lock" {
			return errors.New("broken")
		}
		return nil
	})
	o := testOptions(fsys, "a", "b")
	var hooks failures
	hooks.hook(&o)
	m := mustOpen(t, o)
	if d := m.Dirs(); !d[0].Offline || d[1].Offline || d[0].Total != -1 || d[1].Total <= 0 {
		t.Errorf("directories: %+v", d)
	}
	m.Close()
	if !slices.Equal(hooks.got, []string{"a"}) {
		t.Errorf("hooks: %v", hooks.got)
	}
	o.Dirs = []string{"a"}
	if _, err := Open(o); !errors.Is(err, ErrStorage) {
		t.Errorf("no directory at all: %v", err)
	}
}

// TestVanishedDirectory is found out by the next checkpoint, although there is nothing to write.
func TestVanishedDirectory(t *testing.T) {
	fsys := vfs.NewMem()
	o := testOptions(fsys, "a", "b")
	var hooks failures
	hooks.hook(&o)
	m := mustOpen(t, o)
	m.CheckpointHighWatermarks()
	m.CheckpointHighWatermarks()
	if d := m.Dirs(); d[0].Offline || d[1].Offline {
		t.Fatalf("directories: %+v", d)
	}
	if err := fsys.Rename("b", "gone"); err != nil {
		t.Fatal(err)
	}
	m.CheckpointHighWatermarks()
	if d := m.Dirs(); d[0].Offline || !d[1].Offline {
		t.Errorf("directories: %+v", d)
	}
	m.Close()
	if !slices.Equal(hooks.got, []string{"b"}) {
		t.Errorf("hooks: %v", hooks.got)
	}
}

// TestReadersOfADeletedLog: who has found something to read gets it until the files are removed, also if they are to be
// opened again.
func TestReadersOfADeletedLog(t *testing.T) {
	m, err := open(testOptions(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := DefaultLogConfig()
	c.FileDeleteDelayMs = 0
	l := mustCreate(t, m, orders, c)
	appendRecords(t, l, 0, 20)
	l.SetHighWatermark(20)
	r, err := l.Read(10, 100, 20, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(orders); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := r.Section.ReadAt(make([]byte, 10), 0); n != 10 || err != nil {
			t.Errorf("%d bytes before the files are removed: %v", n, err)
		}
		m.closeFiles()
	}
	m.env.sched.runDue(context.Background())
	if _, err := r.Section.ReadAt(make([]byte, 10), 0); !errors.Is(err, vfs.ErrSlotClosed) {
		t.Errorf("when the files are removed: %v", err)
	}
}

func TestDelete(t *testing.T) {
	fsys := vfs.NewMem()
	o := testOptions(fsys)
	m, err := open(o)
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultLogConfig()
	c.FileDeleteDelayMs = 0
	l := mustCreate(t, m, orders, c)
	appendRecords(t, l, 0, 20)
	l.SetHighWatermark(20)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.IncrementStartOffset(9); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(*dir) error{(*dir).checkpointRecoveryPoints, (*dir).checkpointStarts, (*dir).checkpointHighWatermarks} {
		m.eachDir(f)()
	}
	if err := m.Delete(orders); err != nil {
		t.Fatal(err)
	}
	if m.Log(orders) != nil || m.Delete(orders) != nil || m.Dirs()[0].Logs != 0 {
		t.Error("the log is still there")
	}
	for name, err := range map[string]error{
		"append": func() error { _, err := l.AppendLeader(batch(t, batchOpts{}), AppendOptions{}); return err }(),
		"read":   func() error { _, err := l.Read(10, 100, 20, true); return err }(),
		"flush":  l.Flush(), "truncate": l.TruncateTo(3), "epoch": l.AssignEpoch(1, 3),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s on a deleted log: %v", name, err)
		}
	}
	pending := files(t, fsys, "data", "-delete")
	if len(pending) != 1 || !strings.HasPrefix(pending[0], "orders-0.") {
		t.Errorf("directories: %v", pending)
	}

	// The same name again: nothing of the old log's checkpoints may be true of the new one.
	l = mustCreate(t, m, orders, c)
	if l.EndOffset() != 0 || l.HighWatermark() != 0 {
		t.Errorf("new log ends at %d", l.EndOffset())
	}
	appendRecords(t, l, 0, 3)
	m.abandon() // as SIGKILL leaves it
	m, err = open(o)
	if err != nil {
		t.Fatal(err)
	}
	l = m.Log(orders)
	if l.StartOffset() != 0 || l.EndOffset() != 3 || l.HighWatermark() != 0 || l.RecoveryPoint() != 0 {
		t.Errorf("recreated log: %d to %d, high watermark %d, recovery point %d", l.StartOffset(), l.EndOffset(), l.HighWatermark(), l.RecoveryPoint())
	}
	m.Close()
	// What was pending is taken up again.
	o.Defaults = c
	m, err = open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	m.env.sched.runDue(context.Background())
	if left := files(t, fsys, "data", "-delete"); len(left) != 0 {
		t.Errorf("directories: %v", left)
	}
}

func TestTopicID(t *testing.T) {
	fsys := vfs.NewMem()
	o := testOptions(fsys)
	m := mustOpen(t, o)
	id, other := topic.NewID(), topic.NewID()
	l, err := m.Create(orders, CreateOptions{New: true, TopicID: id})
	if err != nil || l.TopicID() != id {
		t.Fatal(err)
	}
	if err := l.SetTopicID(other); !errors.Is(err, ErrInconsistentTopicID) {
		t.Errorf("another id: %v", err)
	}
	if err := errors.Join(l.SetTopicID(id), l.SetTopicID(topic.ID{})); err != nil {
		t.Errorf("the same id, and none: %v", err)
	}
	unnamed := mustCreate(t, m, partition(1), DefaultLogConfig())
	appendRecords(t, unnamed, 0, 1)
	if err := unnamed.SetTopicID(other); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = mustOpen(t, o)
	if m.Log(orders).TopicID() != id || m.Log(partition(1)).TopicID() != other {
		t.Error("ids are lost")
	}
	want := "version: 0\ntopic_id: " + id.String()
	if got := string(read(t, fsys, logDir+"/partition.metadata")); got != want {
		t.Errorf("partition.metadata: %q", got)
	}
}

// TestTopicIDOutlivesTheProcess: a log with records is known for its topic's from the first one on, so that it is not taken for
// that of another topic of the same name, made while the broker was away.
func TestTopicIDOutlivesTheProcess(t *testing.T) {
	fsys := vfs.NewMem()
	o := testOptions(fsys)
	m := openIdle(t, o)
	id, other := topic.NewID(), topic.NewID()
	torn := partition(1)
	for _, p := range []topic.Partition{orders, torn} {
		l, err := m.Create(p, CreateOptions{New: true, TopicID: id})
		if err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 0, 1)
	}
	m.abandon()
	draft := "data/" + torn.String() + "/partition.metadata.tmp"
	write(t, fsys, draft, read(t, fsys, draft)[:20]) // as a power loss may leave it
	m = mustOpen(t, o)
	if err := m.Log(orders).SetTopicID(other); m.Log(orders).TopicID() != id || !errors.Is(err, ErrInconsistentTopicID) {
		t.Errorf("the log takes another topic's id: %v", err)
	}
	if err := m.Log(torn).SetTopicID(other); err != nil {
		t.Errorf("the log of which no id is known takes none: %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	want := "version: 0\ntopic_id: " + id.String()
	if got := string(read(t, fsys, logDir+"/partition.metadata")); got != want {
		t.Errorf("partition.metadata: %q", got)
	}
	if names := files(t, fsys, logDir, ".tmp"); len(names) > 0 {
		t.Errorf("left over: %v", names)
	}
}

func TestSmallFilesAreWrittenWhenNoMoreChange(t *testing.T) {
	fsys := vfs.NewMem()
	m := openIdle(t, testOptions(fsys))
	save := func() {
		m.env.unsaved.saveIfQuiet()
		m.env.flush.drain(t.Context())
	}
	for i := range 3 {
		l := mustCreate(t, m, partition(i), DefaultLogConfig())
		if err := l.AssignEpoch(4, 0); err != nil {
			t.Fatal(err)
		}
	}
	if got := files(t, fsys, logDir, ""); len(got) != 0 {
		t.Errorf("files at once: %v", got)
	}
	save() // others came since the first
	if got := files(t, fsys, logDir, ""); len(got) != 0 {
		t.Errorf("files while logs are being created: %v", got)
	}
	appendRecords(t, m.Log(partition(2)), 4, 1)
	save()
	if got := files(t, fsys, logDir, ""); len(got) != 0 {
		t.Errorf("files while logs get their first records: %v", got)
	}
	save()
	want := []string{"00000000000000000000.index", "00000000000000000000.log", "00000000000000000000.timeindex", "leader-epoch-checkpoint"}
	if got := files(t, fsys, logDir, ""); !slices.Equal(got, want) {
		t.Errorf("files: %v", got)
	}
	if got := string(read(t, fsys, logDir+"/leader-epoch-checkpoint")); got != "0\n1\n4 0\n" {
		t.Errorf("epochs: %q", got)
	}
	if err := m.Log(partition(0)).AssignEpoch(5, 0); err != nil {
		t.Fatal(err)
	}
	save()
	if got := string(read(t, fsys, logDir+"/leader-epoch-checkpoint")); got != "0\n1\n5 0\n" {
		t.Errorf("epochs after another one: %q", got)
	}
}

// The files are written in the end although there are always new ones.
func TestSmallFilesDoNotWaitForever(t *testing.T) {
	fsys := vfs.NewMem()
	m := openIdle(t, testOptions(fsys))
	for i := range mostWaits + 2 {
		mustCreate(t, m, partition(i), DefaultLogConfig())
		m.env.unsaved.saveIfQuiet()
		m.env.flush.drain(t.Context())
	}
	if got := files(t, fsys, logDir, ""); len(got) == 0 {
		t.Error("no files")
	}
}

func TestProducersExpire(t *testing.T) {
	l, _ := truncateLog(t)
	day := int64(24 * 3600 * 1000)
	l.expireProducers(testNow + day - 1)
	if len(l.Producers()) != 1 {
		t.Error("expired too early")
	}
	l.expireProducers(testNow + 2*day)
	if len(l.Producers()) != 0 {
		t.Error("not expired")
	}
}

func TestFlushMs(t *testing.T) {
	l, _ := truncateLog(t)
	c := *l.Config()
	c.FlushMs = 1000
	l.SetConfig(c)
	appendRecords(t, l, 6, 1)
	if err := l.flushIfOld(testNow + 999); err != nil || l.RecoveryPoint() != 30 {
		t.Errorf("flushed too early: %v", err)
	}
	if err := l.flushIfOld(testNow + 1000); err != nil || l.RecoveryPoint() != 31 {
		t.Errorf("not flushed: %v", err)
	}
}
