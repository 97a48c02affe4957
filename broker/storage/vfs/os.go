package vfs

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// OS is the operating system's file system. Files are created with mode 0644 and directories with
// 0755, less the umask.
var OS FS = osFS{}

type osFS struct{}

type osFile struct{ *os.File }

func (f osFile) OSFile() *os.File { return f.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// OpenFile goes past os.OpenFile, which offers every file to the poller: for a file on disk that is
// five system calls in vain, and a broker opens many.
func (osFS) OpenFile(path string, flag int) (File, error) {
	for {
		fd, err := unix.Open(path, flag|unix.O_CLOEXEC, 0o644)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &os.PathError{Op: "open", Path: path, Err: err}
		default:
			return osFile{os.NewFile(uintptr(fd), path)}, nil
		}
	}
}

func (osFS) Remove(path string) error     { return os.Remove(path) }
func (osFS) RemoveAll(path string) error  { return os.RemoveAll(path) }
func (osFS) Rename(from, to string) error { return os.Rename(from, to) }
func (osFS) MkdirAll(path string) error   { return os.MkdirAll(path, 0o755) }

func (osFS) ReadDir(path string) ([]Entry, error) {
	names, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(names))
	for i, e := range names {
		dir := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 { // a log directory may be linked from another disk
			info, err := os.Stat(path + string(os.PathSeparator) + e.Name())
			dir = err == nil && info.IsDir()
		}
		entries[i] = Entry{Name: e.Name(), Dir: dir}
	}
	return entries, nil
}

func (osFS) Stat(path string) (Info, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	i := Info{ModTime: info.ModTime(), Dir: info.IsDir()}
	if !i.Dir {
		i.Size = info.Size()
	}
	return i, nil
}

func (osFS) SetModTime(path string, t time.Time) error {
	return os.Chtimes(path, time.Time{}, t) // the zero time leaves the access time alone
}

func (osFS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFS) SyncVolumes(paths []string) error {
	synced := map[uint64]bool{}
	for _, path := range paths {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			return &os.PathError{Op: "stat", Path: path, Err: err}
		}
		if volume := uint64(st.Dev); !synced[volume] {
			if err := syncVolume(path); err != nil {
				return err
			}
			synced[volume] = true
		}
	}
	return nil
}

func (osFS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			err = ErrLocked
		}
		return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	return f, nil
}

func (osFS) DiskUsage(path string) (Usage, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Usage{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	block := int64(st.Bsize)
	return Usage{Total: int64(st.Blocks) * block, Usable: int64(st.Bavail) * block}, nil
}
