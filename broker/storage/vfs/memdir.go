package vfs

import (
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

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

func (d *memDir) sync() {
	for _, op := range d.pending {
		applyDirOp(d.synced, op)
	}
	d.pending = nil
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
