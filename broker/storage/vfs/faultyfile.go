package vfs

import (
	"errors"
	"slices"
	"sync/atomic"
)

// faultyFile is an open file of a Faulty.
type faultyFile struct {
	File
	fs     *Faulty
	path   string
	closed atomic.Bool
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.askRead(Op{Kind: OpRead, Path: f.path, Bytes: int64(len(p)), File: true}); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(Op{Kind: OpWrite, Path: f.path, Bytes: int64(len(p)), File: true}); err != nil {
		return f.writePart(p, off, err)
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) WriteVAt(bufs [][]byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Path: f.path, File: true}
	for _, b := range bufs {
		op.Bytes += int64(len(b))
	}
	if err := f.fs.ask(op); err != nil {
		return f.writePart(slices.Concat(bufs...), off, err)
	}
	return f.File.WriteVAt(bufs, off)
}

// writePart does of a write what its failure lets through.
func (f *faultyFile) writePart(p []byte, off int64, failure error) (int, error) {
	var short *ShortWrite
	if !errors.As(failure, &short) {
		return 0, failure
	}
	n, err := f.File.WriteAt(p[:min(short.Bytes, int64(len(p)))], off)
	return n, errors.Join(failure, err)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.ask(Op{Kind: OpTruncate, Path: f.path, Bytes: size, File: true}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.ask(Op{Kind: OpSync, Path: f.path, File: true}); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *faultyFile) Size() (int64, error) {
	if err := f.fs.askRead(Op{Kind: OpStat, Path: f.path, File: true}); err != nil {
		return 0, err
	}
	return f.File.Size()
}

func (f *faultyFile) Close() error {
	if !f.closed.Swap(true) {
		f.fs.open.Add(-1)
	}
	return f.File.Close()
}
