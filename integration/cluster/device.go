package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A device is a block device in memory with an ext4. It goes when it is neither open nor mounted any more.
type device struct {
	file *os.File // /dev/loop<n>
}

// newDevice makes a device and an empty file system on it.
func newDevice(bytes int64) (*device, error) {
	fd, err := unix.MemfdCreate("disk", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	memory := os.NewFile(uintptr(fd), "disk")
	defer memory.Close()
	if err := memory.Truncate(bytes); err != nil {
		return nil, err
	}
	file, err := loop(memory)
	if err != nil {
		return nil, err
	}
	d := &device{file}
	// No blocks are kept for root, which brokers run as here.
	if err := d.tool("mkfs.ext4", 0, "-q", "-F", "-m", "0", file.Name()); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// loop makes a block device of a file.
func loop(backing *os.File) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("no loop device: %w", err)
		}
		file, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(file.Fd()), &unix.LoopConfig{
			Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return file, nil
		}
		file.Close()
		if !errors.Is(err, unix.EBUSY) { // another process was faster
			return nil, fmt.Errorf("loop device: %w", err)
		}
	}
}

// mount mounts the file system. It is an error if the one that is still in use has failed.
func (d *device) mount() (int, error) {
	fd, err := mount("ext4", "source", d.file.Name(), "errors", "remount-ro")
	if err != nil {
		return -1, err
	}
	probe, err := unix.Openat(fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("the file system is of no use: %w", err)
	}
	return fd, unix.Close(probe)
}

// check repairs the file system, as is done at a boot.
func (d *device) check() error { return d.tool("e2fsck", 1, "-y", d.file.Name()) }

// tool runs a program, whose exit status is at most one that is all right.
func (d *device) tool(name string, most int, args ...string) error {
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() >= 0 && ended.ExitCode() <= most {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// shutDown has every use of a file system fail with EIO from now on. What was written before is on its device.
func shutDown(fd int) error {
	const ioctlShutdown, andFlush = 0x8004587d, 0 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_DEFAULT
	return unix.IoctlSetPointerInt(fd, ioctlShutdown, andFlush)
}

// provokeError tells the file system that it has an error, after which it is read-only. What was written before
// is on the device: nobody writes in between.
func (d *device) provokeError(fd int) (err error) {
	const freeze, thaw = 0xc0045877, 0xc0045878 // FIFREEZE, FITHAW
	if err := unix.IoctlSetInt(fd, freeze, 0); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	defer func() { err = errors.Join(err, unix.IoctlSetInt(fd, thaw, 0)) }()
	return os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(d.file.Name()), "trigger_fs_error"), []byte("1"), 0)
}

func (d *device) close() error { return d.file.Close() }
