package vfs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
)

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
