package storage

import (
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// A faultKind is a way in which a disk fails.
type faultKind struct {
	name string
	// fails says which operations may be the first to fail, and, with a fault that stays, all fail after it.
	fails func(vfs.Op) bool
	err   func(*rand.Rand, vfs.Op) error
	// stays says that such a fault never goes away before the broker has stopped.
	stays bool
	// hidden says that single failures need not be noticed: that something is not there can be right. What the
	// directory's checkpoints see must be.
	hidden bool
	// spares says that the directory outlives a read that fails: it is not the disk that fails.
	spares bool
}

func ofKind(kinds ...vfs.OpKind) func(vfs.Op) bool {
	return func(op vfs.Op) bool {
		for _, kind := range kinds {
			if op.Kind == kind {
				return true
			}
		}
		return false
	}
}

func answer(err error) func(*rand.Rand, vfs.Op) error {
	return func(*rand.Rand, vfs.Op) error { return err }
}

// part has a write fail after some of its bytes.
func part(err error) func(*rand.Rand, vfs.Op) error {
	return func(rng *rand.Rand, op vfs.Op) error {
		if op.Kind != vfs.OpWrite {
			return err
		}
		return &vfs.ShortWrite{Bytes: rng.Int64N(op.Bytes + 1), Err: err}
	}
}

// grows are the operations that need room on a disk.
var grows = []vfs.OpKind{vfs.OpWrite, vfs.OpCreate, vfs.OpMkdir, vfs.OpRename}

// changes are all that a disk mounted read-only refuses.
var changes = []vfs.OpKind{
	vfs.OpCreate, vfs.OpRemove, vfs.OpRename, vfs.OpMkdir, vfs.OpTimes, vfs.OpLock, vfs.OpWrite, vfs.OpTruncate,
}

var faultKinds = []faultKind{
	{name: "full disk", fails: ofKind(grows...), err: answer(syscall.ENOSPC)},
	{name: "full disk in a write", fails: ofKind(vfs.OpWrite), err: part(syscall.ENOSPC)},
	{name: "failing write", fails: ofKind(vfs.OpWrite), err: answer(syscall.EIO)},
	{name: "failing part of a write", fails: ofKind(vfs.OpWrite), err: part(syscall.EIO)},
	{name: "failing fsync", fails: ofKind(vfs.OpSync), err: answer(syscall.EIO)},
	{name: "failing fsync of a directory", fails: ofKind(vfs.OpSyncDir, vfs.OpVolume), err: answer(syscall.EIO)},
	{name: "failing read", fails: ofKind(vfs.OpRead), err: answer(syscall.EIO)},
	{name: "failing look at names", fails: ofKind(vfs.OpStat, vfs.OpReadDir), err: answer(syscall.EIO)},
	{name: "failing open", fails: ofKind(vfs.OpOpen, vfs.OpLock), err: answer(syscall.EIO)},
	{name: "failing create", fails: ofKind(vfs.OpCreate), err: answer(syscall.EIO)},
	{name: "failing mkdir", fails: ofKind(vfs.OpMkdir), err: answer(syscall.EIO)},
	{name: "failing rename or change of times", fails: ofKind(vfs.OpRename, vfs.OpTimes), err: answer(syscall.EIO)},
	{name: "failing remove", fails: ofKind(vfs.OpRemove), err: answer(syscall.EIO)},
	{name: "failing truncate", fails: ofKind(vfs.OpTruncate), err: answer(syscall.EIO)},
	{name: "too many open files", fails: ofKind(vfs.OpOpen, vfs.OpCreate, vfs.OpReadDir, vfs.OpSyncDir, vfs.OpLock), err: answer(syscall.EMFILE), spares: true},
	{name: "disk mounted read-only", fails: ofKind(changes...), err: answer(syscall.EROFS), stays: true},
	{name: "failing disk", fails: func(vfs.Op) bool { return true }, err: answer(syscall.EIO), stays: true},
	{name: "directory that vanishes", fails: func(op vfs.Op) bool { return !op.File }, err: answer(syscall.ENOENT), stays: true, hidden: true},
	{name: "disk that vanishes", fails: func(vfs.Op) bool { return true }, err: func(_ *rand.Rand, op vfs.Op) error {
		if op.File {
			return syscall.EIO
		}
		return syscall.ENOENT
	}, stays: true, hidden: true},
}

// An injector is the hook of a disk that fails. The disk holds one log directory.
type injector struct {
	kind *faultKind
	root string // the log directory
	once bool   // only one operation fails

	mu      sync.Mutex
	rng     *rand.Rand
	skip    int  // operations that could fail and will not yet
	healed  bool // nothing fails any more
	reading bool // what reads is no part of the storage

	ops    int // on the directory
	fails  int
	first  vfs.Op // that has failed
	missed bool   // a failure that the storage has to notice
}

func (in *injector) hook(op vfs.Op) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if op.Path != in.root && !strings.HasPrefix(op.Path, in.root+"/") {
		return nil
	}
	in.ops++
	if in.healed || in.once && in.fails > 0 || !in.kind.fails(op) {
		return nil
	}
	if in.skip > 0 {
		in.skip--
		return nil
	}
	if in.fails == 0 {
		in.first = op
	}
	in.fails++
	in.missed = in.missed || !in.reading && op.Kind != vfs.OpUsage && !in.kind.hidden && !in.kind.spares
	return in.kind.err(in.rng, op)
}

// state returns how many operations there were and how many of them have failed.
func (in *injector) state() (ops, fails int, missed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.ops, in.fails, in.missed
}

// heal ends the fault.
func (in *injector) heal() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.healed = true
}

// setReading notes whether what is read from now on is read by somebody whom the storage has given an open file.
func (in *injector) setReading(yes bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.reading = yes
}
