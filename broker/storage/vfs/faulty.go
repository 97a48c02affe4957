package vfs

import (
	"errors"
	"io"
	"sync/atomic"
	"time"
)

// ErrCrashed is what CrashAfter's hook answers once the machine is down.
var ErrCrashed = errors.New("crashed")

// OpKind names an operation.
type OpKind string

// The operations that change something. A hook is asked about all of them.
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

// The operations that change nothing. A hook is asked about them after Faulty.AskReads.
const (
	OpOpen    OpKind = "open" // OpenFile without Create
	OpRead    OpKind = "read"
	OpStat    OpKind = "stat" // also the size of an open file
	OpReadDir OpKind = "readdir"
	OpUsage   OpKind = "statfs"
)

// Op is an operation about to be done.
type Op struct {
	Index int64 // counts the operations of the Faulty, from 0
	Kind  OpKind
	Path  string // for a rename, the old name
	To    string // for a rename, the new name
	Bytes int64  // for a read or write its length, for a truncate the new size
	File  bool   // on a file that is open, which Path was the name of then
}

// ShortWrite is what a hook answers to have a write fail with Err after its first Bytes bytes.
type ShortWrite struct {
	Bytes int64
	Err   error
}

func (e *ShortWrite) Error() string { return e.Err.Error() }
func (e *ShortWrite) Unwrap() error { return e.Err }

// Faulty passes operations on to another FS after asking its hook. An error of the hook is returned
// in place of the operation, which is then not done, or, if it is a ShortWrite, in part. Reading fails after AskReads
// only.
type Faulty struct {
	fs    FS
	hook  func(Op) error
	reads bool
	ops   atomic.Int64
	open  atomic.Int64
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

// AskReads has the hook be asked about the operations, too, that change nothing; they count from then on. It is
// called before any other method, and returns f.
func (f *Faulty) AskReads() *Faulty {
	f.reads = true
	return f
}

// Open returns how many files and locks are open.
func (f *Faulty) Open() int64 { return f.open.Load() }

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

// askRead is ask for an operation that changes nothing.
func (f *Faulty) askRead(op Op) error {
	if !f.reads {
		return nil
	}
	return f.ask(op)
}

// OpenFile implements FS.
func (f *Faulty) OpenFile(path string, flag int) (File, error) {
	ask, kind := f.askRead, OpOpen
	if flag&Create != 0 {
		ask, kind = f.ask, OpCreate
	}
	if err := ask(Op{Kind: kind, Path: path}); err != nil {
		return nil, err
	}
	file, err := f.fs.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	f.open.Add(1)
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
func (f *Faulty) ReadDir(path string) ([]Entry, error) {
	if err := f.askRead(Op{Kind: OpReadDir, Path: path}); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(path)
}

// Stat implements FS.
func (f *Faulty) Stat(path string) (Info, error) {
	if err := f.askRead(Op{Kind: OpStat, Path: path}); err != nil {
		return Info{}, err
	}
	return f.fs.Stat(path)
}

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
	lock, err := f.fs.Lock(path)
	if err != nil {
		return nil, err
	}
	f.open.Add(1)
	return faultyLock{lock, f}, nil
}

type faultyLock struct {
	io.Closer
	fs *Faulty
}

func (l faultyLock) Close() error {
	l.fs.open.Add(-1)
	return l.Closer.Close()
}

// DiskUsage implements FS.
func (f *Faulty) DiskUsage(path string) (Usage, error) {
	if err := f.askRead(Op{Kind: OpUsage, Path: path}); err != nil {
		return Usage{}, err
	}
	return f.fs.DiskUsage(path)
}
