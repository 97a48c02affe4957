package segment

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// written returns a file system with one cleanly closed segment and what is in it.
func written(t *testing.T, batches int) (*vfs.Mem, *model) {
	t.Helper()
	fsys := vfs.NewMem()
	e := newEnv(t, fsys, "d")
	m := &model{}
	s := e.create(0)
	fill(t, s, m, batches)
	must(t, errors.Join(s.Seal(), s.Flush(), s.Close(), e.dir.Sync(), fsys.SyncDir(".")))
	return fsys, m
}

// recovered opens and recovers the segment and returns the batches it reported.
func recovered(t *testing.T, fsys vfs.FS) (*Segment, *model) {
	t.Helper()
	s := newEnv(t, fsys, "d").open(0)
	got := &model{}
	size := s.Size()
	cut, err := s.Recover(func(b record.Batch) error { got.add(b); return nil }, nil)
	must(t, err)
	if cut != size-int64(len(got.bytes())) {
		t.Fatalf("cut %d of %d bytes, but reported %d", cut, size, len(got.bytes()))
	}
	return s, got
}

func overwrite(t *testing.T, fsys vfs.FS, ext string, change func(f vfs.File) error) {
	t.Helper()
	f, err := fsys.OpenFile(filepath.Join("d", FileName(0, ext)), vfs.ReadWrite)
	must(t, err)
	must(t, errors.Join(change(f), f.Sync(), f.Close()))
}

// Wherever the file ends, recovery keeps the whole batches before.
func TestRecoverTornTail(t *testing.T) {
	fsys, m := written(t, 6)
	all := m.bytes()
	for size := len(all); size >= 0; size-- {
		c := fsys.CrashClone(nil)
		overwrite(t, c, LogExt, func(f vfs.File) error { return f.Truncate(int64(size)) })
		s, got := recovered(t, c)
		want := &model{}
		for _, b := range m.batches {
			if len(want.bytes())+len(b) > size {
				break
			}
			want.add(b)
		}
		if !bytes.Equal(got.bytes(), want.bytes()) {
			t.Fatalf("of %d bytes %d are left, want %d", size, len(got.bytes()), len(want.bytes()))
		}
		if size%7 == 0 {
			check(t, s, want)
		}
	}
}

// A flipped bit anywhere ends the log before its batch, unless it is in a field outside the checksum.
func TestRecoverFlippedBits(t *testing.T) {
	fsys, m := written(t, 4)
	all := m.bytes()
	rng := rand.New(rand.NewPCG(1, 2))
	var start int
	for _, b := range m.batches {
		for at := start; at < start+len(b); at++ {
			c := fsys.CrashClone(nil)
			bit := byte(1) << rng.IntN(8)
			overwrite(t, c, LogExt, func(f vfs.File) error {
				_, err := f.WriteAt([]byte{all[at] ^ bit}, int64(at))
				return err
			})
			s, got := recovered(t, c)
			inChecksum := at-start >= 16
			if left := len(got.bytes()); inChecksum && left != start || left > len(all) || left < 0 {
				t.Fatalf("byte %d of the batch at %d: %d bytes left", at-start, start, left)
			}
			if at%31 == 0 && got.next() < 200 {
				check(t, s, got)
			}
		}
		start += len(b)
	}
}

// What recovery builds is what the writer had built.
func TestRecoverRebuildsIndexes(t *testing.T) {
	fsys, m := written(t, 50)
	e := newEnv(t, fsys, "d")
	index, times := e.file(0, IndexExt), e.file(0, TimeExt)
	overwrite(t, fsys, IndexExt, func(f vfs.File) error { return f.Truncate(4096 * 8) }) // Kafka's preallocated zeros
	overwrite(t, fsys, TimeExt, func(f vfs.File) error { _, err := f.WriteAt(make([]byte, 12), 0); return err })
	s, got := recovered(t, fsys)
	check(t, s, got)
	if !bytes.Equal(got.bytes(), m.bytes()) {
		t.Errorf("%d of %d bytes left", len(got.bytes()), len(m.bytes()))
	}
	if !bytes.Equal(e.file(0, IndexExt), index) || !bytes.Equal(e.file(0, TimeExt), times) {
		t.Error("indexes differ from the writer's")
	}
}

func TestRecoverRefusesOffsets(t *testing.T) {
	for name, second := range map[string]int64{"going back": 0, "too far": 1 << 31} {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.NewMem()
			e := newEnv(t, fsys, "d")
			s := e.create(0)
			m := &model{}
			fill(t, s, m, 1)
			must(t, s.Close())
			overwrite(t, fsys, LogExt, func(f vfs.File) error {
				_, err := f.WriteAt(batch(t, second, 5, 1), s.Size())
				return err
			})
			s, got := recovered(t, fsys)
			if len(got.batches) != 1 {
				t.Errorf("%d batches left", len(got.batches))
			}
			check(t, s, got)
		})
	}
}

