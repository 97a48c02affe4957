package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// Mem is a file system in memory, for tests. It keeps apart what a program sees from what would
// survive a power loss: of a file the bytes at its last Sync, of a directory the names at its last
// SyncDir. See CrashClone.
//
// Directories exist or not as a whole path says; the root and "." always do.
type Mem struct {
	// Total and Usable are what DiskUsage answers; they limit nothing.
	Total, Usable int64

	mu    sync.Mutex
	root  *memDir
	locks map[string]bool
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{Total: 1 << 40, Usable: 1 << 40, root: newMemDir(), locks: map[string]bool{}}
}

func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: err}
}

var errNotDir, errIsDir, errNotEmpty = errors.New("not a directory"), errors.New("is a directory"), errors.New("directory not empty")

// OpenFile implements FS.
func (m *Mem) OpenFile(path string, flag int) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inode, err := m.openLocked(path, flag)
	if err != nil {
		return nil, pathError("open", path, err)
	}
	return &memFile{fs: m, inode: inode, path: path, write: flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

func (m *Mem) openLocked(path string, flag int) (*memInode, error) {
	d, name, err := m.parentLocked(path)
	if err != nil {
		return nil, err
	}
	node, exists := d.names[name]
	switch {
	case exists && flag&(Create|Exclusive) == Create|Exclusive:
		return nil, fs.ErrExist
	case !exists && flag&Create == 0:
		return nil, fs.ErrNotExist
	case !exists:
		inode := &memInode{mtime: time.Now()}
		d.apply(dirOp{set: name, node: inode})
		return inode, nil
	}
	inode, ok := node.(*memInode)
	if !ok {
		return nil, errIsDir
	}
	if flag&Truncate != 0 {
		inode.change(fileOp{size: 0, truncate: true})
	}
	return inode, nil
}

// Stat implements FS.
func (m *Mem) Stat(path string) (Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.findLocked(path)
	if err != nil {
		return Info{}, pathError("stat", path, err)
	}
	info := Info{ModTime: node.modified(), Dir: true}
	if inode, ok := node.(*memInode); ok {
		info.Size, info.Dir = int64(len(inode.data)), false
	}
	return info, nil
}

// SetModTime implements FS.
func (m *Mem) SetModTime(path string, t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	node, err := m.findLocked(path)
	if err != nil {
		return pathError("chtimes", path, err)
	}
	switch n := node.(type) {
	case *memDir:
		n.mtime = t
	case *memInode:
		n.mtime = t
	}
	return nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dirLocked(path)
	if err != nil {
		return pathError("sync", path, err)
	}
	d.sync()
	return nil
}

// SyncVolumes implements FS: all is one volume.
func (m *Mem) SyncVolumes(paths []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, path := range paths {
		if _, err := m.findLocked(path); err != nil {
			return pathError("syncfs", path, err)
		}
	}
	syncAll(m.root)
	return nil
}

// syncAll syncs what is below node. What has been removed from its directory, yet not durably, is left as
// it is: a power loss may bring back either.
func syncAll(node memNode) {
	switch n := node.(type) {
	case *memDir:
		for _, child := range n.names {
			syncAll(child)
		}
		n.sync()
	case *memInode:
		n.sync()
	}
}

type memLock struct {
	m    *Mem
	path string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.path)
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(path string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[path] {
		return nil, pathError("lock", path, ErrLocked)
	}
	if _, err := m.openLocked(path, ReadWrite|Create); err != nil {
		return nil, pathError("lock", path, err)
	}
	m.locks[path] = true
	return memLock{m, path}, nil
}

// DiskUsage implements FS.
func (m *Mem) DiskUsage(path string) (Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.findLocked(path); err != nil {
		return Usage{}, pathError("statfs", path, err)
	}
	return Usage{Total: m.Total, Usable: m.Usable}, nil
}
