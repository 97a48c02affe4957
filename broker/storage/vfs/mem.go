package vfs

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// memNode is a *memDir or a *memInode.
type memNode interface{ modified() time.Time }

type memDir struct {
	names   map[string]memNode
	synced  map[string]memNode // names that a power loss leaves
	pending []dirOp            // changes since the last SyncDir, in order
	mtime   time.Time
}

// dirOp is one change of names, atomic on disk. A rename both removes and sets.
type dirOp struct {
	remove string // "": nothing
	set    string // "": nothing
	node   memNode
}

func newMemDir() *memDir {
	return &memDir{names: map[string]memNode{}, synced: map[string]memNode{}, mtime: time.Now()}
}

func (d *memDir) modified() time.Time { return d.mtime }

func (d *memDir) apply(op dirOp) {
	applyDirOp(d.names, op)
	d.pending = append(d.pending, op)
	d.mtime = time.Now()
}

func applyDirOp(names map[string]memNode, op dirOp) {
	if op.remove != "" {
		delete(names, op.remove)
	}
	if op.set != "" {
		names[op.set] = op.node
	}
}

// split returns the elements of a path.
func split(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(path)), "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}

func pathError(op, path string, err error) error {
	return &fs.PathError{Op: op, Path: path, Err: err}
}

var errNotDir, errIsDir, errNotEmpty = errors.New("not a directory"), errors.New("is a directory"), errors.New("directory not empty")

// findLocked returns the node at path.
func (m *Mem) findLocked(path string) (memNode, error) {
	var node memNode = m.root
	for _, part := range split(path) {
		d, ok := node.(*memDir)
		if !ok {
			return nil, errNotDir
		}
		if node, ok = d.names[part]; !ok {
			return nil, fs.ErrNotExist
		}
	}
	return node, nil
}

// parentLocked returns the directory that holds path, and path's last element.
func (m *Mem) parentLocked(path string) (*memDir, string, error) {
	parts := split(path)
	if len(parts) == 0 {
		return nil, "", fs.ErrInvalid
	}
	d, err := m.dirLocked(filepath.Join(filepath.Dir(filepath.Clean(path))))
	return d, parts[len(parts)-1], err
}

func (m *Mem) dirLocked(path string) (*memDir, error) {
	node, err := m.findLocked(path)
	if err != nil {
		return nil, err
	}
	d, ok := node.(*memDir)
	if !ok {
		return nil, errNotDir
	}
	return d, nil
}

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

// Remove implements FS.
func (m *Mem) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.parentLocked(path)
	if err != nil {
		return pathError("remove", path, err)
	}
	node, ok := d.names[name]
	if !ok {
		return pathError("remove", path, fs.ErrNotExist)
	}
	if sub, ok := node.(*memDir); ok && len(sub.names) > 0 {
		return pathError("remove", path, errNotEmpty)
	}
	d.apply(dirOp{remove: name})
	return nil
}

// RemoveAll implements FS.
func (m *Mem) RemoveAll(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, name, err := m.parentLocked(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return pathError("removeall", path, err)
	}
	if _, ok := d.names[name]; ok {
		d.apply(dirOp{remove: name})
	}
	return nil
}

// Rename implements FS. Within a directory it is atomic; between two, each must be synced.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.renameLocked(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

func (m *Mem) renameLocked(from, to string) error {
	src, oldName, err := m.parentLocked(from)
	if err != nil {
		return err
	}
	dst, newName, err := m.parentLocked(to)
	if err != nil {
		return err
	}
	node, ok := src.names[oldName]
	if !ok {
		return fs.ErrNotExist
	}
	_, dir := node.(*memDir)
	switch old := dst.names[newName].(type) {
	case *memDir:
		if !dir {
			return errIsDir
		}
		if len(old.names) > 0 && old != node {
			return errNotEmpty
		}
	case *memInode:
		if dir {
			return errNotDir
		}
	}
	switch {
	case src == dst && oldName == newName:
	case src == dst:
		src.apply(dirOp{remove: oldName, set: newName, node: node})
	default:
		dst.apply(dirOp{set: newName, node: node})
		src.apply(dirOp{remove: oldName})
	}
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.root
	for _, part := range split(path) {
		node, ok := d.names[part]
		if !ok {
			node = newMemDir()
			d.apply(dirOp{set: part, node: node})
		}
		next, ok := node.(*memDir)
		if !ok {
			return pathError("mkdir", path, errNotDir)
		}
		d = next
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(path string) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dirLocked(path)
	if err != nil {
		return nil, pathError("readdir", path, err)
	}
	entries := make([]Entry, 0, len(d.names))
	for name, node := range d.names {
		_, dir := node.(*memDir)
		entries = append(entries, Entry{Name: name, Dir: dir})
	}
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return entries, nil
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

func (d *memDir) sync() {
	for _, op := range d.pending {
		applyDirOp(d.synced, op)
	}
	d.pending = nil
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
