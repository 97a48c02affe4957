package segment

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// both runs a test on the file system in memory and on the real one.
func both(t *testing.T, test func(t *testing.T, e *env)) {
	t.Helper()
	t.Run("Mem", func(t *testing.T) { test(t, newEnv(t, vfs.NewMem(), "/logs/t-0")) })
	t.Run("OS", func(t *testing.T) { test(t, newEnv(t, vfs.OS, filepath.Join(t.TempDir(), "t-0"))) })
}

func TestAppendAndRead(t *testing.T) {
	both(t, func(t *testing.T, e *env) {
		m := &model{base: 50}
		s := e.create(50)
		check(t, s, m)
		for range 20 {
			fill(t, s, m, 2)
			checkReads(t, s, m)
		}
		check(t, s, m)
		must(t, s.Close())
		if got := e.file(50, LogExt); !bytes.Equal(got, m.bytes()) {
			t.Errorf("log file holds %d bytes, want %d", len(got), len(m.bytes()))
		}

		s = e.open(50)
		must(t, s.Damage())
		check(t, s, m)
		fill(t, s, m, 10)
		check(t, s, m)
		must(t, s.Flush())
		check(t, e.open(50), m) // as a Kafka would find it
	})
}

// An append may hold many batches, as a follower's does, and more index entries than fit in memory.
func TestAppendOfManyBatches(t *testing.T) {
	both(t, func(t *testing.T, e *env) {
		e.interval = 0
		m := &model{base: 0}
		s := e.create(0)
		for range 3 {
			var records []byte
			for next, i := m.next(), 0; i < tailEntries; next, i = next+1, i+1 {
				records = append(records, batch(t, next, 1, 1000+next)...)
			}
			must(t, s.Append(records))
			m.add(records)
		}
		for _, offset := range []int64{0, 1, tailEntries - 1, tailEntries, 2 * tailEntries, m.next() - 1, m.next()} {
			r, err := s.Read(offset, m.next(), 300, true)
			must(t, err)
			got := content(t, r.Section)
			if want, _ := m.read(offset, m.next(), 300, true); !bytes.Equal(got, want) {
				t.Errorf("Read(%d) = %d bytes at %d", offset, len(got), r.Position)
			}
		}
		must(t, s.Close())
		entries := int(m.next()) - 1 // none for the first batch
		if got := len(e.file(0, IndexExt)); got != entries*offsetWidth {
			t.Errorf("offset index has %d bytes, want %d entries", got, entries)
		}
		if got := len(e.file(0, TimeExt)); got != entries*timeWidth {
			t.Errorf("time index has %d bytes, want %d entries", got, entries)
		}
	})
}

// The rule of section "indexes" in doc.go, byte for byte: an entry once more than the interval was
// appended, with the batch's last offset and position; a last time entry when the segment is sealed.
func TestIndexFormat(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	e.interval = 100
	s := e.create(1000)
	size := len(batch(t, 0, 20, 1)) // 88 bytes
	for i, ts := range []int64{500, 400, 700, 600, 600, 900} {
		must(t, s.Append(batch(t, 1000+2*int64(i), 20, ts-1, ts)[:]))
	}
	two := len(batch(t, 0, 20, 1, 1))
	must(t, s.Close())
	if two <= 100 || size >= two {
		t.Fatalf("batch of %d bytes", two)
	}
	var offsets, times string
	for i, max := range []int64{-1, 500, 700, 0, 0, 900} { // entry for every batch but the first
		if i == 0 {
			continue
		}
		offsets += fmt.Sprintf("%08x%08x", 2*i+1, i*two)
		if i == 1 {
			times += fmt.Sprintf("%016x%08x", max, 1) // 500, in the batch of offsets 1000 and 1001
		} else if max > 0 {
			times += fmt.Sprintf("%016x%08x", max, 2*i+1)
		}
	}
	if got := hex.EncodeToString(e.file(1000, IndexExt)); got != offsets {
		t.Errorf("offset index\n%s, want\n%s", got, offsets)
	}
	if got := hex.EncodeToString(e.file(1000, TimeExt)); got != times {
		t.Errorf("time index\n%s, want\n%s", got, times)
	}
	if _, err := e.fs.Stat(filepath.Join("d", FileName(1000, TxnExt))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a transaction index appeared: %v", err)
	}
}

