package vfs

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// ErrCrashed is what CrashAfter's hook answers once the machine is down.
var ErrCrashed = errors.New("crashed")

// OpKind names an operation that changes something.
type OpKind string

// The operations that a hook is asked about.
const (
	OpCreate   OpKind = "create" // OpenFile with Create
	OpRemove   OpKind = "remove"
	OpRename   OpKind = "rename"
	OpMkdir    OpKind = "mkdir"
	OpTimes    OpKind = "times"
	OpSyncDir  OpKind = "syncdir"
	OpLock     OpKind = "lock"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpVolume   OpKind = "syncvolumes"
)

// Op is an operation about to be done.
type Op struct {
	Index int64 // counts the operations of the Faulty, from 0
	Kind  OpKind
	Path  string // for a rename, the old name
	To    string // for a rename, the new name
	Bytes int64  // for a write its length, for a truncate the new size
}

// Faulty passes operations on to another FS after asking its hook. An error of the hook is returned
// in place of the operation, which is then not done. Reading never fails.
type Faulty struct {
	fs   FS
	hook func(Op) error
	ops  atomic.Int64
}

// NewFaulty wraps fsys. hook may be called from several goroutines at once; nil only counts.
func NewFaulty(fsys FS, hook func(Op) error) *Faulty { return &Faulty{fs: fsys, hook: hook} }

// CrashAfter returns a hook that lets n operations pass and refuses all others with ErrCrashed.
func CrashAfter(n int64) func(Op) error {
	return func(op Op) error {
		if op.Index >= n {
			return ErrCrashed
		}
		return nil
	}
}

// Ops returns how many operations were asked for.
func (f *Faulty) Ops() int64 { return f.ops.Load() }

func (f *Faulty) ask(op Op) error {
	op.Index = f.ops.Add(1) - 1
	if f.hook == nil {
		return nil
	}
	if err := f.hook(op); err != nil {
		return pathError(string(op.Kind), op.Path, err)
	}
	return nil
}

// OpenFile implements FS.
func (f *Faulty) OpenFile(path string, flag int) (File, error) {
	if flag&Create != 0 {
		if err := f.ask(Op{Kind: OpCreate, Path: path}); err != nil {
			return nil, err
		}
	}
	file, err := f.fs.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &faultyFile{File: file, fs: f, path: path}, nil
}

// Remove implements FS.
func (f *Faulty) Remove(path string) error {
	if err := f.ask(Op{Kind: OpRemove, Path: path}); err != nil {
		return err
	}
	return f.fs.Remove(path)
}

// RemoveAll implements FS.
func (f *Faulty) RemoveAll(path string) error {
	if err := f.ask(Op{Kind: OpRemove, Path: path}); err != nil {
		return err
	}
	return f.fs.RemoveAll(path)
}

// Rename implements FS.
func (f *Faulty) Rename(from, to string) error {
	if err := f.ask(Op{Kind: OpRename, Path: from, To: to}); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

// MkdirAll implements FS.
func (f *Faulty) MkdirAll(path string) error {
	if err := f.ask(Op{Kind: OpMkdir, Path: path}); err != nil {
		return err
	}
	return f.fs.MkdirAll(path)
}

// ReadDir implements FS.
func (f *Faulty) ReadDir(path string) ([]Entry, error) { return f.fs.ReadDir(path) }

// Stat implements FS.
func (f *Faulty) Stat(path string) (Info, error) { return f.fs.Stat(path) }

// SetModTime implements FS.
func (f *Faulty) SetModTime(path string, t time.Time) error {
	if err := f.ask(Op{Kind: OpTimes, Path: path}); err != nil {
		return err
	}
	return f.fs.SetModTime(path, t)
}

// SyncDir implements FS.
func (f *Faulty) SyncDir(path string) error {
	if err := f.ask(Op{Kind: OpSyncDir, Path: path}); err != nil {
		return err
	}
	return f.fs.SyncDir(path)
}

// SyncVolumes implements FS.
func (f *Faulty) SyncVolumes(paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	if err := f.ask(Op{Kind: OpVolume, Path: paths[0]}); err != nil {
		return err
	}
	return f.fs.SyncVolumes(paths)
}

// Lock implements FS.
func (f *Faulty) Lock(path string) (io.Closer, error) {
	if err := f.ask(Op{Kind: OpLock, Path: path}); err != nil {
		return nil, err
	}
	return f.fs.Lock(path)
}

// DiskUsage implements FS.
func (f *Faulty) DiskUsage(path string) (Usage, error) { return f.fs.DiskUsage(path) }

type faultyFile struct {
	File
	fs   *Faulty
	path string
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.ask(Op{Kind: OpWrite, Path: f.path, Bytes: int64(len(p))}); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) WriteVAt(bufs [][]byte, off int64) (int, error) {
	op := Op{Kind: OpWrite, Path: f.path}
	for _, b := range bufs {
		op.Bytes += int64(len(b))
	}
	if err := f.fs.ask(op); err != nil {
		return 0, err
	}
	return f.File.WriteVAt(bufs, off)
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.fs.ask(Op{Kind: OpTruncate, Path: f.path, Bytes: size}); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *faultyFile) Sync() error {
	if err := f.fs.ask(Op{Kind: OpSync, Path: f.path}); err != nil {
		return err
	}
	return f.File.Sync()
}
