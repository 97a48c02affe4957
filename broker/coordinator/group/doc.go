// Package group is the state machine of consumer groups, and the records that it is kept in.
//
// A Group is a function of (state, event, time): its methods are the events, Take returns what is to be
// done about them, Alarm says when it wants to hear of the time again (Tick). It owns no goroutine, no
// clock, no disk and no socket, and is used by one goroutine at a time. What Kafka keeps in
// GroupMetadata, MemberMetadata and the purgatories of GroupCoordinator is all here:
//
//	Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ...
//
// A JoinGroup begins a rebalance and waits for the others (join.go, rebalance.go); when all members
// have joined, or their time is over, a new generation begins and the leader is asked to assign; its
// SyncGroup brings the assignment (sync.go), which is stored before anybody learns of it.
//
// What must be stored is an Append with a ticket; Appended says how that ended. Offsets count as
// committed only then (offsets.go), and the later record wins, in whatever order appends end. They go when
// somebody deletes them, or after a time (removal.go).
//
// record.go has the keys and values of __consumer_offsets, in every version; Loading makes the groups
// of a partition from its records.
package group