func TestReadReportsPartialBatches(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(0)
	b := batch(t, 0, 500, 1)
	must(t, s.Append(b))
	must(t, s.Append(batch(t, 1, 500, 1)))
	for _, tt := range []struct {
		limit   int
		minOne  bool
		size    int
		partial bool
	}{{100, false, 100, true}, {100, true, len(b), false}, {len(b), false, len(b), false}, {len(b) + 1, false, len(b), false}} {
		r, err := s.Read(0, 2, tt.limit, tt.minOne)
		must(t, err)
		if r.Section.Size() != int64(tt.size) || r.Partial != tt.partial || r.Found != int64(max(tt.size, tt.limit)) {
			t.Errorf("limit %d: %d of %d bytes, partial %v", tt.limit, r.Section.Size(), r.Found, r.Partial)
		}
		r.Section.Release()
	}
	if r, err := s.Read(0, 2, 0, false); err != nil || r.Section != nil || !r.Partial {
		t.Errorf("limit 0: %+v, %v", r, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(10)
	must(t, s.Append(batch(t, 10, 1, 1, 1)))
	before := s.Size()
	for name, tt := range map[string]struct {
		records []byte
		want    error
	}{
		"offsets of the past":        {batch(t, 9, 1, 1), nil},
		"offset too far for indexes": {batch(t, 10+1<<31, 1, 1), ErrFull},
		"a torn batch":               {batch(t, 12, 1, 1)[:50], record.ErrShort},
	} {
		if err := s.Append(tt.records); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	must(t, s.Append(nil))
	if s.Size() != before {
		t.Errorf("size changed from %d to %d", before, s.Size())
	}
	must(t, s.Append(batch(t, 10+1<<31-1, 1, 1)))
}

func TestFullIndex(t *testing.T) {
	for _, tt := range []struct{ bytes, appends int }{
		{offsetWidth * 5, 4},           // the time index keeps a place: 40/12 - 1 = 2 entries
		{offsetWidth*5 + timeWidth, 5}, // 52/12 - 1 = 3
		{4, 0},
	} {
		e := newEnv(t, vfs.NewMem(), fmt.Sprint("d", tt.bytes))
		e.interval, e.maxIndex = 0, tt.bytes
		s := e.create(0)
		n := int64(0)
		for !s.IndexFull() {
			must(t, s.Append(batch(t, n, 1, 1000+n)))
			n++
		}
		if want := int64(max(tt.bytes/timeWidth-1, -1) + 1); tt.bytes > 4 && n != want {
			t.Errorf("%d bytes are full after %d appends, want %d", tt.bytes, n, want)
		}
		must(t, s.Append(batch(t, n, 1, 1000+n))) // goes without an entry
		must(t, s.Close())
		if got := len(e.file(0, TimeExt)); got > max(tt.bytes, timeWidth) {
			t.Errorf("time index has %d bytes", got)
		}
	}
}

func TestPreallocate(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	opts := e.options(0)
	opts.Preallocate = 10_000
	s, err := Create(opts)
	must(t, err)
	m := &model{}
	fill(t, s, m, 5)
	if got := len(e.file(0, LogExt)); got != 10_000 {
		t.Errorf("log file has %d bytes", got)
	}
	check(t, s, m)
	after := newEnv(t, e.fs, "d").open(0) // as after a crash
	cut, err := after.Recover(nil, nil)
	must(t, err)
	if cut != 10_000-s.Size() {
		t.Errorf("cut %d bytes", cut)
	}
	check(t, after, m)
	must(t, s.Close())
	if got := e.file(0, LogExt); !bytes.Equal(got, m.bytes()) {
		t.Errorf("sealed log file has %d bytes", len(got))
	}
}

func TestRenameAndDelete(t *testing.T) {
	both(t, func(t *testing.T, e *env) {
		m := &model{}
		s := e.create(0)
		fill(t, s, m, 10)
		must(t, s.AppendAborted(AbortedTxn{ProducerID: 1, LastOffset: 5}))
		r, err := s.Read(0, m.next(), 1<<20, true)
		must(t, err)

		to := e.dir.Path() + ".x-delete"
		must(t, e.dir.Rename(to))
		must(t, s.Rename(DeletedSuffix))
		entries, err := e.fs.ReadDir(to)
		must(t, err)
		for _, entry := range entries {
			if _, _, suffix, ok := ParseFileName(entry.Name); !ok || suffix != DeletedSuffix {
				t.Errorf("file %q", entry.Name)
			}
		}
		if len(entries) != 4 {
			t.Errorf("%d files, want 4", len(entries))
		}
		check(t, s, m)
		if got := content(t, r.Section); !bytes.Equal(got, m.bytes()) {
			t.Errorf("a reader lost its bytes: %d of %d", len(got), len(m.bytes()))
		}
		must(t, s.Delete())
		must(t, s.Delete())
		if entries, _ := e.fs.ReadDir(to); len(entries) != 0 {
			t.Errorf("left after Delete: %v", entries)
		}
		if _, err := r.Section.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrClosed) {
			t.Errorf("a section of a deleted segment: %v", err)
		}
		if _, err := s.Read(0, m.next(), 1<<20, true); !errors.Is(err, ErrClosed) {
			t.Errorf("read of a deleted segment: %v", err)
		}
		if err := s.Append(batch(t, m.next(), 1, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("append to a deleted segment: %v", err)
		}
	})
}

func TestTimesOfFiles(t *testing.T) {
	both(t, func(t *testing.T, e *env) {
		s := e.create(0)
		then := time.UnixMilli(1_500_000_000_000)
		must(t, s.SetLastModified(then))
		if got, err := s.LargestTimestamp(); err != nil || got != then.UnixMilli() {
			t.Errorf("LargestTimestamp without records = %d, %v", got, err)
		}
		must(t, s.Append(batch(t, 0, 1, 77)))
		if got, err := s.LargestTimestamp(); err != nil || got != 77 {
			t.Errorf("LargestTimestamp = %d, %v", got, err)
		}
		if got, err := s.LastModified(); err != nil || time.Since(got) > time.Hour {
			t.Errorf("LastModified = %v, %v", got, err)
		}
	})
}

func TestDamage(t *testing.T) {
	tests := map[string]func(e *env, path func(string) string) error{
		"offset index is missing": func(e *env, path func(string) string) error { return e.fs.Remove(path(IndexExt)) },
		"time index is missing":   func(e *env, path func(string) string) error { return e.fs.Remove(path(TimeExt)) },
		"half an entry": func(e *env, path func(string) string) error {
			return vfs.WriteFile(e.fs, path(IndexExt), make([]byte, 13))
		},
	}
	for name, break_ := range tests {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, vfs.NewMem(), "d")
			m := &model{}
			s := e.create(0)
			fill(t, s, m, 30)
			must(t, s.Close())
			index, times := e.file(0, IndexExt), e.file(0, TimeExt)
			must(t, break_(e, func(ext string) string { return filepath.Join("d", FileName(0, ext)) }))
			s = e.open(0)
			if !errors.Is(s.Damage(), ErrCorrupt) {
				t.Fatalf("Damage = %v", s.Damage())
			}
			if cut, err := s.Recover(nil, nil); err != nil || cut != 0 {
				t.Fatalf("Recover = %d, %v", cut, err)
			}
			check(t, s, m)
			must(t, s.Damage())
			if !bytes.Equal(e.file(0, IndexExt), index) || !bytes.Equal(e.file(0, TimeExt), times) {
				t.Error("the rebuilt indexes differ from the first ones")
			}
		})
	}
	if _, err := Open(newEnv(t, vfs.NewMem(), "d").options(7)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of no segment: %v", err)
	}
}

