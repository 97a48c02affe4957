package zkutil

import (
	"errors"
	"io"
	"net"

	"github.com/go-zookeeper/zk"
)

// What ZooKeeper answers; errors of the Client wrap these.
var (
	ErrNoNode      = zk.ErrNoNode
	ErrNodeExists  = zk.ErrNodeExists
	ErrBadVersion  = zk.ErrBadVersion
	ErrNotEmpty    = zk.ErrNotEmpty
	ErrNoAuth      = zk.ErrNoAuth
	ErrInvalidPath = zk.ErrInvalidPath

	// ErrSessionExpired reports that the session which the operation belongs to is no more.
	ErrSessionExpired = zk.ErrSessionExpired
)

// What the Client itself finds.
var (
	// ErrClosed reports the use of a Client after Close.
	ErrClosed = errors.New("ZooKeeper client is closed")
	// ErrDisconnected reports that the context ended while there was no connection to ZooKeeper.
	ErrDisconnected = errors.New("no connection to ZooKeeper")
	// ErrOutcomeUnknown comes with ErrDisconnected, ErrSessionExpired, ErrClosed or the context's error if
	// a write was sent and its answer did not come: it may or may not have been done.
	ErrOutcomeUnknown = errors.New("the write may have been done")
	// ErrRolledBack is the result of an operation in a failed multi that itself had no fault.
	ErrRolledBack = errors.New("another operation of the multi failed")
	// ErrTooLarge reports a request that is larger than the server takes (jute.maxbuffer, 1 MiB by
	// default), or than 4 MiB.
	ErrTooLarge = errors.New("request is too large for ZooKeeper (jute.maxbuffer)")
	// ErrControllerMoved reports that /controller_epoch is not what the writing controller has set it to:
	// it is no longer the controller (ControllerMovedException).
	ErrControllerMoved = errors.New("controller has moved to another broker")
)

// Error says which operation failed on which znode.
type Error struct {
	Op   string // create, get, …
	Path string // without the chroot; "" for a multi
	Err  error
}

// Error returns the operation, the path and the cause.
func (e *Error) Error() string {
	if e.Path == "" {
		return "zookeeper: " + e.Op + ": " + e.Err.Error()
	}
	return "zookeeper: " + e.Op + " " + e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// isConnectionLoss reports whether err means that the connection went away under the request.
// go-zookeeper returns the bare network error for the request whose write failed.
func isConnectionLoss(err error) bool {
	if errors.Is(err, zk.ErrConnectionClosed) || errors.Is(err, zk.ErrNoServer) || errors.Is(err, zk.ErrClosing) ||
		errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network
}
