// Package storage keeps the logs of a broker: log directories and, in each, one log per replica.
//
// A Manager owns the directories that log.dirs names (Kafka's LogManager). Open locks them, loads
// every log they hold, several at a time, and recovers those of a directory that was not stopped
// cleanly. A Log is one replica's records (Kafka's UnifiedLog): a list of segments of which only the
// last, the active one, is written. An append goes
//
//	replica.Partition -> Log.AppendLeaderAll -> record.Policy.Validate (no lock)
//	                  -> producer check, offsets, roll if due         (Log.mu)
//	                  -> segment.Append: one write, index             (Log.mu)
//	                  -> epochs, producer state, end offset           (Log.mu)
//
// and a read takes the immutable segment list, finds the position and returns a section of the
// segment's file, without a lock and without touching the bytes.
//
// # What is durable when
//
// An append is in the page cache when it returns; replication makes it safe, fsync comes when a
// segment is rolled, by flush.messages and flush.ms, and at Close. The recovery point of a log is the
// offset below which everything, indexes included, is on disk; recovery after a crash checks only
// what lies above it. The leader epochs of records below the recovery point stand in a durable
// leader-epoch-checkpoint, those of records above it are found in their batches; see files.go.
//
// # Failure
//
// Any I/O error marks its whole directory offline: every log in it answers ErrStorage from then on,
// Options.OnDirFailure is called once for the directory, and Options.OnAllDirsFailed once no
// directory is left. An offline directory stays so until the broker restarts: nothing touches it any more, and its files
// are closed. TestFaults has operations fail at random. A want of file descriptors (ulimit -n) is no such error while anything can
// be done about it, and never one of what only reads: see package vfs.
//
// A file that holds what it cannot hold fails its directory only where nothing else knows better: partition.metadata,
// and batches that a start has to read. Indexes and producer snapshots are made again, checkpoints
// of offsets are taken as empty, and damaged batches below the recovery point are served as they are. Records that were
// durable are never lost without a line in the log. TestDamage has what becomes of each kind of file.
//
// # Old segments
//
// A log that is not compacted loses its oldest segments by retention.ms, retention.bytes and its start
// offset, which the scheduler looks at (retention.go). A compacted one is the cleaner's: it makes new
// segments of what is left of old ones, and removes those that are too old (cleaner.go has the design,
// swap.go how one segment takes the place of others whatever happens). The segments that a log has
// lost are renamed at once and removed after file.delete.delay.ms, since a reader may be at them. Segments of
// old brokers whose offsets reach too far for an index are split when the log is loaded (split.go).
//
// # Goroutines
//
// A Manager runs two goroutines, however many logs it has: the scheduler, for everything that is due
// at a time (checkpoints, flush.ms, retention, producer expiry, delayed deletions), and the flusher,
// which syncs rolled segments and writes small files; and log.cleaner.threads goroutines that compact.
// Close joins them. A log has no goroutine, timer or open file of its own.
//
// # Lock order
//
//	cleaner.threads, cleaner.grabbing,
//	Log.flushMu, Log.filesMu, Log.mu, dir.checkpointMu, dir.syncingMu, Manager.hooks,
//	then, each a leaf: Manager.mu, dir.mu, scheduler.mu, flusher.mu, unsavedLogs.mu, cleanerStates.mu,
//	throttle.mu, package segment's
//
// Whoever pauses the cleaning of a log waits for one that is under way, and holds none of these.
//
// Log.mu is held while an append is written and while segments are rolled, cut or removed, but never
// during an fsync of a rolled or cleaned segment and never while a reader reads. The leaves are held for a few
// instructions, never during I/O. Hooks are called without any lock.
package storage