// A file that does not end with a whole batch needs recovery even after a clean stop.
func TestNextOffsetFindsTornTail(t *testing.T) {
	e := newEnv(t, vfs.NewMem(), "d")
	s := e.create(0)
	must(t, s.Append(batch(t, 0, 1, 1)))
	must(t, s.Close())
	f, err := e.fs.OpenFile(filepath.Join("d", FileName(0, LogExt)), vfs.ReadWrite)
	must(t, err)
	_, err = f.WriteAt(batch(t, 1, 1, 1)[:40], s.Size())
	must(t, err)
	if _, err := e.open(0).NextOffset(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("NextOffset = %v", err)
	}
}

func TestFileNames(t *testing.T) {
	tests := []struct {
		name, ext, suffix string
		base              int64
		ok                bool
	}{
		{"00000000000000000000.log", LogExt, "", 0, true},
		{"00000000000000012345.timeindex", TimeExt, "", 12345, true},
		{"00000000000000012345.index.cleaned", IndexExt, CleanedSuffix, 12345, true},
		{"00000000000000012345.snapshot", SnapshotExt, "", 12345, true},
		{"00000000000000000007.txnindex.deleted", TxnExt, DeletedSuffix, 7, true},
		{"00000000000000000007.log.swap", LogExt, SwapSuffix, 7, true},
		{"leader-epoch-checkpoint", "", "", 0, false},
		{"partition.metadata", "", "", 0, false},
		{".log", "", "", 0, false},
		{"-1.log", "", "", 0, false},
		{"99999999999999999999.log", "", "", 0, false},
		{"7.logs", "", "", 0, false},
	}
	for _, tt := range tests {
		base, ext, suffix, ok := ParseFileName(tt.name)
		if base != tt.base || ext != tt.ext || suffix != tt.suffix || ok != tt.ok {
			t.Errorf("ParseFileName(%q) = %d, %q, %q, %v", tt.name, base, ext, suffix, ok)
		}
		if ok && FileName(base, ext)+suffix != tt.name {
			t.Errorf("FileName(%d, %q) = %q", base, ext, FileName(base, ext))
		}
	}
}
