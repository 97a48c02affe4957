package storage

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
	case <-time.After(10 * time.Second):
		t.Fatalf("%d files were removed", removed.Load())
	}
	if err := l.online(); err != nil {
		t.Error(err)
	}
}
