package vfs

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// scarce is an FS of a process with few descriptors: what needs one fails unless opener has fewer files open.
type scarce struct {
	FS
	opener *counted
	limit  int64
	err    error
}

func (s *scarce) check() error {
	if s.opener.isOpen.Load() >= s.limit {
		return s.err
	}
	return nil
}

func (s *scarce) OpenFile(path string, flag int) (File, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.FS.OpenFile(path, flag)
}

func (s *scarce) SyncDir(path string) error { return errors.Join(s.check(), s.FS.SyncDir(path)) }

// Files that nobody uses are closed when a descriptor is wanted for something else, and those in use are waited for.
func TestDescriptorsAreTakenFromFilesThatAreNotInUse(t *testing.T) {
	for _, missing := range []error{syscall.EMFILE, syscall.ENFILE} {
		synctest.Test(t, func(t *testing.T) {
			opener := &counted{}
			cache := NewCache(100)
			told := 0
			fs := &Frugal{FS: &scarce{NewMem(), opener, 8, missing}, Files: cache, Patience: time.Second, Short: func(err error) {
				if !errors.Is(err, missing) {
					t.Errorf("told of %v", err)
				}
				told++
			}}
			opener.fs = fs
			s := slots(cache, opener, 50)
			var held []*Handle
			for i := range s {
				h := must(s[i].Acquire())(t)
				if i < 8 {
					h.Release()
				} else if held = append(held, h); len(held) == 8 {
					break
				}
			}
			if told == 0 {
				t.Fatal("there were descriptors for all")
			}
			if _, err := s[20].Acquire(); !errors.Is(err, missing) {
				t.Fatalf("all descriptors are in use, and a file can be opened: %v", err)
			}
			if err := fs.SyncDir("."); !errors.Is(err, missing) {
				t.Fatalf("all descriptors are in use, and a directory can be synced: %v", err)
			}
			time.AfterFunc(time.Second/2, held[0].Release)
			before := time.Now()
			must(s[20].Acquire())(t).Release()
			if waited := time.Since(before); waited < time.Second/2 || waited > time.Second/2+2*shortagePause {
				t.Errorf("waited for %s", waited)
			}
		})
	}
}

// Other errors are not waited out.
func TestOtherErrorsCountAtOnce(t *testing.T) {
	opener := &counted{}
	opener.isOpen.Store(1)
	fs := &Frugal{FS: &scarce{NewMem(), opener, 1, syscall.EIO}, Files: NewCache(1), Patience: time.Hour}
	if _, err := fs.OpenFile("f", Create|ReadWrite); !errors.Is(err, syscall.EIO) {
		t.Errorf("opened a file on a broken disk: %v", err)
	}
}
