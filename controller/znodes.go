package controller

import (
	"context"

	"github.com/gregor-mq/gregor/zkutil"
)

// znodes is ZooKeeper as the core needs it. Each call is one round of pipelined requests. Its errors
// end the event that is being handled: ErrMoved, a lost session, an ended context. What a
// single node answers is in the results.
type znodes interface {
	// Get reads nodes; the results are in the order of paths. With watch, the next change of each node
	// that exists becomes an event.
	Get(ctx context.Context, watch bool, paths ...string) ([]znode, error)
	// Await reads the node at path and, whether there is one or not, has the next change of that, or
	// of its data, become an event.
	Await(ctx context.Context, path string) (znode, error)
	// Children lists the children of path, sorted; none if there is no such node. With watch, the next
	// change of the list becomes an event.
	Children(ctx context.Context, watch bool, path string) ([]string, error)
	// Write does groups of writes, those of one group in order, while f holds, and fails with ErrMoved when
	// it does not. That one write fails does not keep others from being done. The outcomes are in the
	// order of groups.
	Write(ctx context.Context, f zkutil.Fence, groups [][]write) ([][]outcome, error)
}

// znode is what Get finds. err is zkutil.ErrNoNode or nil.
type znode struct {
	data []byte
	stat zkutil.Stat
	err  error
}

// writeKind says what a write does.
type writeKind int8

const (
	createNode writeKind = iota // persistent
	setNode
	deleteNode
)

// write is one change of one znode.
type write struct {
	kind    writeKind
	path    string
	data    []byte // nil: no data
	version int32  // of setNode and deleteNode: what the node must have, zkutil.AnyVersion
}

// outcome is what came of a write: the node's new version, or zkutil.ErrNoNode, ErrNodeExists,
// ErrBadVersion or another error of the node.
type outcome struct {
	version int32
	err     error
}
