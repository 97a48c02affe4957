package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes an open-file-description lock. Unlike flock it excludes the lock that Kafka takes on
// the same file (FileChannel.tryLock, a POSIX record lock), and unlike that one it is not lost when
// the process closes another descriptor of the file.
func lockFile(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}
