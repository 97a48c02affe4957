// Package vfs is the file system as the storage layer sees it: few operations, all of which can be
// replaced in tests.
//
//   - [OS] is the real one.
//   - [Mem] lives in memory and knows what a power loss would take: [Mem.CrashClone].
//   - [Faulty] wraps either and asks a hook before every operation that changes something.
//   - [Cache] keeps a bounded number of files open, so that a broker with ten thousand partitions
//     holds no descriptor for those that nobody reads or writes.
//
// Durability follows POSIX to the letter: the bytes of a file are safe after [File.Sync], its name
// after [FS.SyncDir] of the directory that holds it. Journaling file systems give more than that;
// whoever relies on it is found by Mem.
//
// Lock order: a [Slot]'s mutex, then the Cache's. Mem has one mutex for everything. Nothing here
// starts a goroutine.
package vfs
