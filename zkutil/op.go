package zkutil

import (
	"github.com/go-zookeeper/zk"
)

// Stat is what ZooKeeper keeps about a znode: versions, times in milliseconds, owner.
type Stat = zk.Stat

// AnyVersion as the version of Set, Delete or Check means that the node's version does not matter.
const AnyVersion = -1

// Mode says what kind of znode a Create makes. Its values are ZooKeeper's.
type Mode int32

// The modes of a znode. A Sequential one gets a counter of ten digits behind its name.
const (
	Persistent           Mode = 0
	Ephemeral            Mode = zk.FlagEphemeral
	PersistentSequential Mode = zk.FlagSequence
	EphemeralSequential  Mode = zk.FlagEphemeral | zk.FlagSequence
)

func (m Mode) ephemeral() bool  { return m&zk.FlagEphemeral != 0 }
func (m Mode) sequential() bool { return m&zk.FlagSequence != 0 }

type opKind int8

const (
	kindGet opKind = iota
	kindExists
	kindChildren
	kindCreate
	kindSet
	kindDelete
	kindCheck
	kindMulti
)

func (k opKind) String() string {
	return [...]string{"get", "exists", "children", "create", "set", "delete", "check", "multi"}[k]
}

// Op is one operation, to be passed to Do, Multi, MultiBatch or Fenced. The zero Op is of no use.
type Op struct {
	kind    opKind
	raw     bool // path counts from the root, not from the chroot
	mode    Mode
	version int32
	path    string
	data    []byte
	watcher *Watcher
	subs    []Op // of a multi
}

// GetOp reads data and Stat of path. It cannot be part of a multi.
func GetOp(path string) Op { return Op{kind: kindGet, path: path} }

// ExistsOp reads the Stat of path; that there is no such node is a result with Exists false, and no
// error. It cannot be part of a multi.
func ExistsOp(path string) Op { return Op{kind: kindExists, path: path} }

// ChildrenOp reads the names of the children of path, sorted. It cannot be part of a multi.
func ChildrenOp(path string) Op { return Op{kind: kindChildren, path: path} }

// CreateOp makes a persistent node. Nil data is "no data", which differs from empty data.
func CreateOp(path string, data []byte) Op {
	return Op{kind: kindCreate, path: path, data: data}
}

// CreateModeOp makes a node of any mode.
func CreateModeOp(path string, data []byte, mode Mode) Op {
	return Op{kind: kindCreate, path: path, data: data, mode: mode}
}

// SetOp replaces the data of path if the node has the version given, or AnyVersion.
func SetOp(path string, data []byte, version int32) Op {
	return Op{kind: kindSet, path: path, data: data, version: version}
}

// DeleteOp removes path, which must have no children, if the node has the version given, or
// AnyVersion.
func DeleteOp(path string, version int32) Op {
	return Op{kind: kindDelete, path: path, version: version}
}

// CheckOp fails the multi that it is part of unless path has the version given.
func CheckOp(path string, version int32) Op {
	return Op{kind: kindCheck, path: path, version: version}
}

// Watch returns op with w to be called once when what op reads has changed. Op must be a GetOp,
// ExistsOp or ChildrenOp; if it fails, w is not set. ExistsOp alone can watch a node that is absent.
func (op Op) Watch(w *Watcher) Op {
	op.watcher = w
	return op
}

// Path returns the path that op was made with.
func (op Op) Path() string { return op.path }

// writes reports whether op changes anything, so that a lost answer leaves a doubt.
func (op Op) writes() bool { return op.kind >= kindCreate }

// opOverhead is more than an operation takes in a request besides its path and data, access rights
// included.
const opOverhead = 128

// size returns no less than what op takes in a request, its paths being longer by chroot bytes.
func (op *Op) size(chroot int) int {
	n := opOverhead + chroot + len(op.path) + len(op.data)
	for i := range op.subs {
		n += op.subs[i].size(chroot)
	}
	return n
}

// Result is what came of an Op. Which fields count depends on the operation.
type Result struct {
	Path     string   // as asked for; of a create: as created, counter included
	Data     []byte   // get
	Stat     Stat     // get, exists, children, set; not create (ZooKeeper does not tell)
	Exists   bool     // exists
	Children []string // children, sorted
	Err      error    // an *Error, or nil

	subs    []Result // of a multi
	doubted bool     // an answer was lost before this one came
}
