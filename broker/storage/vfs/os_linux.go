package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxBuffers is how many buffers the system takes with one call (IOV_MAX).
const maxBuffers = 1024

// WriteVAt implements File.
func (f osFile) WriteVAt(bufs [][]byte, off int64) (written int, err error) {
	for len(bufs) > 0 {
		some := bufs[:min(len(bufs), maxBuffers)]
		n, err := f.writeVAt(some, off+int64(written))
		written += n
		if err != nil {
			return written, err
		}
		bufs = bufs[len(some):]
	}
	return written, nil
}

// writeVAt is WriteVAt for at most maxBuffers buffers.
func (f osFile) writeVAt(bufs [][]byte, off int64) (int, error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	for {
		n, err := unix.Pwritev(int(f.Fd()), bufs, off)
		switch {
		case n == total:
			return n, nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, &os.PathError{Op: "write", Path: f.Name(), Err: err}
		default:
			rest, err := f.writeRest(bufs, n, off)
			return n + rest, err
		}
	}
}

// writeRest writes what is left of bufs after their first done bytes, which stand at off. Disks take
// less than all only when they fail or are full, and then the next write says why.
func (f osFile) writeRest(bufs [][]byte, done int, off int64) (written int, err error) {
	for _, b := range bufs {
		skip := min(done, len(b))
		done -= skip
		off += int64(skip)
		n, err := f.WriteAt(b[skip:], off)
		written, off = written+n, off+int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Reserve implements File.
func (f osFile) Reserve(off, n int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, off, n)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
