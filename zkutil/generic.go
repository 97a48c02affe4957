package zkutil

import (
	"context"
	"errors"
	"strings"
)

// Get returns the data and the Stat of path. Nil data means "no data", which differs from empty data.
func (c *Client) Get(ctx context.Context, path string) ([]byte, Stat, error) {
	r := c.do(ctx, GetOp(path), false)
	return r.Data, r.Stat, r.Err
}

// GetW is Get, and has w called when path is changed or deleted next. If it fails, w is not set: to
// wait for an absent node use ExistsW.
func (c *Client) GetW(ctx context.Context, path string, w *Watcher) ([]byte, Stat, error) {
	r := c.do(ctx, GetOp(path).Watch(w), false)
	return r.Data, r.Stat, r.Err
}

// Exists reports whether path exists, and its Stat.
func (c *Client) Exists(ctx context.Context, path string) (bool, Stat, error) {
	r := c.do(ctx, ExistsOp(path), false)
	return r.Exists, r.Stat, r.Err
}

// ExistsW is Exists, and has w called when path is created, changed or deleted next.
func (c *Client) ExistsW(ctx context.Context, path string, w *Watcher) (bool, Stat, error) {
	r := c.do(ctx, ExistsOp(path).Watch(w), false)
	return r.Exists, r.Stat, r.Err
}

// Children returns the names of the children of path, sorted.
func (c *Client) Children(ctx context.Context, path string) ([]string, Stat, error) {
	r := c.do(ctx, ChildrenOp(path), false)
	return r.Children, r.Stat, r.Err
}

// ChildrenW is Children, and has w called when a child is added or removed next, or path deleted.
func (c *Client) ChildrenW(ctx context.Context, path string, w *Watcher) ([]string, Stat, error) {
	r := c.do(ctx, ChildrenOp(path).Watch(w), false)
	return r.Children, r.Stat, r.Err
}

// Create makes a node, whose parent must exist, and returns its path. A lost connection can leave two
// nodes of a sequential mode.
func (c *Client) Create(ctx context.Context, path string, data []byte, mode Mode) (string, error) {
	r := c.do(ctx, CreateModeOp(path, data, mode), false)
	return r.Path, r.Err
}

// CreateRecursive is Create, and makes parents that are missing, without data.
func (c *Client) CreateRecursive(ctx context.Context, path string, data []byte, mode Mode) (string, error) {
	for {
		created, err := c.Create(ctx, path, data, mode)
		if !isNoNode(err) {
			return created, err
		}
		if err := c.createParents(ctx, path); err != nil {
			return "", err
		}
	}
}

// createParents makes the parents of path that are missing.
func (c *Client) createParents(ctx context.Context, path string) error {
	end := strings.LastIndexByte(path, '/')
	if end <= 0 {
		return &Error{Op: "create", Path: path, Err: ErrNoNode} // the chroot itself is gone
	}
	if _, err := c.CreateRecursive(ctx, path[:end], nil, Persistent); err != nil && !isNodeExists(err) {
		return err
	}
	return nil
}

// Set replaces the data of path if the node has that version, or AnyVersion, and returns the new Stat.
func (c *Client) Set(ctx context.Context, path string, data []byte, version int32) (Stat, error) {
	r := c.do(ctx, SetOp(path, data, version), false)
	return r.Stat, r.Err
}

// Delete removes path, which must have no children, if the node has that version, or AnyVersion.
func (c *Client) Delete(ctx context.Context, path string, version int32) error {
	return c.do(ctx, DeleteOp(path, version), false).Err
}

// DeleteRecursive removes path and all below it. That path does not exist is no error. It is not
// atomic: others may see part of the tree, and what they add meanwhile is removed too.
func (c *Client) DeleteRecursive(ctx context.Context, path string) error {
	for {
		err := c.deleteTree(ctx, path)
		if !errors.Is(err, ErrNotEmpty) {
			return err
		}
	}
}

func (c *Client) deleteTree(ctx context.Context, path string) error {
	tree, err := c.tree(ctx, path)
	if err != nil {
		return err
	}
	// Level by level from below, each level at once.
	for i := len(tree) - 1; i >= 0; i-- {
		ops := make([]Op, len(tree[i]))
		for j, node := range tree[i] {
			ops[j] = DeleteOp(node, AnyVersion)
		}
		for _, r := range c.Do(ctx, ops...) {
			if r.Err != nil && !isNoNode(r.Err) {
				return r.Err
			}
		}
	}
	return nil
}

// tree returns path and all below it, level by level; nothing if path does not exist.
func (c *Client) tree(ctx context.Context, path string) ([][]string, error) {
	var levels [][]string
	for level := []string{path}; len(level) > 0; {
		ops := make([]Op, len(level))
		for i, node := range level {
			ops[i] = ChildrenOp(node)
		}
		var here, below []string
		for _, r := range c.Do(ctx, ops...) {
			if isNoNode(r.Err) {
				continue
			}
			if r.Err != nil {
				return nil, r.Err
			}
			here = append(here, r.Path)
			for _, child := range r.Children {
				below = append(below, Join(r.Path, child))
			}
		}
		if len(here) > 0 {
			levels = append(levels, here)
		}
		level = below
	}
	return levels, nil
}

// Join returns the path of a child.
func Join(path, child string) string {
	if path == "/" {
		return path + child
	}
	return path + "/" + child
}

// Multi carries out ops as one transaction, all or none. On success it returns a result for each; if
// an operation is at fault, the error is that operation's, and the results tell it from the others,
// which have ErrRolledBack.
func (c *Client) Multi(ctx context.Context, ops ...Op) ([]Result, error) {
	multi := Op{kind: kindMulti, subs: ops}
	r := c.do(ctx, multi, false)
	return r.subs, multiError(r)
}

// multiError returns the error of the operation at fault, which says more than that of the whole.
func multiError(r Result) error {
	if r.Err == nil {
		return nil
	}
	for i := range r.subs {
		if err := r.subs[i].Err; err != nil && !errors.Is(err, ErrRolledBack) && !errors.Is(r.Err, ErrOutcomeUnknown) {
			return err
		}
	}
	return r.Err
}
