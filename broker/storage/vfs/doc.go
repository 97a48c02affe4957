// Package vfs is the file system as the storage layer sees it: few operations, all of which can be
// replaced in tests.
//
//   - [OS] is the real one.
//   - [Mem] lives in memory and knows what a power loss would take: [Mem.CrashClone].
//   - [Faulty] wraps either and asks a hook before every operation that changes something.
//   - [Cache] keeps a bounded number of files open, so that a broker with ten thousand partitions
//     holds no descriptor for those that nobody reads or writes.
//   - [Frugal] wraps any, and has the Cache close files when the process has no descriptor left.
//
// # Descriptors
//
// A process has few of them (ulimit -n), and connections want them as well. That a file cannot be opened for want of one
// says nothing about the disk, so it must not be taken for a disk that fails. This is how it is kept from happening, in
// the order of what has to go wrong before:
//
//   - the Cache has a capacity, which is the caller's part of the limit, and counts files in use with the others;
//   - files are in use for the time of a system call or a few, never while a client is waited for. What a Fetch is
//     answered with are places in files: the connection opens each file when it is the turn of its bytes, and a sendfile
//     that finds the socket full lets go of it. So neither the number of partitions of a request counts nor that of
//     slow clients, but that of threads in a system call;
//   - connections are limited to leave a part of the descriptors to files (broker/server, openfiles.go);
//   - whatever finds none left nevertheless has the Cache close files that are not in use and tries again, and if there
//     are none, waits (Frugal). That ends; after it, a write fails its directory as any other error does, as what was half done may have to be
//     undone by a start, while a read only fails itself.
//
// Kafka keeps the files of all segments open, and takes a directory offline when it cannot open another one.
//
// Durability follows POSIX to the letter: the bytes of a file are safe after [File.Sync], its name
// after [FS.SyncDir] of the directory that holds it. Journaling file systems give more than that;
// whoever relies on it is found by Mem.
//
// Lock order: a [Slot]'s mutex, then the Cache's. Frugal may be called, and wait, under a Slot's, and takes the Cache's. Mem has one mutex for everything. Nothing here
// starts a goroutine.
package vfs
