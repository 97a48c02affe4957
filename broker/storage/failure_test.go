package storage

import (
	"errors"
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
