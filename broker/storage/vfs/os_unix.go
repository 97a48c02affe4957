//go:build unix && !linux

package vfs

import "errors"

// WriteVAt implements File.
func (f osFile) WriteVAt(bufs [][]byte, off int64) (written int, err error) {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off+int64(written))
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// Reserve implements File: there is no such call that all of these systems know.
func (osFile) Reserve(int64, int64) error { return errors.ErrUnsupported }
