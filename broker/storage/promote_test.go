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
