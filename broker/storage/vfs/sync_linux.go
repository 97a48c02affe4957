package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncVolume syncs the file system that holds path. Linux reports since 5.8 if some of it could not be
// written; before, the error came with the next fsync of the file only.
func syncVolume(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err = unix.Syncfs(int(f.Fd())); err != nil {
		err = &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return errors.Join(err, f.Close())
}
