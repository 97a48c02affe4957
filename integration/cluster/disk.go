package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Disk is a small file system in memory for a broker's log directories, which can be filled up and can
// fail. It is mounted nowhere and ends with the process that made it.
//
// Its path is that of a file descriptor of this process, at: what is mounted there can be taken away and
// put back, as under a mount point.
type Disk struct {
	at     int     // the number of the descriptor
	device *device // nil: a tmpfs, which has none
	away   int     // the mount, while it is not at; -1 otherwise
	fault  DiskFault
}

// NewDisk returns an empty disk that can be filled up, and can vanish. It takes root.
func NewDisk(bytes int64) (*Disk, error) {
	at, err := mount("tmpfs", "size", strconv.FormatInt(bytes, 10))
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	return &Disk{at: at, away: -1}, nil
}

// NewBlockDisk returns an empty disk, an ext4 on a block device, that can fail in every way. It takes root, loop
// devices, and mkfs.ext4.
func NewBlockDisk(bytes int64) (*Disk, error) {
	dev, err := newDevice(bytes)
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	at, err := dev.mount()
	if err != nil {
		dev.close()
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	return &Disk{at: at, device: dev, away: -1}, nil
}

// mount returns a descriptor of a new mount of a file system, that has these parameters.
func mount(fsType string, params ...string) (int, error) {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for ; len(params) > 0; params = params[2:] {
		if err := unix.FsconfigSetString(fs, params[0], params[1]); err != nil {
			return -1, fmt.Errorf("%s=%s: %w", params[0], params[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

// Path returns the top directory of the disk, for this process and those that it starts.
func (d *Disk) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), d.at) }

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
	if err := d.reserve(file); err != nil {
		return fmt.Errorf("fill a disk: %w", err)
	}
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

// FillBut takes all the space but some bytes, or a few more.
func (d *Disk) FillBut(bytes int64) error {
	if err := d.Fill(); err != nil {
		return err
	}
	info, err := os.Stat(d.ballast())
	if err != nil {
		return err
	}
	return os.Truncate(d.ballast(), info.Size()-bytes)
}

// reserve takes nearly all the space without writing to it.
func (d *Disk) reserve(file *os.File) error {
	var usage unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &usage); err != nil {
		return err
	}
	for size := int64(usage.Bavail) * usage.Bsize; size >= 1<<20; {
		end, err := file.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		switch err := unix.Fallocate(int(file.Fd()), 0, end, size); {
		case errors.Is(err, syscall.ENOSPC):
			size /= 2
		case err != nil && !errors.Is(err, syscall.EINTR):
			return err
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

// DiskFault is a way in which a disk fails as a whole. Nothing that was written before is lost by any.
type DiskFault int

// The ways.
const (
	// Vanished: the path leads nowhere; files that are open go on, as after a lazy umount.
	Vanished DiskFault = iota + 1
	// Broken: everything fails with EIO.
	Broken
	// ReadOnly: an error has made the file system read-only, as errors=remount-ro has it.
	ReadOnly
)

// Fail has the disk fail in a way, until Repair. Only block disks can be Broken or ReadOnly.
func (d *Disk) Fail(how DiskFault) (err error) {
	if d.fault != 0 {
		return errors.New("the disk has failed already")
	}
	switch {
	case how == Vanished:
		err = d.takeAway()
	case d.device == nil:
		err = errors.ErrUnsupported
	case how == Broken:
		err = d.withTop(shutDown)
	default:
		err = d.withTop(d.device.provokeError)
	}
	if err != nil {
		return fmt.Errorf("have a disk fail: %w", err)
	}
	d.fault = how
	return nil
}

// Repair makes a disk that has failed whole again. But for one that has vanished, no process may have files of
// it open.
func (d *Disk) Repair() error {
	var err error
	switch d.fault {
	case 0:
		return nil
	case Vanished:
		err = d.putBack(d.away)
		d.away = -1
	default:
		err = d.mountAgain()
	}
	if err != nil {
		return fmt.Errorf("repair a disk: %w", err)
	}
	d.fault = 0
	return nil
}

// withTop does something to the file system, which takes a descriptor of its top directory.
func (d *Disk) withTop(do func(fd int) error) error {
	fd, err := unix.Open(d.Path(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd)
}

// takeAway leaves an empty directory, in which nothing can be made, in place of the mount.
func (d *Disk) takeAway() error {
	hole, err := os.MkdirTemp("", "gregor-no-disk-")
	if err != nil {
		return err
	}
	fd, err := unix.Open(hole, unix.O_PATH|unix.O_CLOEXEC, 0)
	err = errors.Join(err, os.Remove(hole))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if d.away, err = unix.FcntlInt(uintptr(d.at), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return err
	}
	return unix.Dup3(fd, d.at, unix.O_CLOEXEC)
}

// putBack mounts what has the descriptor fd, which it closes.
func (d *Disk) putBack(fd int) error {
	defer unix.Close(fd)
	return unix.Dup3(fd, d.at, unix.O_CLOEXEC)
}

// mountAgain unmounts the file system, has it checked, and mounts it. As long as a process has a file of it open
// it stays as it is.
func (d *Disk) mountAgain() error {
	if err := d.takeAway(); err != nil {
		return err
	}
	unix.Close(d.away)
	d.away = -1
	var err error
	for range 100 {
		if err = d.device.check(); err == nil {
			var fd int
			if fd, err = d.device.mount(); err == nil {
				return d.putBack(fd)
			}
		}
		time.Sleep(50 * time.Millisecond) // whoever has just ended gives its files back soon
	}
	return err
}

// Close ends the disk, once nobody has a file of it open.
func (d *Disk) Close() error {
	err := unix.Close(d.at)
	if d.away >= 0 {
		err = errors.Join(err, unix.Close(d.away))
	}
	if d.device != nil {
		err = errors.Join(err, d.device.close())
	}
	return err
}
