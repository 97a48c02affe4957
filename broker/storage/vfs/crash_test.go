package vfs

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// A power loss takes what was not synced: bytes without Sync, names without SyncDir.
func TestCrashCloneKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	if err := errors.Join(m.MkdirAll("d"), m.SyncDir(".")); err != nil {
		t.Fatal(err)
	}
	create(t, m, "d/named", "safe")
	if err := m.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	create(t, m, "d/unnamed", "bytes without a name")
	f := must(m.OpenFile("d/named", ReadWrite))(t)
	if _, err := f.WriteAt([]byte("LOST"), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename("d/named", "d/renamed"); err != nil {
		t.Fatal(err)
	}

	c := m.CrashClone(nil)
	if got := must(ReadFile(c, "d/named"))(t); string(got) != "safe" {
		t.Errorf("named holds %q", got)
	}
	for _, name := range []string{"d/unnamed", "d/renamed"} {
		if _, err := c.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if got := must(ReadFile(m, "d/renamed"))(t); string(got) != "LOST" {
		t.Errorf("the original changed to %q", got)
	}
	if err := errors.Join(f.Sync(), m.SyncDir("d")); err != nil {
		t.Fatal(err)
	}
	if got := must(ReadFile(m.CrashClone(nil), "d/renamed"))(t); string(got) != "LOST" {
		t.Errorf("after syncing a crash leaves %q", got)
	}
}

// With a seed some unsynced changes survive, writes perhaps in part; the same seed, the same files.
func TestCrashCloneTearsWrites(t *testing.T) {
	m := NewMem()
	create(t, m, "f", strings.Repeat("a", 2000))
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	f := must(m.OpenFile("f", ReadWrite))(t)
	if _, err := f.WriteAt([]byte(strings.Repeat("b", 4000)), 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenFile("g", ReadWrite|Create); err != nil {
		t.Fatal(err)
	}
	sizes, named := map[int]bool{}, map[bool]bool{}
	for seed := range uint64(50) {
		c := m.CrashClone(rng(seed))
		got := must(ReadFile(c, "f"))(t)
		if strings.Trim(string(got[:1000]), "a") != "" || strings.Trim(string(got[1000:]), "ab\x00") != "" {
			t.Fatalf("seed %d: synced bytes changed", seed)
		}
		if again := must(ReadFile(m.CrashClone(rng(seed)), "f"))(t); string(again) != string(got) {
			t.Fatalf("seed %d is not repeatable", seed)
		}
		sizes[len(got)] = true
		named[must(Exists(c, "g"))(t)] = true
	}
	if !sizes[2000] || !sizes[5000] || len(sizes) < 4 || len(named) != 2 {
		t.Errorf("50 seeds leave only the sizes %v, names %v", sizes, named)
	}
}

func TestFaultyRefusesAndCounts(t *testing.T) {
	boom := errors.New("boom")
	var seen []OpKind
	f := NewFaulty(NewMem(), func(op Op) error {
		seen = append(seen, op.Kind)
		if op.Kind == OpSync || op.Kind == OpRename {
			return boom
		}
		return nil
	})
	file := must(f.OpenFile("a", ReadWrite|Create))(t)
	if _, err := file.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "Sync", file.Sync(), boom)
	wantErr(t, "Rename", f.Rename("a", "b"), boom)
	if data := must(ReadFile(f, "a"))(t); string(data) != "x" {
		t.Errorf("content %q", data)
	}
	if f.Ops() != 4 || len(seen) != 4 {
		t.Errorf("%d operations seen as %v", f.Ops(), seen)
	}
}

func TestFaultyWritesInPart(t *testing.T) {
	full := errors.New("no space left")
	f := NewFaulty(NewMem(), func(op Op) error {
		if op.Kind == OpWrite && op.Bytes > 4 {
			return &ShortWrite{Bytes: 3, Err: full}
		}
		return nil
	})
	file := must(f.OpenFile("a", ReadWrite|Create))(t)
	if _, err := file.WriteAt([]byte("0123"), 0); err != nil {
		t.Fatal(err)
	}
	n, err := file.WriteVAt([][]byte{[]byte("45"), []byte("6789")}, 4)
	wantErr(t, "WriteVAt", err, full)
	if data := must(ReadFile(f, "a"))(t); n != 3 || string(data) != "0123456" {
		t.Errorf("wrote %d bytes, the file has %q", n, data)
	}
}

func TestFaultyAsksAboutReads(t *testing.T) {
	var seen []OpKind
	f := NewFaulty(NewMem(), func(op Op) error {
		seen = append(seen, op.Kind)
		if op.Kind == OpRead {
			return fs.ErrInvalid
		}
		return nil
	}).AskReads()
	file := must(f.OpenFile("a", ReadWrite|Create))(t)
	lock := must(f.Lock("l"))(t)
	if f.Open() != 2 {
		t.Errorf("%d files are open, should be 2", f.Open())
	}
	must(file.WriteAt([]byte("x"), 0))(t)
	_, err := ReadFile(f, "a")
	wantErr(t, "ReadFile", err, fs.ErrInvalid)
	must(f.Stat("a"))(t)
	must(f.ReadDir("."))(t)
	must(f.DiskUsage("a"))(t)
	want := []OpKind{OpCreate, OpLock, OpWrite, OpOpen, OpStat, OpRead, OpStat, OpReadDir, OpUsage}
	if !slices.Equal(seen, want) {
		t.Errorf("asked about %v, should be %v", seen, want)
	}
	if err := errors.Join(file.Close(), lock.Close()); err != nil || f.Open() != 0 {
		t.Errorf("%d files are open, should be none (%v)", f.Open(), err)
	}
}
