package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// both runs a test on the real file system and on the one in memory, which must not differ.
func both(t *testing.T, test func(t *testing.T, fsys FS, dir string)) {
	t.Helper()
	t.Run("OS", func(t *testing.T) { test(t, OS, t.TempDir()) })
	t.Run("Mem", func(t *testing.T) {
		m := NewMem()
		if err := m.MkdirAll("/data"); err != nil {
			t.Fatal(err)
		}
		test(t, m, "/data")
	})
}

func create(t *testing.T, fsys FS, path, content string) {
	t.Helper()
	f := must(fsys.OpenFile(path, ReadWrite|Create|Truncate))(t)
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestFileReadsWhatWasWritten(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		f := must(fsys.OpenFile(filepath.Join(dir, "f"), ReadWrite|Create))(t)
		if _, err := f.WriteAt([]byte("world"), 6); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("hello"), 0); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 20)
		n, err := f.ReadAt(buf, 0)
		if err != io.EOF || string(buf[:n]) != "hello\x00world" {
			t.Errorf("ReadAt = %q, %v", buf[:n], err)
		}
		if err := f.Truncate(3); err != nil {
			t.Fatal(err)
		}
		if size := must(f.Size())(t); size != 3 {
			t.Errorf("size after Truncate(3) = %d", size)
		}
		if err := f.Truncate(5); err != nil {
			t.Fatal(err)
		}
		n, _ = f.ReadAt(buf, 0)
		if string(buf[:n]) != "hel\x00\x00" {
			t.Errorf("after growing: %q", buf[:n])
		}
		if n, err := f.ReadAt(buf, 99); n != 0 || err != io.EOF {
			t.Errorf("ReadAt behind the end = %d, %v", n, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		_, err = f.ReadAt(buf, 0)
		wantErr(t, "read after Close", err, fs.ErrClosed)
	})
}

// TestManyBuffersAreWritten goes beyond what systems take at a time.
func TestManyBuffersAreWritten(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		f := must(fsys.OpenFile(filepath.Join(dir, "f"), ReadWrite|Create))(t)
		defer f.Close()
		var bufs [][]byte
		var want []byte
		for i := range 5000 {
			bufs = append(bufs, []byte{byte(i), byte(i >> 8)}[:i%3])
			want = append(want, bufs[i]...)
		}
		if n, err := f.WriteVAt(bufs, 7); n != len(want) || err != nil {
			t.Fatalf("wrote %d of %d bytes, %v", n, len(want), err)
		}
		got := make([]byte, len(want))
		if _, err := f.ReadAt(got, 7); err != nil || !bytes.Equal(got, want) {
			t.Errorf("read something else, %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		path := func(name string) string { return filepath.Join(dir, name) }
		_, err := fsys.OpenFile(path("a"), ReadWrite)
		wantErr(t, "open of no file", err, fs.ErrNotExist)
		create(t, fsys, path("a"), "A")
		_, err = fsys.OpenFile(path("a"), ReadWrite|Create|Exclusive)
		wantErr(t, "exclusive create", err, fs.ErrExist)
		create(t, fsys, path("b"), "B")

		old := must(fsys.OpenFile(path("a"), ReadOnly))(t)
		if err := fsys.Rename(path("a"), path("b")); err != nil {
			t.Fatal(err)
		}
		if data := must(ReadFile(fsys, path("b")))(t); string(data) != "A" {
			t.Errorf("rename over a file leaves %q", data)
		}
		if err := fsys.Remove(path("b")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1)
		if _, err := old.ReadAt(buf, 0); err != nil || buf[0] != 'A' {
			t.Errorf("open file after rename and remove: %q, %v", buf, err)
		}
		_ = old.Close()
		wantErr(t, "remove of no file", fsys.Remove(path("b")), fs.ErrNotExist)
		wantErr(t, "rename of no file", fsys.Rename(path("b"), path("c")), fs.ErrNotExist)

		if err := fsys.MkdirAll(path("x/y")); err != nil {
			t.Fatal(err)
		}
		create(t, fsys, path("x/y/f"), "F")
		if fsys.Remove(path("x")) == nil {
			t.Error("Remove of a directory that is not empty succeeds")
		}
		if err := fsys.Rename(path("x"), path("z")); err != nil {
			t.Fatal(err)
		}
		if data := must(ReadFile(fsys, path("z/y/f")))(t); string(data) != "F" {
			t.Errorf("file in a renamed directory: %q", data)
		}
		create(t, fsys, path("m"), "")
		want := []Entry{{Name: "m"}, {Name: "z", Dir: true}}
		if got := must(fsys.ReadDir(dir))(t); !slices.Equal(got, want) {
			t.Errorf("ReadDir = %v, want %v", got, want)
		}
		if err := errors.Join(fsys.RemoveAll(path("z")), fsys.RemoveAll(path("z")), fsys.SyncDir(dir)); err != nil {
			t.Error(err)
		}
		if must(Exists(fsys, path("z")))(t) || !must(Exists(fsys, path("m")))(t) {
			t.Error("RemoveAll removed the wrong names")
		}
	})
}

