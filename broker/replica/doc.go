// Package replica keeps this broker's replicas of partitions: who leads them, how far they are
// committed, and who waits for that.
//
// A Manager owns a Partition for each replica that the controller has placed here. The controller
// tells it by LeaderAndIsr and StopReplica what each one is; see Manager.Apply. A produce goes
//
//	api/produce -> Manager.Partition -> Partition.Append -> storage.Log.AppendLeader
//
// and, for acks=all, is answered once the high watermark passes it; a fetch goes
//
//	api/fetch -> Manager.Partition -> Partition.Read -> storage.Log.Read
//
// and, if there is too little to read, waits for an append. What waits is kept in the Manager's
// purgatories, keyed by partition; Partition methods wake it after they have released their locks.
//
// # High watermark
//
// The high watermark is the offset below which records are committed: on every replica of the ISR.
// The leader raises it to the lowest log end offset among the ISR whenever an append, a follower's
// fetch or a new ISR may have moved that; it never lowers it within an epoch. It does not rise
// while the ISR is smaller than min.insync.replicas, so that what a consumer has read survives as
// many failures as acks=all promises (Partition.maybeIncrementLeaderHW).
//
// # Lock order
//
//	Manager.applyMu, Partition.mu, Partition.hw, Manager.mu, the locks of storage.Log
//
// None is held during network I/O nor, but for applyMu, while a purgatory is checked. Partition.mu is held shared while
// records are appended, so that leadership cannot change under an append, and appends to one
// partition do not wait for one another before storage orders them.
package replica
