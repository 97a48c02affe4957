package storage

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/checkpoint"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// TestDeletedFilesAreNamedDurablyFirst: with file.delete.delay.ms=0, too, no file of a deleted segment goes before a power
// loss would find it by its new name.
func TestDeletedFilesAreNamedDurablyFirst(t *testing.T) {
	var unnamed atomic.Int64 // names that may not be durable
	var removed atomic.Int64
	gone := make(chan struct{})
	fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		switch {
		case op.Kind == vfs.OpRename && strings.HasSuffix(op.To, segment.DeletedSuffix):
			unnamed.Add(1)
		case op.Kind == vfs.OpSyncDir && op.Path == logDir:
			time.Sleep(20 * time.Millisecond) // time for who does not wait for this
			unnamed.Store(0)
		case op.Kind == vfs.OpRemove && strings.HasSuffix(op.Path, segment.LogExt+segment.DeletedSuffix):
			if unnamed.Load() > 0 {
				return errors.New("removed before its name was durable")
			}
			if removed.Add(1) == 2 {
				close(gone)
			}
		}
		return nil
	})
	m := mustOpen(t, testOptions(fsys))
	c := loadConfig()
	c.FileDeleteDelayMs, c.RetentionBytes = 0, 0
	l := mustCreate(t, m, orders, c)
	for range 12 {
		appendRecords(t, l, 0, 5)
	}
	l.SetHighWatermark(l.EndOffset())
	if n, err := l.deleteOldSegments(testNow); n < 2 || err != nil {
		t.Fatalf("deleted %d segments: %v", n, err)
	}
	select {
	case <-gone:
	case <-time.After(time.Minute):
		t.Fatalf("%d files were removed", removed.Load())
	}
	if err := l.online(); err != nil {
		t.Error(err)
	}
}

// TestDeletedFileBesideADamagedSegment: Kafka has removed a segment behind a torn tail, and the one before has gone on
// since, to where the next one begins. That there is a .deleted file within its offsets does not mean that retention has
// deleted it, although its end cannot be made out any more. A file that ends where the next segment begins means that.
func TestDeletedFileBesideADamagedSegment(t *testing.T) {
	for _, tt := range []struct {
		name     string
		count    int // of records that the removed segment had, from 5 on
		segments []int64
	}{
		{"behind a torn tail", 3, []int64{0, 10, 20}},
		{"by retention", 5, []int64{10, 20}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := loadFixture(t)
			log := name(0, segment.LogExt)
			data := read(t, fsys, log)
			half := len(data) / 2
			data[half+8] ^= 0x40 // the length of the last batch
			write(t, fsys, log, data)
			write(t, fsys, name(5, segment.LogExt)+segment.DeletedSuffix, batch(t, batchOpts{base: 5, count: tt.count}))
			l := mustOpen(t, loadOptions(fsys)).Log(orders)
			if l == nil || !slices.Equal(l.Segments(), tt.segments) {
				t.Errorf("segments %v, want %v", l.Segments(), tt.segments)
			}
		})
	}
}

// TestGapsAreNoLossIfNobodyKnowsWhatWasCompacted: a log was compacted, and is not any more. The gaps that this has left are
// known from cleaner-offset-checkpoint, and without it they must not be taken for records that were lost: what lies
// behind would be removed.
func TestGapsAreNoLossIfNobodyKnowsWhatWasCompacted(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		fsys := loadFixture(t)
		remove(t, fsys, "data/"+checkpoint.CleanShutdown)
		if err := checkpoint.WriteOffsets(fsys, "data/"+checkpoint.RecoveryPoints, checkpoint.Offsets{orders: 0}); err != nil {
			t.Fatal(err)
		}
		remove(t, fsys, name(10, segment.LogExt)) // all of it superseded
		if deleted {
			write(t, fsys, name(10, segment.LogExt)+segment.DeletedSuffix, batch(t, batchOpts{base: 10, count: 10}))
		}
		write(t, fsys, "data/"+checkpoint.Cleaner, []byte("0\n1\norders 0"))
		l := mustOpen(t, loadOptions(fsys)).Log(orders)
		if l == nil || !slices.Equal(l.Segments(), []int64{0, 20}) || l.EndOffset() != 30 {
			t.Errorf("a deleted file: %v: segments %v, end %d", deleted, l.Segments(), l.EndOffset())
		}
	}
}