func TestStatAndTimes(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		path := filepath.Join(dir, "f")
		create(t, fsys, path, "12345")
		then := time.UnixMilli(1_600_000_000_123)
		if err := fsys.SetModTime(path, then); err != nil {
			t.Fatal(err)
		}
		info := must(fsys.Stat(path))(t)
		if info.Size != 5 || info.Dir || !info.ModTime.Equal(then) {
			t.Errorf("Stat = %+v", info)
		}
		if info := must(fsys.Stat(dir))(t); !info.Dir || info.Size != 0 {
			t.Errorf("Stat of a directory = %+v", info)
		}
		_, err := fsys.Stat(path + "x")
		wantErr(t, "Stat of no file", err, fs.ErrNotExist)
		if u := must(fsys.DiskUsage(dir))(t); u.Total <= 0 || u.Usable <= 0 || u.Usable > u.Total {
			t.Errorf("DiskUsage = %+v", u)
		}
	})
}

func TestLockExcludes(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		path := filepath.Join(dir, ".lock")
		lock := must(fsys.Lock(path))(t)
		_, err := fsys.Lock(path)
		wantErr(t, "second Lock", err, ErrLocked)
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		if err := must(fsys.Lock(path))(t).Close(); err != nil {
			t.Error(err)
		}
	})
}

// WriteFile is the base of all checkpoints: whatever operation a crash comes before, the file holds
// the old or the new content.
func TestWriteFileIsAtomic(t *testing.T) {
	for n := int64(0); ; n++ {
		m := NewMem()
		if err := errors.Join(m.MkdirAll("d"), m.SyncDir("."), WriteFile(m, "d/f", []byte("old"))); err != nil {
			t.Fatal(err)
		}
		faulty := NewFaulty(m, CrashAfter(n))
		err := WriteFile(faulty, "d/f", []byte("newer"))
		for seed := range uint64(20) {
			got := must(ReadFile(m.CrashClone(rng(seed)), "d/f"))(t)
			if err == nil && string(got) != "newer" {
				t.Fatalf("after %d operations and a nil error a crash leaves %q", n, got)
			}
			if s := string(got); s != "old" && s != "newer" {
				t.Fatalf("after %d operations a crash leaves %q", n, got)
			}
		}
		if err == nil {
			if n != 5 {
				t.Errorf("WriteFile took %d operations, want create, write, sync, rename, syncdir", n)
			}
			return
		}
		wantErr(t, "WriteFile", err, ErrCrashed)
	}
}

func TestReadFile(t *testing.T) {
	both(t, func(t *testing.T, fsys FS, dir string) {
		want := bytes.Repeat([]byte("x"), 100_000)
		create(t, fsys, filepath.Join(dir, "f"), string(want))
		if got := must(ReadFile(fsys, filepath.Join(dir, "f")))(t); !bytes.Equal(got, want) {
			t.Errorf("ReadFile returns %d bytes", len(got))
		}
		if existed := must(RemoveIfExists(fsys, filepath.Join(dir, "f")))(t); !existed {
			t.Error("RemoveIfExists missed the file")
		}
		if existed := must(RemoveIfExists(fsys, filepath.Join(dir, "f")))(t); existed {
			t.Error("RemoveIfExists found a file twice")
		}
	})
}
