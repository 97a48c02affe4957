package storage

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// scarceFS returns a file system in memory in which no file can be opened for want of descriptors while scarce is set.
func scarceFS() (fsys vfs.FS, scarce *atomic.Bool) {
	scarce = new(atomic.Bool)
	return vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen && scarce.Load() {
			return syscall.EMFILE
		}
		return nil
	}).AskReads(), scarce
}

// What only looks at a log fails alone for want of descriptors, and does its work when there are some again.
func TestRetentionOutlivesAWantOfDescriptors(t *testing.T) {
	fsys, scarce := scarceFS()
	c := DefaultLogConfig()
	c.SegmentBytes, c.RetentionMs = len(batch(t, batchOpts{timestamp: 1})), 1000
	o := testOptions(fsys)
	o.TopicConfig = func(string) LogConfig { return c }
	m := openIdle(t, o)
	l := mustCreate(t, m, orders, c)
	for range 3 {
		if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: 1}), AppendOptions{Now: testNow}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = openIdle(t, o)
	l = m.Log(orders)
	l.SetHighWatermark(l.EndOffset())
	m.closeFiles()

	scarce.Store(true)
	if n, err := l.deleteOldSegments(testNow); n != 0 || !errors.Is(err, syscall.EMFILE) || !errors.Is(err, ErrStorage) {
		t.Errorf("deleted %d segments without a descriptor: %v", n, err)
	}
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	scarce.Store(false)
	if n, err := l.deleteOldSegments(testNow); n != 3 || err != nil {
		t.Errorf("deleted %d segments, %v", n, err)
	}
}

// A cleaning that finds no descriptor is tried again.
func TestCleaningOutlivesAWantOfDescriptors(t *testing.T) {
	fsys, scarce := scarceFS()
	m := openCleaner(t, fsys)
	l := mustCreate(t, m, orders, compactConfig())
	versions(t, l, 30, "a", "b")
	if err := l.Flush(); err != nil { // what the cleaner does first, and which writes
		t.Fatal(err)
	}
	if err := l.dir.checkpointRecoveryPoints(); err != nil {
		t.Fatal(err)
	}
	m.closeFiles()

	scarce.Store(true)
	if cleanOnce(m) {
		t.Error("a log was cleaned without a descriptor")
	}
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	scarce.Store(false)
	if !cleanOnce(m) {
		t.Error("the log was not cleaned when there were descriptors again")
	}
}
