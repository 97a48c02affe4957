// Package segment keeps one segment of a log: a run of record batches in one file and the three
// indexes beside it, byte for byte as Kafka's LogSegment writes them.
//
//	00000000000000000000.log        batches, one after the other
//	00000000000000000000.index      offset index    | relative offset i32 | position i32 |
//	00000000000000000000.timeindex  time index      | timestamp i64 | relative offset i32 |
//	00000000000000000000.txnindex   aborted txns    | version i16 | producer id i64 | first i64 | last i64 | last stable i64 |
//
// The name is the base offset: no record in the file has a smaller one. Relative offsets count from
// it. All integers are big-endian.
//
// # The indexes
//
// Whenever more than index.interval.bytes were appended since the last entry, the batch that follows
// gets one: in the offset index its last offset and its position, so that the greatest entry at or
// below an offset is a batch boundary at or before it; in the time index the largest timestamp so far
// and the last offset of the batch that holds it, if it grew. So a lookup reads an entry and walks
// batch headers from there. The indexes of the segment that is being written collect new entries in
// memory, up to a bound, and go to disk when that is reached, at Flush, at Seal and at Close. Their
// files always have the exact size: unlike Kafka we do not preallocate them, which a Kafka that opens
// the directory cannot tell from a trimmed index. After a crash Recover builds them anew.
//
// # Room on the disk
//
// Ahead of the end of a log that grows, room is reserved, which changes neither size nor content of the
// file (see reserve). Seal, Close, Truncate and Recover give back what is left of it.
//
// # Readers and the writer
//
// One goroutine at a time appends, truncates, seals or recovers; the owner's lock sees to that.
// Flush may run beside an append. Readers need no lock: they see what was appended before they
// began, because the size of a segment is published after its bytes are written. A read that runs
// into a truncation notices by a generation number and starts again.
//
// A consumer asks for the offset where its last read ended, and that position is remembered (see
// hints.go): neither index nor log is read to find it. One that keeps up reads to the end, whose position
// is known as well; for one that lags behind, the last batch within its limit is looked up.
//
// Lock order: Segment.spillMu, Segment.mu, hints.mu, vfs's locks, Dir.mu. Of these only spillMu and
// Dir.mu are held during I/O by an append or a read; mu is while a segment is truncated.
package segment
