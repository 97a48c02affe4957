package storage

import (
	"errors"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A log that was deleted and created in another directory must not come back with a power loss: a broker does not start
// with two.
func TestDeletionIsDurableBeforeCreationElsewhere(t *testing.T) {
	for _, killed := range []bool{false, true} {
		mem := vfs.NewMem()
		o := testOptions(mem, "a", "b")
		m, err := open(o)
		if err != nil {
			t.Fatal(err)
		}
		l, err := m.Create(orders, CreateOptions{New: true, Dir: "a"})
		if err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 0, 1)
		if err := errors.Join(l.Flush(), m.Delete(orders)); err != nil {
			t.Fatal(err)
		}
		if killed {
			m.abandon()
			if m, err = open(o); err != nil {
				t.Fatal(err)
			}
		}
		if l, err = m.Create(orders, CreateOptions{New: true, Dir: "b"}); err != nil {
			t.Fatal(err)
		}
		appendRecords(t, l, 0, 2)
		if err := l.Flush(); err != nil {
			t.Fatal(err)
		}
		left := mem.CrashClone(nil)
		m.abandon()
		again := mustOpen(t, testOptions(left, "a", "b"))
		if l := again.Log(orders); l == nil || l.Dir() != "b" || l.EndOffset() != 2 {
			t.Fatalf("killed %v: %+v", killed, l)
		}
	}
}
