package storage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
	"github.com/gregor-mq/gregor/broker/topic"
)

// absolute is the path that a directory of a test has outside.
func absolute(t testing.TB, dir string) string {
	t.Helper()
	path, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// copyAll brings a future log up to the end of its current one, as the owner of the replica does.
func copyAll(m *Manager, p topic.Partition) error {
	current, future := m.Log(p), m.Future(p)
	for future.EndOffset() < current.EndOffset() {
		data, err := fetch(current, future.EndOffset(), 500, current.EndOffset())
		if err != nil {
			return err
		}
		if _, err := future.AppendFollower(data); err != nil {
			return err
		}
	}
	future.SetHighWatermark(current.HighWatermark())
	return nil
}

// move moves a replica to a directory, unless it is there.
func move(t testing.TB, m *Manager, p topic.Partition, to string) error {
	t.Helper()
	if m.Log(p).Dir() == to {
		return nil
	}
	if m.Future(p) == nil {
		if _, err := m.CreateFuture(p, absolute(t, to)); err != nil {
			return err
		}
	}
	err := copyAll(m, p)
	if err == nil {
		err = m.PreparePromotion(p)
	}
	if err == nil {
		_, err = m.Promote(p)
	}
	return err
}

// movable returns a Manager with a log of 40 batches on disk in the first of two directories, led in an epoch
// that has no record.
func movable(t testing.TB, fsys vfs.FS) (*Manager, error) {
	t.Helper()
	m, err := open(testOptions(fsys, "a", "b"))
	if err != nil {
		return nil, err
	}
	c := crashConfig()
	l, err := m.Create(orders, CreateOptions{New: true, Config: &c, TopicID: topic.ID{7}, Dir: "a"})
	if err != nil {
		return m, err
	}
	for i := range 40 {
		if _, err := l.AppendLeader(batch(t, batchOpts{timestamp: testNow}), AppendOptions{Epoch: int32(i / 10), Now: testNow}); err != nil {
			return m, err
		}
	}
	l.SetHighWatermark(35)
	l.cleaned.Store(20)
	if err = l.dir.checkpointCleaned(); err == nil {
		err = l.Flush()
	}
	if err == nil {
		err = l.saveFiles()
	}
	if err == nil {
		err = l.AssignEpoch(9, 40)
	}
	if err == nil {
		m.CheckpointHighWatermarks()
		err = l.online()
	}
	return m, err
}

func mustMovable(t testing.TB, fsys vfs.FS) *Manager {
	t.Helper()
	m, err := movable(t, fsys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func dirsOf(t testing.TB, fsys vfs.FS, path string) (names []string) {
	t.Helper()
	entries, err := fsys.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Dir {
			names = append(names, e.Name)
		}
	}
	return names
}

func TestMove(t *testing.T) {
	fsys := vfs.NewMem()
	m := mustMovable(t, fsys)
	old := m.Log(orders)
	if err := m.Prefer(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	future, err := m.CreateFuture(orders, absolute(t, "b"))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.mu.preferred) > 0 {
		t.Errorf("still preferred: %v", m.mu.preferred)
	}
	if !future.IsFuture() || m.Future(orders) != future || m.Log(orders) != old || old.IsFuture() {
		t.Error("the future log is not beside the current one")
	}
	if names := dirsOf(t, fsys, "b"); len(names) != 1 || !strings.HasPrefix(names[0], "orders-0.") || !strings.HasSuffix(names[0], "-future") {
		t.Errorf("directories: %v", names)
	}
	if _, err := m.CreateFuture(orders, absolute(t, "b")); !errors.Is(err, ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if logs := m.LogsIn("b"); len(logs) != 1 || logs[0] != future || m.Dirs()[1].Logs != 1 {
		t.Errorf("logs in b: %v", logs)
	}
	if err := move(t, m, orders, "b"); err != nil {
		t.Fatal(err)
	}
	l := m.Log(orders)
	if l != future || l.IsFuture() || m.Future(orders) != nil || l.Dir() != "b" {
		t.Errorf("the current log is in %s", l.Dir())
	}
	if got := len(readAll(t, l, 0, 40)); got != 40 || l.HighWatermark() != 35 || l.TopicID() != (topic.ID{7}) {
		t.Errorf("%d batches, high watermark %d, topic %s", got, l.HighWatermark(), l.TopicID())
	}
	if e, end, ok := l.EpochEndOffset(9); !ok || e != 9 || end != 40 {
		t.Errorf("epoch %d ends at %d", e, end)
	}
	if err := old.Err(); !errors.Is(err, ErrClosed) {
		t.Errorf("the old log: %v", err)
	}
	if names := dirsOf(t, fsys, "a"); len(names) != 1 || !strings.HasSuffix(names[0], "-delete") {
		t.Errorf("what is left: %v", names)
	}
	if got := files(t, fsys, "b/orders-0", ""); strings.Contains(fmt.Sprint(got), promotionMark) {
		t.Errorf("the mark is left: %v", got)
	}
	if m.Dirs()[0].Logs != 0 || m.Dirs()[1].Logs != 1 {
		t.Errorf("counts: %+v", m.Dirs())
	}
	appendRecords(t, l, 9, 1)
}

func TestMoveIsResumedAfterRestart(t *testing.T) {
	fsys := vfs.NewMem()
	m := mustMovable(t, fsys)
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := copyAll(m, orders); err != nil {
		t.Fatal(err)
	}
	if err := m.Future(orders).TruncateTo(20); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = mustOpen(t, testOptions(fsys, "a", "b"))
	if f := m.Future(orders); f == nil || f.EndOffset() != 20 || !f.IsFuture() || m.Log(orders).EndOffset() != 40 {
		t.Fatal("the copy is lost")
	}
	if err := move(t, m, orders, "b"); err != nil {
		t.Fatal(err)
	}
}

func TestMoveIsCancelled(t *testing.T) {
	fsys := vfs.NewMem()
	m := mustMovable(t, fsys)
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := m.DeleteFuture(orders); err != nil || m.Future(orders) != nil {
		t.Fatal(err)
	}
	if names := dirsOf(t, fsys, "b"); len(names) != 1 || !strings.HasSuffix(names[0], "-delete") {
		t.Errorf("left: %v", names)
	}
	if err := m.DeleteFuture(orders); err != nil {
		t.Errorf("without a future log: %v", err)
	}
	if err := move(t, m, orders, "b"); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestMoveRefused(t *testing.T) {
	m := mustMovable(t, vfs.NewMem())
	if _, err := m.CreateFuture(orders, "/nowhere"); !errors.Is(err, ErrUnknownDir) {
		t.Errorf("unknown directory: %v", err)
	}
	if _, err := m.CreateFuture(orders, "b"); !errors.Is(err, ErrUnknownDir) {
		t.Errorf("relative path: %v", err)
	}
	m.FailDir("b", errors.New("pulled out"))
	if _, err := m.CreateFuture(orders, absolute(t, "b")); !errors.Is(err, ErrStorage) {
		t.Errorf("offline directory: %v", err)
	}
	if err := m.Prefer(partition(5), absolute(t, "b")); !errors.Is(err, ErrStorage) {
		t.Errorf("offline directory preferred: %v", err)
	}
}

func TestPreferredDirectory(t *testing.T) {
	m := mustMovable(t, vfs.NewMem())
	for i, dir := range []string{"a", "b", "b"} {
		if err := m.Prefer(partition(i+1), absolute(t, dir)); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"a", "b", "b"} {
		if l := mustCreate(t, m, partition(i+1), DefaultLogConfig()); l.Dir() != want {
			t.Errorf("log %d is in %s, want %s", i+1, l.Dir(), want)
		}
	}
	if len(m.mu.preferred) != 0 {
		t.Errorf("still preferred: %v", m.mu.preferred)
	}
}

// TestDeletedWithItsFuture: nothing of a replica is left when it is deleted.
func TestDeletedWithItsFuture(t *testing.T) {
	fsys := vfs.NewMem()
	m := mustMovable(t, fsys)
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(orders); err != nil || m.Log(orders) != nil || m.Future(orders) != nil {
		t.Fatal(err)
	}
	for _, name := range append(dirsOf(t, fsys, "a"), dirsOf(t, fsys, "b")...) {
		if !strings.HasSuffix(name, "-delete") {
			t.Errorf("left: %s", name)
		}
	}
}

// TestCrashWhileMoving cuts the power, and kills the process, before every operation of a move there and back.
func TestCrashWhileMoving(t *testing.T) {
	count := vfs.NewFaulty(vfs.NewMem(), nil)
	m, err := movable(t, count)
	if err != nil {
		t.Fatal(err)
	}
	first := count.Ops()
	there := func(m *Manager) error {
		if err := move(t, m, orders, "b"); err != nil {
			return err
		}
		return move(t, m, orders, "a")
	}
	if err := there(m); err != nil {
		t.Fatal(err)
	}
	last := count.Ops()
	m.Close()
	for at := first; at < last; at++ {
		mem := vfs.NewMem()
		m, err := movable(t, vfs.NewFaulty(mem, vfs.CrashAfter(at)))
		if err != nil {
			t.Fatal(err)
		}
		if err := there(m); !errors.Is(err, vfs.ErrCrashed) && !errors.Is(err, ErrStorage) && err != nil {
			t.Fatalf("crash at %d: %v", at, err)
		}
		m.abandon()
		checkMoved(t, fmt.Sprintf("machine down at %d of %d", at, last), mem.CrashClone(nil))
		for seed := range uint64(3) {
			checkMoved(t, fmt.Sprintf("machine down at %d of %d, seed %d", at, last, seed), mem.CrashClone(rand.New(rand.NewPCG(uint64(at), seed))))
		}
		checkMoved(t, fmt.Sprintf("killed at %d of %d", at, last), mem)
		if t.Failed() {
			return
		}
	}
}

// checkMoved requires that the log is whole, once, wherever it is, and can be moved on.
func checkMoved(t *testing.T, when string, fsys vfs.FS) {
	t.Helper()
	m, err := open(testOptions(fsys, "a", "b"))
	if err != nil {
		t.Errorf("%s: %v", when, err)
		return
	}
	defer m.Close()
	for range 2 {
		l := m.Log(orders)
		if l == nil || l.EndOffset() != 40 || l.StartOffset() != 0 || l.IsFuture() {
			t.Errorf("%s: log %+v", when, l)
			return
		}
		if l.HighWatermark() != 35 {
			t.Errorf("%s: high watermark %d", when, l.HighWatermark())
		}
		if l.cleaned.Load() != 20 {
			t.Errorf("%s: clean up to %d", when, l.cleaned.Load())
		}
		batches, err := readBatches(l, 0, 40)
		if err != nil || len(batches) != 40 {
			t.Errorf("%s: %d batches, %v", when, len(batches), err)
			return
		}
		for _, b := range batches {
			if b.LeaderEpoch() != int32(b.BaseOffset()/10) || l.EpochAt(b.BaseOffset()) != b.LeaderEpoch() {
				t.Errorf("%s: batch %d of epoch %d (%d)", when, b.BaseOffset(), b.LeaderEpoch(), l.EpochAt(b.BaseOffset()))
			}
		}
		to := map[string]string{"a": "b", "b": "a"}[l.Dir()]
		if err := move(t, m, orders, to); err != nil {
			t.Errorf("%s: move to %s: %v", when, to, err)
			return
		}
	}
	marks := 0
	for _, d := range []string{"a", "b"} {
		for _, name := range dirsOf(t, fsys, d) {
			if exists, _ := vfs.Exists(fsys, filepath.Join(d, name, promotionMark)); exists && !strings.HasSuffix(name, "-delete") {
				marks++
			}
		}
	}
	if marks > 0 {
		t.Errorf("%s: %d marks left", when, marks)
	}
}

// TestMarkWaitsForOfflineDirectory: an old log in a directory that was offline when its place was taken does not
// come back with it.
func TestMarkWaitsForOfflineDirectory(t *testing.T) {
	mem := vfs.NewMem()
	broken := false
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if broken && (strings.HasPrefix(op.Path, "a/") || op.Path == "a") {
			return errors.New("broken")
		}
		return nil
	})
	m := mustMovable(t, fsys)
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	err := copyAll(m, orders)
	if err == nil {
		err = m.PreparePromotion(orders)
	}
	if err != nil {
		t.Fatal(err)
	}
	broken = true
	l, err := m.Promote(orders)
	if err != nil || l.Dir() != "b" || !m.Dirs()[0].Offline {
		t.Fatalf("promoted although the old log could not be renamed: %v", err)
	}
	appendRecords(t, l, 9, 1)
	m.Close()
	for _, broken = range []bool{true, false, false} {
		m := mustOpen(t, testOptions(fsys, "a", "b"))
		if l := m.Log(orders); l == nil || l.Dir() != "b" || l.EndOffset() != 41 || m.Dirs()[0].Offline != broken {
			t.Fatalf("a broken: %v: %+v", broken, l)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A move that is given up while its future log gets its mark does not look like a failure of the disk.
func TestGivenUpWhileMarked(t *testing.T) {
	var m *Manager
	var future *Log
	fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpRename && strings.HasSuffix(op.To, promotionMark) && future.filesMu.TryLock() {
			future.filesMu.Unlock()
			return m.DeleteFuture(orders) // which need not wait
		}
		return nil
	})
	m = mustMovable(t, fsys)
	var err error
	if future, err = m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(copyAll(m, orders), m.PreparePromotion(orders), m.DeleteFuture(orders)); err != nil {
		t.Fatal(err)
	}
	if err := future.markForPromotion(); !errors.Is(err, ErrClosed) {
		t.Errorf("marked after it was given up: %v", err)
	}
	if m.Dirs()[1].Offline {
		t.Error("the directory is offline")
	}
}
