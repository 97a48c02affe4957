package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
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

// CrashClone returns the file system as it is after a power loss at this moment, and leaves m as it
// is. With a nil rng only what was synced is left. With one, a random part of the rest is left as
// well: of the unsynced changes of names some, in their order, and of the unsynced writes some, of
// which the last bytes may be missing, or missing in between. Where a later write made it and an
// earlier one did not, zeros fill the gap. Equal seeds leave equal files.
//
// Locks are gone.
func (m *Mem) CrashClone(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMem()
	c.Total, c.Usable = m.Total, m.Usable
	c.root = crash(m.root, rng, map[memNode]memNode{}).(*memDir)
	return c
}

// crash clones a node; done holds the clones made so far, since a file may have several names.
func crash(node memNode, rng *rand.Rand, done map[memNode]memNode) memNode {
	if c, ok := done[node]; ok {
		return c
	}
	switch n := node.(type) {
	case *memDir:
		c := newMemDir()
		done[node] = c
		left := make(map[string]memNode, len(n.synced))
		for name, child := range n.synced {
			left[name] = child
		}
		for _, op := range n.pending {
			if rng != nil && rng.IntN(2) == 0 {
				applyDirOp(left, op)
			}
		}
		for _, name := range sortedNames(left) {
			c.names[name] = crash(left[name], rng, done)
			c.synced[name] = c.names[name]
		}
		c.mtime = n.mtime
		return c
	case *memInode:
		data := slices.Clone(n.synced)
		for _, op := range n.pending {
			if rng != nil {
				data = tear(data, op, rng)
			}
		}
		c := &memInode{data: data, synced: slices.Clone(data), mtime: n.mtime}
		done[node] = c
		return c
	}
	return nil
}

func sortedNames(names map[string]memNode) []string {
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// sector is the largest write that a disk does whole or not at all.
const sector = 512

// tear applies op as a whole, in part or not at all.
func tear(data []byte, op fileOp, rng *rand.Rand) []byte {
	switch rng.IntN(4) {
	case 0:
		return data
	case 1:
		if op.truncate || len(op.data) == 0 {
			return data
		}
		op.data = op.data[:rng.IntN(len(op.data))]
		return applyFileOp(data, op)
	case 2:
		if op.truncate {
			return applyFileOp(data, op)
		}
		for at := 0; at < len(op.data); at += sector {
			if rng.IntN(2) == 0 {
				part := op.data[at:min(at+sector, len(op.data))]
				data = applyFileOp(data, fileOp{at: op.at + int64(at), data: part})
			}
		}
		return data
	}
	return applyFileOp(data, op)
}
