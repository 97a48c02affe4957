//go:build unix && !linux

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes a BSD lock, which excludes other processes of this broker but not Kafka's.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
