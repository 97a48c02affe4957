package storage

import (
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

func TestAppendReadReopen(t *testing.T) {
	fsys := vfs.NewMem()
	m := mustOpen(t, testOptions(fsys))
	l := mustCreate(t, m, orders, DefaultLogConfig())
	for i := range 10 {
		a := appendRecords(t, l, 3, 5)
		if want := int64(5 * i); a.First != want || a.Last != want+4 || a.LogEnd != want+5 {
			t.Fatalf("append %d: %+v", i, a)
		}
	}
	l.SetHighWatermark(20)
	check := func(l *Log) {
		t.Helper()
		if got := readAll(t, l, 0, l.EndOffset()); len(got) != 10 || got[9].BaseOffset() != 45 || got[9].LeaderEpoch() != 3 {
			t.Errorf("read %d batches", len(got))
		}
		if l.HighWatermark() != 20 || l.EndOffset() != 50 || l.StartOffset() != 0 {
			t.Errorf("offsets: %d %d %d", l.StartOffset(), l.HighWatermark(), l.EndOffset())
		}
		if e, ok := l.LatestEpoch(); !ok || e != 3 {
			t.Errorf("latest epoch %d %v", e, ok)
		}
	}
	check(l)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	check(mustOpen(t, testOptions(fsys)).Log(orders))
}
