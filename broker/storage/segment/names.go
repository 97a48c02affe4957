package segment

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Extensions of the files in a replica's directory.
const (
	LogExt      = ".log"
	IndexExt    = ".index"
	TimeExt     = ".timeindex"
	TxnExt      = ".txnindex"
	SnapshotExt = ".snapshot" // producer state; its number is the next offset to apply
)

// Suffixes behind the extension, while files are replaced or removed.
const (
	DeletedSuffix = ".deleted" // removed after file.delete.delay.ms
	CleanedSuffix = ".cleaned" // compaction's output, not yet complete
	SwapSuffix    = ".swap"    // complete, about to replace what it was made from
)

// FileName returns the name of a file of the segment at base: 20 digits and ext.
func FileName(base int64, ext string) string { return fmt.Sprintf("%020d%s", base, ext) }

// ParseFileName takes a name apart into base offset, extension and suffix ("" if none). It is false
// for names that are not a segment's or a snapshot's.
func ParseFileName(name string) (base int64, ext, suffix string, ok bool) {
	dot := strings.IndexByte(name, '.')
	if dot <= 0 {
		return 0, "", "", false
	}
	base, err := strconv.ParseInt(name[:dot], 10, 64)
	if err != nil || base < 0 || name[0] == '+' {
		return 0, "", "", false
	}
	rest := name[dot:]
	for _, ext := range [...]string{LogExt, IndexExt, TimeExt, TxnExt, SnapshotExt} {
		tail, found := strings.CutPrefix(rest, ext)
		if !found {
			continue
		}
		switch tail {
		case "", DeletedSuffix, CleanedSuffix, SwapSuffix:
			return base, ext, tail, true
		}
	}
	return 0, "", "", false
}

// Dir is the directory of a replica, shared by its segments. Its lock keeps the renaming of the
// directory or of a segment's files apart from the opening of those files, which may happen at any
// time because files are not kept open.
type Dir struct {
	fs      vfs.FS
	offline *atomic.Bool // nil: never

	mu   sync.RWMutex
	path string // under mu
}

// NewDir returns the Dir of an existing directory. Once offline is set, if there is one, no file is opened any more, for
// those either that have found something to read before; they get ErrClosed.
func NewDir(fsys vfs.FS, path string, offline *atomic.Bool) *Dir {
	return &Dir{fs: fsys, path: path, offline: offline}
}

func (d *Dir) isOffline() bool { return d.offline != nil && d.offline.Load() }

// Path returns where the directory is now.
func (d *Dir) Path() string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.path
}

// Rename moves the directory within its file system. The caller syncs the parent directories.
func (d *Dir) Rename(to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.fs.Rename(d.path, to); err != nil {
		return err
	}
	d.path = to
	return nil
}

// Sync makes the names in the directory durable.
func (d *Dir) Sync() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.fs.SyncDir(d.path)
}

// file returns the path of a file of the segment at base. It requires mu.
func (d *Dir) fileLocked(base int64, ext, suffix string) string {
	return filepath.Join(d.path, FileName(base, ext)+suffix)
}
