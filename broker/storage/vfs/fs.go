package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Flags of FS.OpenFile, os's own.
const (
	ReadOnly  = os.O_RDONLY
	ReadWrite = os.O_RDWR
	Create    = os.O_CREATE // create the file if it does not exist
	Truncate  = os.O_TRUNC  // cut an existing file to nothing
	Exclusive = os.O_EXCL   // with Create: fail with fs.ErrExist if the file exists
)

// ErrLocked reports that another process, or another Lock of this one, holds a lock file.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Paths are the operating system's, absolute or relative to the working
// directory. Errors are *fs.PathError or *os.LinkError, and match fs.ErrNotExist and fs.ErrExist.
// It is safe for concurrent use.
type FS interface {
	// OpenFile opens a regular file. The flags are a combination of the constants above.
	OpenFile(path string, flag int) (File, error)
	// Remove removes a file or an empty directory.
	Remove(path string) error
	// RemoveAll removes path and all below it. A path that does not exist is no error.
	RemoveAll(path string) error
	// Rename moves a file or directory, replacing a file of the new name atomically.
	Rename(from, to string) error
	// MkdirAll creates a directory and its parents. An existing directory is no error.
	MkdirAll(path string) error
	// ReadDir lists a directory, sorted by name.
	ReadDir(path string) ([]Entry, error)
	Stat(path string) (Info, error)
	// SetModTime sets the modification time, which retention and compaction read.
	SetModTime(path string, t time.Time) error
	// SyncDir makes the names in a directory durable.
	SyncDir(path string) error
	// SyncVolumes makes everything durable that is on the volumes which hold paths, contents and names.
	// errors.ErrUnsupported: the system cannot do that.
	SyncVolumes(paths []string) error
	// Lock creates path if need be and locks it until the returned Closer is closed. It does not
	// wait: a lock held elsewhere is ErrLocked.
	Lock(path string) (io.Closer, error)
	// DiskUsage returns the size of the volume that holds path.
	DiskUsage(path string) (Usage, error)
}

// File is an open file. ReadAt and WriteAt carry their own position, so that one File serves any
// number of readers and a writer at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	// WriteVAt writes bufs one behind the other from off on, as one WriteAt of their bytes. It keeps
	// neither the list nor what is in it.
	WriteVAt(bufs [][]byte, off int64) (int, error)
	// Reserve asks for room on the disk for the n bytes from off on, so that the writes to come find
	// it. Neither size nor content change, and Truncate, to the same size too, gives back what lies
	// behind the end. It is a hint: a file system that cannot do it returns an error, and all works
	// without.
	Reserve(off, n int64) error
	// Sync makes the file's bytes and size durable; its name needs FS.SyncDir.
	Sync() error
	// Size returns the file's size in bytes.
	Size() (int64, error)
	// OSFile returns the file of the operating system, for sendfile; nil if there is none.
	OSFile() *os.File
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	Dir  bool
}

// Info is what Stat knows of a file or directory.
type Info struct {
	Size    int64 // bytes; 0 for a directory
	ModTime time.Time
	Dir     bool
}

// Usage is the size of a volume in bytes.
type Usage struct {
	Total  int64
	Usable int64 // free for this process, without what is reserved for root
}

// Exists reports whether path names a file or directory.
func Exists(fsys FS, path string) (bool, error) {
	_, err := fsys.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// RemoveIfExists removes a file and reports whether there was one.
func RemoveIfExists(fsys FS, path string) (bool, error) {
	err := fsys.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// ReadFile returns the whole content of a file.
func ReadFile(fsys FS, path string) (data []byte, err error) {
	f, err := fsys.OpenFile(path, ReadOnly)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data = make([]byte, size)
	n, err := io.ReadFull(io.NewSectionReader(f, 0, size), data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // the file became shorter meanwhile
	}
	return data[:n], err
}

// WriteFile replaces path's content so that after a crash at any point the file holds either the
// old or the new bytes, whole, and after a nil return the new ones: it writes path.tmp, syncs it,
// renames it and syncs the directory, as Kafka's CheckpointFile does. Callers must not write one
// path twice at the same time.
func WriteFile(fsys FS, path string, data []byte) error {
	tmp := Draft(path)
	if err := writeSynced(fsys, tmp, data); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := fsys.Rename(tmp, path); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(path))
}

// Draft returns the name under which WriteFile writes what path is to hold.
func Draft(path string) string { return path + ".tmp" }

// WriteDraft does the first step of WriteFile alone and does not sync: a reader of Draft(path) finds the bytes after the process
// has ended, but after a power loss some, or none.
func WriteDraft(fsys FS, path string, data []byte) error {
	return write(fsys, Draft(path), data, func(File) error { return nil })
}

func writeSynced(fsys FS, path string, data []byte) error {
	return write(fsys, path, data, File.Sync)
}

// write replaces path's content in place and ends with what last does.
func write(fsys FS, path string, data []byte, last func(File) error) error {
	f, err := fsys.OpenFile(path, ReadWrite|Create|Truncate)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(last(f), f.Close())
}

// Content is what a file is to hold.
type Content struct {
	Path string
	Data []byte
}

// Many is from how many files on it is better to sync a volume than each file.
const Many = 64

// WriteFiles is WriteFile for several files. If there are many, it syncs their volumes, once before the
// files get their names and once after it.
func WriteFiles(fsys FS, files []Content) error {
	if len(files) >= Many {
		if err := writeMany(fsys, files); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for _, f := range files {
		if err := WriteFile(fsys, f.Path, f.Data); err != nil {
			return err
		}
	}
	return nil
}

func writeMany(fsys FS, files []Content) error {
	dirs := make([]string, len(files))
	for i, f := range files {
		dirs[i] = filepath.Dir(f.Path)
		if err := WriteDraft(fsys, f.Path, f.Data); err != nil {
			return fmt.Errorf("write %s: %w", Draft(f.Path), err)
		}
	}
	if err := fsys.SyncVolumes(dirs); err != nil {
		return err
	}
	for _, f := range files {
		if err := fsys.Rename(Draft(f.Path), f.Path); err != nil {
			return err
		}
	}
	return fsys.SyncVolumes(dirs)
}
