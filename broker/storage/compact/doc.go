// Package compact decides what log compaction keeps, and makes the batches that are left (Cleaner and
// CleanedTransactionMetadata of LogCleaner.scala, MemoryRecords.filterTo, SkimpyOffsetMap). It has no
// files, no threads and no clock: who cleans a log reads chunks of its segments and hands them over.
//
// A log is cleaned in two passes:
//
//	dirty part     Index.Add     -> OffsetMap: where each key was written last, and up to where that is known
//	[0, Map.End)   Filter.Filter -> what is left of the chunk: runs of it as they are, and rebuilt batches
//
// The first pass begins at the first dirty offset and ends with the dirty part, or when the map is full. The
// second goes over all segments below Map.End, dirty or not, and makes one new segment of each group
// of them.
//
// # What is kept
//
// A record is kept if its offset is beyond what the map knows about, or if it has a key, no later record
// has the same key, and it has a value or is a tombstone whose time has not come. Records without a key
// go.
//
// A tombstone, and the marker of a transaction of which no record is left, stays for
// delete.retention.ms more from the pass that first notices it, which writes the end of that time, the delete
// horizon, into the batch (KIP-534). Formats v0 and v1 have no place for it: there the age of the
// segment decides. Records of aborted transactions go at once; of each transaction the marker goes last.
//
// Of the batch with a live producer's last sequence number the header stays, without records, so that a
// broker that builds the producers' state anew from the log finds the same. The header of the last batch of what
// may be cleaned stays too.
//
// # What is left of a batch
//
// A batch that loses nothing and gets no new delete horizon is kept byte for byte; runs of such batches come as
// one piece. Any other is rebuilt: it keeps base offset, last offset, leader epoch, producer, base
// sequence, timestamp type and codec, so that whoever counts offsets and sequence numbers sees no
// difference.
//
// Kafka rebuilds a batch without looking at its checksum, and thereby gives a valid one to whatever has
// happened to its bytes. Here the checksum of every batch is compared first, in both passes: a log with a
// flipped bit is not cleaned (record.ErrCorrupt) rather than compacted by keys that nobody wrote.
package compact
