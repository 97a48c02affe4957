package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Disk is a small file system in memory for a broker's log directories, which can be filled up. It is
// mounted nowhere and ends with the process that made it.
type Disk struct {
	root *os.File
}

// NewDisk returns an empty disk. It takes root.
func NewDisk(bytes int64) (*Disk, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	defer unix.Close(fs)
	err = errors.Join(
		unix.FsconfigSetString(fs, "size", strconv.FormatInt(bytes, 10)),
		unix.FsconfigCreate(fs))
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	return &Disk{os.NewFile(uintptr(root), "disk")}, nil
}

// Path returns the top directory of the disk, for this process and those that it starts.
func (d *Disk) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), d.root.Fd())
}

// ballast is the file that fills the disk.
func (d *Disk) ballast() string { return filepath.Join(d.Path(), "ballast") }

// Fill takes all the space that is left.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return err
	}
	defer file.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		n, err := file.Write(block)
		switch {
		case errors.Is(err, syscall.ENOSPC) && n == 0:
			block = block[:len(block)/2]
		case err != nil && !errors.Is(err, syscall.ENOSPC):
			return fmt.Errorf("fill a disk: %w", err)
		}
	}
	return nil
}

// Free gives the space back that Fill has taken.
func (d *Disk) Free() error {
	err := os.Remove(d.ballast())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Close ends the disk, once nobody has a file of it open.
func (d *Disk) Close() error { return d.root.Close() }
