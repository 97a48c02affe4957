package segment

import (
	"errors"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A read that fails is no reason to look elsewhere: the disk is broken, and the log's owner has to know.
func TestReadErrorsAreNotPassedOver(t *testing.T) {
	mem := vfs.NewMem()
	w := newEnv(t, mem, "d")
	w.interval = 100
	s := w.create(0)
	fill(t, s, &model{}, 40)
	must(t, errors.Join(s.Seal(), s.Close()))
	end := s.next
	for maxBytes := 50; maxBytes < 2000; maxBytes += 300 {
		for offset := int64(0); offset < end; offset += 3 {
			for n, done := 0, false; !done; n++ {
				failed, reads := false, 0
				e := newEnv(t, vfs.NewFaulty(mem, func(op vfs.Op) error {
					if op.Kind == vfs.OpRead {
						reads++
						failed = failed || reads == n+1
						if reads == n+1 {
							return syscall.EIO
						}
					}
					return nil
				}).AskReads(), "d")
				r := e.open(0)
				r.interval = 100
				res, err := r.Read(offset, end, maxBytes, true)
				if failed != errors.Is(err, syscall.EIO) {
					t.Fatalf("read of %d bytes from %d with failure of read %d: %v", maxBytes, offset, n, err)
				}
				if res.Section != nil {
					res.Section.Release()
				}
				r.Abandon()
				done = !failed
			}
		}
	}
}

// A file that is opened while its directory fails does not stay open: those that were open have been closed by then.
func TestNoFileStaysOpenThatIsOpenedWhileTheDirectoryFails(t *testing.T) {
	var offline, failing atomic.Bool
	fsys := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
		if failing.Load() && op.Kind == vfs.OpOpen {
			offline.Store(true)
		}
		return nil
	}).AskReads()
	e := newEnv(t, fsys, "d")
	e.dir = NewDir(fsys, "d", &offline)
	s := e.create(0)
	must(t, s.Append(batch(t, 0, 1, 1)))
	e.files.Evict(func(vfs.Opener) bool { return true })
	failing.Store(true)
	if _, err := s.Read(0, 1, 1000, true); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if n := fsys.Open(); n != 0 {
		t.Errorf("%d files are open", n)
	}
}
