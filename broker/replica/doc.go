// Package replica keeps this broker's replicas of partitions: who leads them, how far they are
// committed, and who waits for that.
//
// A Manager owns a Partition for each replica that the controller has placed here. The controller
// tells it by LeaderAndIsr and StopReplica what each one is; see Manager.Apply. A produce goes
//
//	api/produce -> Manager.Partition -> Partition.AppendAll -> storage.Log.AppendLeaderAll
//
// and, for acks=all, is answered once the high watermark passes it; a fetch goes
//
//	api/fetch -> Manager.Partition -> Partition.Read -> storage.Log.Read
//
// and, if there is too little to read, waits for an append. What waits is kept in the Manager's
// purgatories, keyed by partition; Partition methods wake it after they have released their locks.
// A replica that follows is fed by package fetcher:
//
//	fetcher -> Partition.AppendFetched, Partition.Truncate -> storage.Log.AppendFollower
//
// Everything a fetcher does names the leader and the leader epoch that it copies from, and is refused
// with ErrNotFollower once the controller has decided otherwise: no fetcher need be waited for when
// leadership moves.
//
// # High watermark
//
// The high watermark is the offset below which records are committed: on every replica of the ISR.
// The leader raises it whenever an append, a follower's fetch or a new ISR may have moved that; it
// never lowers it within an epoch. It does not rise while the ISR is smaller than
// min.insync.replicas, so that what a consumer has read survives as many failures as acks=all
// promises. A follower takes it over from the leader's answers, as far as its own log reaches.
//
// # In-sync replicas
//
// Package isr has the rules. A leader proposes a change to the Propagator, which makes it known to the
// cluster and answers on a goroutine of its own. Members that have fallen behind are looked for by one
// loop, followers that have caught up when they fetch.
//
// # Moving to another log directory
//
// Manager.AlterDir makes a future log (storage, KIP-113), which package dirmover fills: CopyToFuture copies
// a chunk after the other, comparing leader epochs as a follower does, and Promote puts the future log in
// the current one's place once little is left to copy. What cuts the log cuts the future one, too.
//
// # Lock order
//
//	Manager.applyMu, Partition.promoting, Partition.mu, Partition.moving, Partition.hw, Manager.mu,
//	the locks of storage.Log
//
// None is held during network I/O, while a purgatory is checked, or while Followers and the
// Propagator are called, but for applyMu. Partition.mu is held shared while records are appended, so
// that leadership cannot change under an append, and appends to one partition do not wait for one
// another before storage orders them. Of a leader's isr.Tracker, who is in the ISR is guarded by mu, and
// what followers hold by hw, with mu held shared at least.
package replica
