package vfs

import (
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// memInode is a file's content, whatever its names. Mem.mu guards it.
type memInode struct {
	data    []byte
	synced  []byte   // data at the last Sync
	pending []fileOp // changes since then, in order
	mtime   time.Time
}

// fileOp is one write or one change of size.
type fileOp struct {
	at       int64
	data     []byte
	size     int64
	truncate bool
}

func (n *memInode) modified() time.Time { return n.mtime }

func (n *memInode) change(op fileOp) {
	n.data = applyFileOp(n.data, op)
	n.pending = append(n.pending, op)
	n.mtime = time.Now()
}

func (n *memInode) sync() {
	for _, op := range n.pending {
		n.synced = applyFileOp(n.synced, op)
	}
	n.pending = nil
}

func applyFileOp(data []byte, op fileOp) []byte {
	end := op.at + int64(len(op.data))
	if op.truncate {
		end = op.size
	}
	switch {
	case end > int64(len(data)):
		data = append(data, make([]byte, end-int64(len(data)))...)
	case op.truncate:
		data = data[:end]
	}
	if !op.truncate {
		copy(data[op.at:], op.data)
	}
	return data
}

// memFile is an open memInode.
type memFile struct {
	fs     *Mem
	inode  *memInode
	path   string
	write  bool
	closed atomic.Bool
}

func (f *memFile) check(op string, write bool) error {
	switch {
	case f.closed.Load():
		return pathError(op, f.path, fs.ErrClosed)
	case write && !f.write:
		return pathError(op, f.path, fs.ErrPermission)
	}
	return nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("read", f.path, fs.ErrInvalid)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off >= int64(len(f.inode.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.inode.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.check("write", true); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathError("write", f.path, fs.ErrInvalid)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.inode.change(fileOp{at: off, data: slices.Clone(p)})
	return len(p), nil
}

func (f *memFile) WriteVAt(bufs [][]byte, off int64) (int, error) {
	return f.WriteAt(slices.Concat(bufs...), off)
}

func (f *memFile) Reserve(int64, int64) error { return f.check("reserve", true) }

func (f *memFile) Truncate(size int64) error {
	if err := f.check("truncate", true); err != nil {
		return err
	}
	if size < 0 {
		return pathError("truncate", f.path, fs.ErrInvalid)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.inode.change(fileOp{size: size, truncate: true})
	return nil
}

func (f *memFile) Sync() error {
	if err := f.check("sync", false); err != nil {
		return err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.inode.sync()
	return nil
}

func (f *memFile) Size() (int64, error) {
	if err := f.check("stat", false); err != nil {
		return 0, err
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.inode.data)), nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.path, fs.ErrClosed)
	}
	return nil
}

func (f *memFile) OSFile() *os.File { return nil }
