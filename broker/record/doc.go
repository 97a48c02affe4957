// Package record knows Kafka's record batches: how they look as bytes, which of them a broker takes,
// and how they are built, compressed and converted.
//
// A Batch is a view of bytes, never a copy. What a producer sends goes
//
//	Policy.Validate -> Validated.Assign -> one write into the segment
//
// Validate does all that Kafka's LogValidator and UnifiedLog.analyzeAndValidateRecords do, without
// knowing offsets, so that it needs no lock; Assign patches base offset and leader epoch, which lie
// outside the checksum. In the common case (format v2, codec kept) no byte is copied and nothing is
// allocated; a batch is rebuilt only if its format or codec has to change, or if the offsets inside a
// compressed one are not 0, 1, 2 and so on.
//
// # Layout of a batch, format v2 (magic 2)
//
//	 0  8  base offset            27  8  base timestamp (delete horizon if bit 6 is set)
//	 8  4  length of what follows 35  8  max timestamp
//	12  4  leader epoch           43  8  producer id
//	16  1  magic                  51  2  producer epoch
//	17  4  CRC-32C of 21..end     53  4  base sequence
//	21  2  attributes             57  4  count of records
//	23  4  last offset delta      61     records, compressed as one stream
//
// Attributes: bits 0-2 codec, 3 log append time, 4 transactional, 5 control, 6 delete horizon.
//
// # Layout of a message, formats v0 and v1 (magic 0 and 1)
//
//	 0  8  offset                 17  1  attributes: bits 0-2 codec, 3 log append time (v1)
//	 8  4  length of what follows 18  8  timestamp (v1 only)
//	12  4  CRC-32 of 16..end          4  key length (-1: null), key
//	16  1  magic                      4  value length (-1: null), value
//
// A compressed message's value is a stream of such messages.
//
// # Memory
//
// Compressed records are decompressed as a stream through pooled windows, so that a small batch that
// inflates to gigabytes costs time in proportion, but no memory. See stream.go for the bounds.
package record
