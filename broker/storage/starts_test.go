package storage

import (
	"errors"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestWrongStartOffsetIsForgotten: a start offset that was not believed must not come true once the log has grown
// beyond it and the broker is killed.
func TestWrongStartOffsetIsForgotten(t *testing.T) {
	fsys := loadFixture(t)
	starts := "data/" + checkpoint.LogStarts
	if err := checkpoint.WriteOffsets(fsys, starts, checkpoint.Offsets{orders: 33}); err != nil {
		t.Fatal(err)
	}
	m, err := open(loadOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	l := m.Log(orders)
	appendRecords(t, l, 5, 10)
	l.SetHighWatermark(40)
	if err := m.dirs[0].checkpointHighWatermarks(); err != nil {
		t.Fatal(err)
	}
	m.abandon()
	if l = mustOpen(t, loadOptions(fsys)).Log(orders); l.StartOffset() != 0 || l.EndOffset() != 40 {
		t.Errorf("log %d to %d after a kill", l.StartOffset(), l.EndOffset())
	}
}

// TestDeletedRecordsStayDeleted: records were deleted, the checkpoints say so, and the power goes before the log was
// synced.
func TestDeletedRecordsStayDeleted(t *testing.T) {
	mem := vfs.NewMem()
	m, err := open(loadOptions(mem))
	if err != nil {
		t.Fatal(err)
	}
	l := mustCreate(t, m, orders, loadConfig())
	appendRecords(t, l, 0, 5)
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	appendRecords(t, l, 0, 5)
	l.SetHighWatermark(10)
	if _, err := l.IncrementStartOffset(8); err != nil {
		t.Fatal(err)
	}
	if err := m.dirs[0].checkpointStarts(); err != nil {
		t.Fatal(err)
	}
	left := mem.CrashClone(nil)
	m.abandon()
	if l = mustOpen(t, loadOptions(left)).Log(orders); l.StartOffset() != 8 || l.EndOffset() != 8 {
		t.Errorf("log %d to %d after a power loss", l.StartOffset(), l.EndOffset())
	}
}

// TestDeletionBetweenTwoCheckpoints: records are deleted after the high watermarks were written, and before the start offsets are. What
// was deleted before stays deleted when the power goes then.
func TestDeletionBetweenTwoCheckpoints(t *testing.T) {
	mem := vfs.NewMem()
	m, err := open(loadOptions(mem))
	if err != nil {
		t.Fatal(err)
	}
	l, d := mustCreate(t, m, orders, loadConfig()), m.dirs[0]
	for _, start := range []int64{3, 8} {
		appendRecords(t, l, 0, 5)
		l.SetHighWatermark(l.EndOffset())
		if _, err := l.IncrementStartOffset(start); err != nil {
			t.Fatal(err)
		}
		var err error
		if start == 3 {
			err = errors.Join(l.Flush(), d.checkpointStarts())
		} else {
			err = d.checkpoint(&d.starts)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := mem.CrashClone(nil)
	m.abandon()
	if l = mustOpen(t, loadOptions(left)).Log(orders); l.StartOffset() < 3 {
		t.Errorf("log %d to %d after a power loss", l.StartOffset(), l.EndOffset())
	}
}
