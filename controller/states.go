package controller

// replicaState is what a replica is for the controller (ReplicaStateMachine.scala). The zero state
// is that there is no such replica.
type replicaState int8

const (
	nonExistentReplica replicaState = iota
	newReplica
	onlineReplica
	offlineReplica
	replicaDeletionStarted
	replicaDeletionSuccessful
	replicaDeletionIneligible
)

func (s replicaState) String() string {
	return [...]string{"NonExistentReplica", "NewReplica", "OnlineReplica", "OfflineReplica",
		"ReplicaDeletionStarted", "ReplicaDeletionSuccessful", "ReplicaDeletionIneligible"}[s]
}

// follows reports whether a replica may go from the state old to s.
func (s replicaState) follows(old replicaState) bool {
	switch s {
	case newReplica:
		return old == nonExistentReplica
	case onlineReplica, offlineReplica:
		return old == newReplica || old == onlineReplica || old == offlineReplica || old == replicaDeletionIneligible
	case replicaDeletionStarted:
		return old == offlineReplica
	case replicaDeletionSuccessful:
		return old == replicaDeletionStarted
	case replicaDeletionIneligible:
		return old == offlineReplica || old == replicaDeletionStarted
	case nonExistentReplica:
		return old == replicaDeletionSuccessful
	}
	return false
}

// partitionState is what a partition is for the controller (PartitionStateMachine.scala). The zero
// state is that there is no such partition.
type partitionState int8

const (
	nonExistentPartition partitionState = iota
	newPartition                        // has replicas, had no leader yet
	onlinePartition
	offlinePartition // had a leader, and has none now
)

func (s partitionState) String() string {
	return [...]string{"NonExistentPartition", "NewPartition", "OnlinePartition", "OfflinePartition"}[s]
}

// follows reports whether a partition may go from the state old to s.
func (s partitionState) follows(old partitionState) bool {
	switch s {
	case newPartition:
		return old == nonExistentPartition
	case onlinePartition, offlinePartition:
		return old == newPartition || old == onlinePartition || old == offlinePartition
	case nonExistentPartition:
		return old == offlinePartition
	}
	return false
}
