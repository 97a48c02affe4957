package vfs

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// OutOfDescriptors reports whether err says that the process (EMFILE), or the whole system (ENFILE), has no file descriptor
// left.
func OutOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

const (
	// ShedFiles is how many files are closed at a time when descriptors are short: others, who are not asked here, may be
	// waiting for one as well.
	ShedFiles = 16
	// shortagePause is the pause between two attempts if no file could be closed.
	shortagePause = 10 * time.Millisecond
)

// Frugal is an FS for times when file descriptors are short. An operation that finds none left has Files close some that
// are not in use, and is tried again until Patience is over; only then does its error count.
type Frugal struct {
	FS
	Files    *Cache
	Patience time.Duration // how long an operation waits for a descriptor
	// Short is called with the error of each first attempt that failed; nil: nobody is told.
	Short func(error)
}

// try does op until it is not for want of a descriptor that it fails.
func (f *Frugal) try(op func() error) error {
	err := op()
	if !OutOfDescriptors(err) {
		return err
	}
	if f.Short != nil {
		f.Short(err)
	}
	for end := time.Now().Add(f.Patience); OutOfDescriptors(err) && time.Now().Before(end); err = op() {
		if f.Files.Shed(ShedFiles) == 0 {
			time.Sleep(shortagePause)
		}
	}
	return err
}

// OpenFile implements FS.
func (f *Frugal) OpenFile(path string, flag int) (file File, err error) {
	file, err = f.FS.OpenFile(path, flag)
	if err == nil || !OutOfDescriptors(err) {
		return file, err
	}
	err = f.try(func() (err error) {
		file, err = f.FS.OpenFile(path, flag)
		return err
	})
	return file, err
}

// ReadDir implements FS.
func (f *Frugal) ReadDir(path string) (entries []Entry, err error) {
	err = f.try(func() (err error) {
		entries, err = f.FS.ReadDir(path)
		return err
	})
	return entries, err
}

// RemoveAll implements FS.
func (f *Frugal) RemoveAll(path string) error {
	return f.try(func() error { return f.FS.RemoveAll(path) })
}

// SyncDir implements FS.
func (f *Frugal) SyncDir(path string) error {
	return f.try(func() error { return f.FS.SyncDir(path) })
}

// SyncVolumes implements FS.
func (f *Frugal) SyncVolumes(paths []string) error {
	return f.try(func() error { return f.FS.SyncVolumes(paths) })
}

// Lock implements FS.
func (f *Frugal) Lock(path string) (lock io.Closer, err error) {
	err = f.try(func() (err error) {
		lock, err = f.FS.Lock(path)
		return err
	})
	return lock, err
}
