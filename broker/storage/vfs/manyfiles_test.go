package vfs

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func contents(n int, data string) []Content {
	files := make([]Content, n)
	for i := range files {
		files[i] = Content{Path: fmt.Sprintf("d/%d", i), Data: []byte(data)}
	}
	return files
}

// WriteFiles keeps WriteFile's promise, however many files there are: after a crash at any point a file
// holds the old or the new bytes, and after a nil return the new ones.
func TestWriteFilesIsAtomic(t *testing.T) {
	for _, n := range []int{2, Many} {
		count := NewFaulty(dirWith(t, n), nil)
		if err := WriteFiles(count, contents(n, "new")); err != nil {
			t.Fatal(err)
		}
		for at := range count.Ops() + 1 {
			m := dirWith(t, n)
			err := WriteFiles(NewFaulty(m, CrashAfter(at)), contents(n, "new"))
			if done := at == count.Ops(); done != (err == nil) {
				t.Fatalf("%d files, crash at %d of %d: %v", n, at, count.Ops(), err)
			}
			for seed := range uint64(4) {
				c := m.CrashClone(nil)
				if seed > 0 {
					c = m.CrashClone(rng(seed))
				}
				for i := range n {
					got := string(must(ReadFile(c, fmt.Sprintf("d/%d", i)))(t))
					if got != "new" && (got != "old" || err == nil) {
						t.Fatalf("%d files, crash at %d of %d: file %d holds %q", n, at, count.Ops(), i, got)
					}
				}
			}
		}
	}
}

func dirWith(t *testing.T, n int) *Mem {
	t.Helper()
	m := NewMem()
	if err := errors.Join(m.MkdirAll("d"), m.SyncDir("."), WriteFiles(m, contents(n, "old"))); err != nil {
		t.Fatal(err)
	}
	return m
}

// Many files need few syncs.
func TestWriteFilesSyncsVolumes(t *testing.T) {
	var syncs []OpKind
	f := NewFaulty(dirWith(t, 1), func(op Op) error {
		if op.Kind == OpSync || op.Kind == OpSyncDir || op.Kind == OpVolume {
			syncs = append(syncs, op.Kind)
		}
		return nil
	})
	if err := WriteFiles(f, contents(10*Many, "new")); err != nil || !slices.Equal(syncs, []OpKind{OpVolume, OpVolume}) {
		t.Errorf("syncs %v, %v", syncs, err)
	}
}

func TestSyncVolumesOfTheSystem(t *testing.T) {
	dir := t.TempDir()
	if err := OS.SyncVolumes([]string{dir, dir}); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := OS.SyncVolumes([]string{dir + "/none"}); err == nil {
		t.Error("a path that does not exist was synced")
	}
}