func TestRecoverPassesErrorsOn(t *testing.T) {
	fsys, _ := written(t, 3)
	stop := errors.New("stop")
	if _, err := newEnv(t, fsys, "d").open(0).Recover(func(record.Batch) error { return stop }, nil); !errors.Is(err, stop) {
		t.Errorf("Recover = %v", err)
	}
}

// Of a size field that a flipped bit has made huge no memory is taken: the checksum is looked at first.
func TestRecoverChecksLargeBatchesFirst(t *testing.T) {
	fsys := vfs.NewMem()
	e := newEnv(t, fsys, "d")
	s := e.create(0)
	large := batch(t, 0, largeBatch+1000, 5)
	must(t, s.Append(large))
	must(t, s.Close())
	again, got := recovered(t, fsys)
	if len(got.bytes()) != len(large) {
		t.Errorf("a sound large batch is cut to %d bytes", len(got.bytes()))
	}
	must(t, again.Close())
	overwrite(t, fsys, LogExt, func(f vfs.File) error {
		_, err := f.WriteAt([]byte{1}, int64(len(large)-100))
		return err
	})
	if _, got := recovered(t, fsys); len(got.bytes()) != 0 {
		t.Errorf("%d bytes left of a broken large batch", len(got.bytes()))
	}
}

// A crash before any write or sync, with any part of what was not synced left on disk, loses nothing
// that Flush had made durable and invents nothing.
func TestCrashAnywhere(t *testing.T) {
	for n := int64(0); ; n++ {
		m := vfs.NewMem()
		must(t, m.MkdirAll("d"))
		must(t, m.SyncDir("."))
		faulty := vfs.NewFaulty(m, vfs.CrashAfter(n))
		all, durable, created, done := workload(t, faulty)
		for seed := range uint64(8) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			if seed == 0 {
				rng = nil
			}
			c := m.CrashClone(rng)
			if ok, err := vfs.Exists(c, filepath.Join("d", FileName(0, LogExt))); err != nil || !ok {
				if created {
					t.Fatalf("after %d operations the synced log file is gone: %v", n, err)
				}
				continue
			}
			s, got := recovered(t, c)
			if len(got.batches) < durable {
				t.Fatalf("after %d operations, seed %d: %d batches left, %d were flushed", n, seed, len(got.batches), durable)
			}
			if !bytes.HasPrefix(all, got.bytes()) {
				t.Fatalf("after %d operations, seed %d: batches that were never appended", n, seed)
			}
			if n%5 == 0 {
				check(t, s, got)
			}
		}
		if done {
			return
		}
	}
}

// workload appends, flushes and seals until an operation fails. It returns all it appended or tried
// to, the number of batches that Flush made durable, and whether the name was.
func workload(t *testing.T, fsys vfs.FS) (all []byte, durable int, created, done bool) {
	t.Helper()
	e := &env{t: t, fs: fsys, dir: NewDir(fsys, "d", nil), files: vfs.NewCache(2), interval: 100, maxIndex: 1 << 20}
	s, err := Create(e.options(0))
	if err != nil {
		return nil, 0, false, false
	}
	if err := errors.Join(s.Flush(), e.dir.Sync()); err != nil {
		return nil, 0, false, false
	}
	for i := range int64(12) {
		b := batch(t, i, 60, 1000+i)
		all = append(all, b...)
		if err := s.Append(b); err != nil {
			return all, durable, true, false
		}
		if i%4 == 3 {
			if err := s.Flush(); err != nil {
				return all, durable, true, false
			}
			durable = int(i) + 1
		}
	}
	if err := errors.Join(s.Seal(), s.Flush(), s.Close()); err != nil {
		return all, durable, true, false
	}
	return all, 12, true, true
}

// A failed write leaves the segment as it was, for readers and for the next append.
func TestFailedWriteChangesNothing(t *testing.T) {
	m := vfs.NewMem()
	var fail bool
	faulty := vfs.NewFaulty(m, func(op vfs.Op) error {
		if fail && op.Kind == vfs.OpWrite {
			return errors.New("no space left on device")
		}
		return nil
	})
	e := newEnv(t, faulty, "d")
	s := e.create(0)
	want := &model{}
	fill(t, s, want, 5)
	fail = true
	if err := s.Append(batch(t, want.next(), 100, 1)); err == nil {
		t.Fatal("Append on a full disk succeeds")
	}
	check(t, s, want)
	fail = false
	fill(t, s, want, 5)
	check(t, s, want)
}

func FuzzRecover(f *testing.F) {
	f.Add(batch(f, 0, 10, 1, 2))
	f.Add(append(batch(f, 0, 10, 1, 2), batch(f, 2, 5, 3)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := vfs.NewMem()
		must(t, fsys.MkdirAll("d"))
		must(t, vfs.WriteFile(fsys, filepath.Join("d", FileName(0, LogExt)), data))
		s := newEnv(t, fsys, "d").open(0)
		m := &model{}
		_, err := s.Recover(func(b record.Batch) error { m.add(b); return nil }, nil)
		must(t, err)
		if !bytes.HasPrefix(data, m.bytes()) {
			t.Fatal("recovered other bytes than there were")
		}
		if m.next() < 200 {
			check(t, s, m)
		}
	})
}
