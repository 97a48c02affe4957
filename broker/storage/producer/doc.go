// Package producer keeps what a log must know of those who write to it: for each producer id the
// last sequence numbers, so that a batch sent twice is stored once (KIP-98, idempotence), and the
// transactions that are open, so that consumers can stop before them. It is Kafka's
// ProducerStateManager without files, clock and locks: a pure core, driven by the owner of the log.
//
// An append goes in two steps, because nothing may change if the write fails:
//
//	a := state.Prepare(origin)
//	dup, err := a.Add(batch, guard)        // for each batch; checks
//	... write ...
//	state.Commit(a, func(CompletedTxn) ...)  // changes
//
// # Snapshot file
//
// State is rebuilt from the newest snapshot and the batches behind it. A snapshot holds the last
// batch of each producer only; integers are big-endian:
//
//	| version i16 = 1 | CRC-32C of all that follows u32 | count i32 | count entries |
//	| producer id i64 | epoch i16 | last sequence i32 | last offset i64 | offset delta i32 |
//	| timestamp i64 | coordinator epoch i32 | first offset of the open transaction i64 |
package producer
