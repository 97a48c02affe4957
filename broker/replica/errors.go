package replica

import "errors"

// What a Partition or Manager refuses; package api/status maps them to Kafka's error codes.
var (
	// ErrNotLeader: this broker does not lead the partition, or has no replica of it.
	ErrNotLeader = errors.New("not the leader of the partition")
	// ErrUnknownPartition: no such partition.
	ErrUnknownPartition = errors.New("unknown topic or partition")
	// ErrNotEnoughReplicas: the ISR is smaller than min.insync.replicas; nothing was written.
	ErrNotEnoughReplicas = errors.New("fewer in-sync replicas than min.insync.replicas")
	// ErrNotEnoughReplicasAfterAppend: the ISR became too small after the records were written.
	ErrNotEnoughReplicasAfterAppend = errors.New("records are written, but to fewer in-sync replicas than required")
	// ErrFencedLeaderEpoch: the client knows an older leader epoch (KIP-320).
	ErrFencedLeaderEpoch = errors.New("leader epoch in the request is older than the broker's")
	// ErrUnknownLeaderEpoch: the client knows a leader epoch that this broker has not heard of yet.
	ErrUnknownLeaderEpoch = errors.New("leader epoch in the request is newer than the broker's")
	// ErrInconsistentTopicID: the client means another topic of the same name.
	ErrInconsistentTopicID = errors.New("topic id does not match the log's")
	// ErrOffsetNotAvailable: a new leader's high watermark has not caught up with its epoch yet.
	ErrOffsetNotAvailable = errors.New("the leader's high watermark is not known yet")
	// ErrStaleControllerEpoch: a controller that has been replaced sent the request.
	ErrStaleControllerEpoch = errors.New("controller epoch is older than the last one seen")
	// ErrStaleBrokerEpoch: the request is meant for an earlier registration of this broker.
	ErrStaleBrokerEpoch = errors.New("broker epoch is older than this registration's")
	// ErrNotFollower: the replica does not follow that leader in that leader epoch, or not any more.
	ErrNotFollower = errors.New("not a follower in this leader epoch")
	// ErrUnexpectedOffset: what was fetched does not begin where the follower's log ends.
	ErrUnexpectedOffset = errors.New("fetched from another offset than the log's end")
	// ErrNotMoving: the replica has no future log, or not any more.
	ErrNotMoving = errors.New("the replica is not being moved")
	// ErrNameTooLong: the topic's name is too long for the directory of a future log.
	ErrNameTooLong = errors.New("the topic name is too long")
	// ErrInvalidPartition: no partition is called that, so that no log may be.
	ErrInvalidPartition = errors.New("not the name of a partition")
	// ErrPolicyViolation: records of a topic without cleanup.policy=delete cannot be deleted.
	ErrPolicyViolation = errors.New("topic does not have the delete cleanup policy")
)
