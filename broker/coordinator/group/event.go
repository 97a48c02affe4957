package group

import "github.com/gregor-mq/gregor/broker/topic"

// Caller is whoever waits for an answer. A Group hands it back with the answer and knows nothing of it.
type Caller any

// Protocol is one way of assigning partitions that a member knows, with what it says under it.
type Protocol struct {
	Name     string
	Metadata []byte
}

// Join is a JoinGroup request.
type Join struct {
	MemberID           string // "": a new member
	InstanceID         *string
	ClientID           string
	ClientHost         string // as Java prints an address: /10.0.0.1
	SessionTimeoutMs   int32
	RebalanceTimeoutMs int32
	ProtocolType       string
	Protocols          []Protocol
	RequireKnownID     bool   // version 4 on, without an instance id (KIP-394)
	MaySkipAssignment  bool   // version 9 on (KIP-814)
	Reason             string // why it joins, for the log: version 8 on (KIP-800)
}

// Joined answers a Join.
type Joined struct {
	// Superseded: another Join of the member waits now, and this one is never answered.
	Superseded   bool
	Code         int16
	MemberID     string
	Generation   int32
	ProtocolType *string
	Protocol     *string
	Leader       string
	Skip         bool // the leader need not assign
	Members      []JoinedMember
}

// JoinedMember is a member as the leader sees it.
type JoinedMember struct {
	ID         string
	InstanceID *string
	Metadata   []byte
}

// Sync is a SyncGroup request.
type Sync struct {
	MemberID     string
	InstanceID   *string
	Generation   int32
	ProtocolType *string // nil: not given (before version 5)
	Protocol     *string
	Assignments  map[string][]byte // of the leader, by member id
}

// Synced answers a Sync.
type Synced struct {
	// Superseded: another Sync of the member waits now, and this one is never answered.
	Superseded   bool
	Code         int16
	ProtocolType *string
	Protocol     *string
	Assignment   []byte
}

// Identity names a member in a request.
type Identity struct {
	MemberID   string
	InstanceID *string
}

// Departure is a member that a LeaveGroup request names.
type Departure struct {
	Identity
	Reason string // why it leaves, for the log: version 5 on (KIP-800)
}

// Commit is an OffsetCommit request or, with Txn, a TxnOffsetCommit request. Its Offsets are the group's from then on;
// of the Identity nothing is kept.
type Commit struct {
	Identity
	Generation int32
	Offsets    []PartitionOffset
	Txn        *Txn
}

// Txn is the producer in whose transaction offsets are committed.
type Txn struct {
	ProducerID int64
	Epoch      int16
	// Guard is what the log has given for the verification of the transaction; a Group only hands it on.
	Guard uint64
}

// PartitionOffset is the offset of one partition.
type PartitionOffset struct {
	topic.Partition
	Offset
}

// Offset is a committed offset.
type Offset struct {
	Offset          int64
	LeaderEpoch     int32 // -1: not known
	Metadata        string
	CommitTimestamp int64 // ms since 1970
	ExpireTimestamp int64 // ms since 1970; -1: by the broker's retention
}

// FetchedOffset is the answer about one partition.
type FetchedOffset struct {
	topic.Partition
	Offset      int64 // -1: none
	LeaderEpoch int32
	Metadata    string
	Code        int16
}

// Record is a record for the group's partition of __consumer_offsets; a nil Value is a tombstone.
type Record struct{ Key, Value []byte }

// Append are records to append in one batch. Appends keep the order that Take returns them in.
type Append struct {
	// Ticket names the append to Appended; 0: nobody waits for its outcome, and it needs no acknowledgement.
	Ticket  int
	Records []Record
	// Commit: the records are committed offsets, whose batch begins with sequence 0 in Kafka.
	Commit bool
	Txn    *Txn // in whose transaction they are; nil: in none
}

// Effects are what events have led to.
type Effects struct {
	Joins   []JoinAnswer
	Syncs   []SyncAnswer
	Commits []CommitAnswer
	Appends []Append
	// Notes are worth a line in the log.
	Notes []string
}

// JoinAnswer is an answer to a Join.
type JoinAnswer struct {
	To Caller
	Joined
}

// SyncAnswer is an answer to a Sync.
type SyncAnswer struct {
	To Caller
	Synced
}

// CommitAnswer is an answer to a Commit, a code for each of its offsets.
type CommitAnswer struct {
	To    Caller
	Codes []int16
}
