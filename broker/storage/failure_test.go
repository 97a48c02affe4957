package storage

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// An operator unmounts the disk that has failed while the broker goes on.
func TestFailedDirectoryClosesItsFiles(t *testing.T) {
	fsys := vfs.NewFaulty(vfs.NewMem(), nil)
	m := mustOpen(t, testOptions(fsys, "a", "b"))
	c := crashConfig()
	for i, dir := range []string{"a", "b"} {
		l, err := m.Create(partition(i), CreateOptions{New: true, Config: &c, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 0, 1)
	}
	const locks = 2
	if n := fsys.Open(); n != locks+2 {
		t.Fatalf("%d files are open, should be the logs and the locks", n)
	}
	m.FailDir("a", errors.New("broken"))
	m.hooks.running.Wait()
	if n := fsys.Open(); n != 2 {
		t.Errorf("%d files are open, should be the log of the other directory and its lock", n)
	}
	appendRecords(t, m.Log(partition(1)), 0, 1)
}

// A directory that its owner has found to be unusable is not touched.
func TestUnusableDirectory(t *testing.T) {
	fsys := vfs.NewMem()
	o := testOptions(fsys, "a", "b/")
	o.Unusable = map[string]error{"b/": errors.New("it is another broker's")}
	m := mustOpen(t, o)
	if d := m.Dirs(); d[0].Offline || !d[1].Offline {
		t.Errorf("directories: %+v", d)
	}
	if exists, err := vfs.Exists(fsys, "b"); exists || err != nil {
		t.Errorf("the directory is there: %v, %v", exists, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	o.Dirs = []string{"b/"}
	if _, err := Open(o); !errors.Is(err, ErrStorage) {
		t.Errorf("no other directory: %v", err)
	}
}

// TestCheckpointFileIsGone: who removes one checkpoint file gets it back with the next interval, as from Kafka; a directory of which
// nothing is there, as a disk that was unmounted leaves it, has failed.
func TestCheckpointFileIsGone(t *testing.T) {
	fsys := vfs.NewMem()
	m := openIdle(t, testOptions(fsys))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	appendRecords(t, l, 0, 3)
	d := m.dirs[0]
	files := []*checkpointFile{&d.recovery, &d.starts, &d.watermarks}
	for _, f := range files {
		for range 2 { // the second time there is nothing new to write
			if err := d.checkpoint(f); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(d.path, f.name)
		want := read(t, fsys, file)
		remove(t, fsys, file)
		if err := d.checkpoint(f); err != nil {
			t.Fatal(err)
		}
		if got := read(t, fsys, file); string(got) != string(want) {
			t.Errorf("%s is %q, and was %q", f.name, got, want)
		}
	}
	remove(t, fsys, filepath.Join(d.path, lockFile))
	remove(t, fsys, filepath.Join(d.path, d.watermarks.name))
	if err := d.checkpoint(&d.watermarks); !errors.Is(err, ErrStorage) || !d.offline.Load() {
		t.Errorf("checkpoint: %v, offline %v; want a failure", err, d.offline.Load())
	}
}

// TestIdleDirectoryFails: a disk that nobody writes to is full, or fails. As in Kafka, the checkpoints tell, though they have
// nothing new.
func TestIdleDirectoryFails(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpRename, vfs.OpSyncDir} {
		for _, checkpoint := range []func(*dir) error{(*dir).checkpointHighWatermarks, (*dir).checkpointRecoveryPoints, (*dir).checkpointStarts} {
			var broken atomic.Bool
			fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
				if broken.Load() && op.Kind == kind {
					return syscall.ENOSPC
				}
				return nil
			})
			m := openIdle(t, testOptions(fsys))
			appendRecords(t, mustCreate(t, m, orders, DefaultLogConfig()), 0, 3)
			d := m.dirs[0]
			if err := checkpoint(d); err != nil {
				t.Fatal(err)
			}
			broken.Store(true)
			if err := checkpoint(d); !errors.Is(err, ErrStorage) || !errors.Is(err, syscall.ENOSPC) || !d.offline.Load() {
				t.Errorf("%s: %v, offline %v; want a failure", kind, err, d.offline.Load())
			}
		}
	}
}
