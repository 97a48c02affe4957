//go:build unix && !linux

package vfs

import "errors"

// syncVolume: sync(2) need not wait for the disk elsewhere.
func syncVolume(string) error { return errors.ErrUnsupported }
