// Package fetcher copies partitions from the brokers that lead them (Kafka's ReplicaFetcherManager,
// ReplicaFetcherThread and FetchSessionHandler).
//
// A Pool has one loop for each leader that this broker follows, or num.replica.fetchers of them, each on a
// connection of its own; the partitions of a leader are spread over its loops by their names. A loop lives as
// long as it has partitions. It fetches with ordinary Fetch requests, in an incremental session (KIP-227), so
// that a request names only the partitions whose place has changed, and the leader answers only what is
// news; when there is none, the leader holds the request back for up to replica.fetch.wait.max.ms.
//
//	Pool.Follow -> loop -> set.next -> Fetch -> wire.FetchReader -> replica.Following.Append
//
// The records of an answer stay in the loop's one buffer and are written to the log from there.
//
// # Where logs differ
//
// Each fetch says at which offset the follower's log ends and in which leader epoch (KIP-595). If the
// leader's log has no such place, it answers with the epoch and offset where the two parted, and the
// follower truncates: replica.Following.Diverged. A place beyond the leader's log makes the loop ask for the
// bounds of that log: replica.Following.OutOfRange.
//
// # Errors
//
// A partition that cannot be fetched is left out of the session for a while: 10 ms at first, since the usual
// reason is a leader that has not heard from the controller yet, and twice as long each time, up to
// replica.fetch.backoff.ms. A connection that fails is opened again after such a pause. A replica whose log
// cannot be written is dropped until the controller speaks of it again.
//
// # Changes
//
// Follow and Unfollow leave a note for the loops and return. A loop takes its notes between two requests.
// So that a partition does not have to wait for the end of a long poll about others, a poll that goes on 10 ms
// after a note is broken off, by closing the connection.
//
// # Locks
//
// Pool.mu, then loop.mu. Neither is held while logs or connections are used. A set belongs to its loop's
// goroutine.
package fetcher
