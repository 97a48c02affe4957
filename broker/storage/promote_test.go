package storage

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A copy that may have got its name on a disk that failed at that moment must not win over the log that went on.
func TestFailedPromotionDoesNotWin(t *testing.T) {
	mem := vfs.NewMem()
	broken := false
	fsys := vfs.NewFaulty(mem, func(op vfs.Op) error {
		if broken && strings.HasPrefix(op.Path, "b") {
			return syscall.EIO
		}
		broken = broken || op.Kind == vfs.OpRename && op.To == "b/orders-0"
		return nil
	})
	m := mustMovable(t, fsys)
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(copyAll(m, orders), m.PreparePromotion(orders)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Promote(orders); !errors.Is(err, ErrStorage) || !m.Dirs()[1].Offline || m.Dirs()[0].Offline {
		t.Fatalf("promoted on a failing disk: %v", err)
	}
	appendRecords(t, m.Log(orders), 9, 1)
	if err := m.Log(orders).Flush(); err != nil {
		t.Fatal(err)
	}
	m.Close()
	for _, left := range []*vfs.Mem{mem.CrashClone(nil), mem} {
		for range 2 {
			m := mustOpen(t, testOptions(left, "a", "b"))
			if l := m.Log(orders); l == nil || l.Dir() != "a" || l.EndOffset() != 41 {
				t.Fatalf("the log is in %s and ends at %d", l.Dir(), l.EndOffset())
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestPromotionKeepsWhatWasDurable: what a process has flushed that was killed is as durable after a move, also what was
// appended to the copy last, although no checkpoint tells of it.
func TestPromotionKeepsWhatWasDurable(t *testing.T) {
	mem := vfs.NewMem()
	m, err := movable(t, mem)
	if err != nil {
		t.Fatal(err)
	}
	m.abandon()
	m = openIdle(t, testOptions(mem, "a", "b"))
	if point := m.Log(orders).RecoveryPoint(); point >= 40 {
		t.Fatalf("the recovery point is %d after the kill: nothing is in doubt", point)
	}
	if _, err := m.CreateFuture(orders, absolute(t, "b")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.PreparePromotion(orders), copyAll(m, orders)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Promote(orders); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, testOptions(mem.CrashClone(nil), "a", "b")).Log(orders)
	if l == nil || l.Dir() != "b" || l.EndOffset() != 40 {
		t.Errorf("log in %s, end %d, after a power loss, want 40", l.Dir(), l.EndOffset())
	}
}
