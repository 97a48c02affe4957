package storage

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// manyLogs creates more logs than are closed one by one, each with two records of epoch 7.
func manyLogs(t *testing.T, m *Manager, id topic.ID) error {
	t.Helper()
	for i := range vfs.Many + 6 {
		c := DefaultLogConfig()
		l, err := m.Create(partition(i), CreateOptions{New: true, Config: &c, TopicID: id})
		if err != nil {
			return err
		}
		data := batch(t, batchOpts{count: 2, timestamp: testNow})
		if _, err := l.AppendLeader(data, AppendOptions{Epoch: 7, Now: testNow}); err != nil {
			return err
		}
	}
	return nil
}

// syncs counts the operations that wait for the disk.
func syncs(n *int) func(vfs.Op) error {
	return func(op vfs.Op) error {
		if op.Kind == vfs.OpSync || op.Kind == vfs.OpSyncDir || op.Kind == vfs.OpVolume {
			*n++
		}
		return nil
	}
}

// Neither the first record of a log nor that of a new epoch waits for the disk.
func TestFirstRecordsWaitForNoSync(t *testing.T) {
	n := 0
	o := testOptions(vfs.NewFaulty(vfs.NewMem(), syncs(&n)))
	m := openIdle(t, o)
	n = 0
	if err := manyLogs(t, m, topic.NewID()); err != nil {
		t.Fatal(err)
	}
	m.env.unsaved.save()
	saved := n
	for l := range m.Logs() {
		if err := l.AssignEpoch(8, 2); err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 8, 1)
	}
	if saved != 2 || n != saved {
		t.Errorf("%d syncs for the files of new logs and %d for new epochs, want 2 and 0", saved, n-saved)
	}
}

// Many logs are stopped with a few syncs, and nothing of them can be lost afterwards.
func TestManyLogsAreClosedTogether(t *testing.T) {
	mem, n, id := vfs.NewMem(), 0, topic.NewID()
	m, err := open(testOptions(vfs.NewFaulty(mem, syncs(&n))))
	if err != nil {
		t.Fatal(err)
	}
	if err := manyLogs(t, m, id); err != nil {
		t.Fatal(err)
	}
	n = 0
	if err := m.Close(); err != nil || n > 12 {
		t.Errorf("closed with %d syncs, %v", n, err)
	}
	after := mem.CrashClone(nil)
	if clean, _ := vfs.Exists(after, "data/"+checkpoint.CleanShutdown); !clean {
		t.Error("not marked as clean")
	}
	checkMany(t, after, id, 2)
}

// A crash during such a stop, at any point, leaves logs that can be loaded.
func TestCrashWhileManyLogsAreClosed(t *testing.T) {
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	m, err := open(testOptions(count))
	if err != nil {
		t.Fatal(err)
	}
	id := topic.NewID()
	if err := manyLogs(t, m, id); err != nil {
		t.Fatal(err)
	}
	first := count.Ops()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for at := first; at < count.Ops(); at += 9 {
		mem := vfs.NewMem()
		m, err := open(testOptions(vfs.NewFaulty(mem, vfs.CrashAfter(at))))
		if err == nil {
			err = manyLogs(t, m, id)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); !errors.Is(err, vfs.ErrCrashed) {
			t.Fatalf("crash at %d: %v", at, err)
		}
		checkMany(t, mem, id, 2)                 // the process died
		checkMany(t, mem.CrashClone(nil), id, 0) // the machine did
		checkMany(t, mem.CrashClone(rand.New(rand.NewPCG(uint64(at), 1))), id, 0)
	}
}

// checkMany opens what is left; least records are in each log.
func checkMany(t *testing.T, fsys vfs.FS, id topic.ID, least int64) {
	t.Helper()
	m, err := open(testOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	defer m.abandon()
	if m.dirs[0].offline.Load() {
		t.Fatalf("offline: %v", m.dirs[0].failure())
	}
	for i := range vfs.Many + 6 {
		l := m.Log(partition(i))
		if l == nil {
			if least > 0 {
				t.Fatalf("log %d is gone", i)
			}
			continue
		}
		end := l.EndOffset()
		if end < least || end > 2 || end > 0 && l.EpochAt(0) != 7 {
			t.Fatalf("log %d ends at %d, epoch %d", i, end, l.EpochAt(0))
		}
		if got := l.TopicID(); got != id && (m.dirs[0].clean || !got.IsZero()) {
			t.Fatalf("log %d has id %s", i, got)
		}
	}
}

// What is trimmed while the epochs are being written is written at the stop.
func TestTrimWhileEpochsAreSaved(t *testing.T) {
	fsys := vfs.NewMem()
	m, err := open(testOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	l := mustCreate(t, m, orders, DefaultLogConfig())
	appendRecords(t, l, 3, 10)
	l.SetHighWatermark(10)
	l.filesMu.Lock()
	s, contents, err := l.collect(nil)
	if err != nil || len(contents) != 1 {
		t.Fatalf("collected %d files, %v", len(contents), err)
	}
	if _, err := l.IncrementStartOffset(7); err != nil {
		t.Fatal(err)
	}
	l.filesMu.Unlock()
	s.done()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, fsys, logDir+"/leader-epoch-checkpoint")); got != "0\n1\n3 7\n" {
		t.Errorf("epochs: %q", got)
	}
}
