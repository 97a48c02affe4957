package wire

// API is one row of the table of APIs that a ZooKeeper-mode broker of Kafka 3.9 serves
// (ApiKeys.java, listener zkBroker).
type API struct {
	Key      int16
	Name     string
	Min, Max int16 // versions served, both inclusive
	// FlexibleFrom is the first version with tagged fields (KIP-482); -1: none.
	FlexibleFrom int16
	// ClusterAction: brokers and controllers ask this, clients do not.
	ClusterAction bool
}

// Flexible reports whether version carries tagged fields.
func (a *API) Flexible(version int16) bool {
	return a.FlexibleFrom >= 0 && version >= a.FlexibleFrom
}

// Supports reports whether version is served.
func (a *API) Supports(version int16) bool { return version >= a.Min && version <= a.Max }

// KeyApiVersions is the one key with rules of its own: every version is handled, and its response
// header never has tags (KIP-511).
const KeyApiVersions int16 = 18

// The other keys that this package and the network treat specially.
const (
	KeyProduce            int16 = 0
	KeyFetch              int16 = 1
	KeyStopReplica        int16 = 5
	KeyControlledShutdown int16 = 7
)

// apis is in the order of keys, which is the order of the ApiVersions answer.
var apis = [...]API{
	{0, "Produce", 0, 11, 9, false},
	{1, "Fetch", 0, 17, 12, false},
	{2, "ListOffsets", 0, 9, 6, false},
	{3, "Metadata", 0, 12, 9, false},
	{4, "LeaderAndIsr", 0, 7, 4, true},
	{5, "StopReplica", 0, 4, 2, true},
	{6, "UpdateMetadata", 0, 8, 6, true},
	{7, "ControlledShutdown", 0, 3, 3, true},
	{8, "OffsetCommit", 0, 9, 8, false},
	{9, "OffsetFetch", 0, 9, 6, false},
	{10, "FindCoordinator", 0, 6, 3, false},
	{11, "JoinGroup", 0, 9, 6, false},
	{12, "Heartbeat", 0, 4, 4, false},
	{13, "LeaveGroup", 0, 5, 4, false},
	{14, "SyncGroup", 0, 5, 4, false},
	{15, "DescribeGroups", 0, 5, 5, false},
	{16, "ListGroups", 0, 5, 3, false},
	{17, "SaslHandshake", 0, 1, -1, false},
	{18, "ApiVersions", 0, 4, 3, false},
	{19, "CreateTopics", 0, 7, 5, false},
	{20, "DeleteTopics", 0, 6, 4, false},
	{21, "DeleteRecords", 0, 2, 2, false},
	{22, "InitProducerId", 0, 5, 2, false},
	{23, "OffsetForLeaderEpoch", 0, 4, 4, false},
	{24, "AddPartitionsToTxn", 0, 5, 3, false},
	{25, "AddOffsetsToTxn", 0, 4, 3, false},
	{26, "EndTxn", 0, 4, 3, false},
	{27, "WriteTxnMarkers", 0, 1, 1, true},
	{28, "TxnOffsetCommit", 0, 4, 3, false},
	{29, "DescribeAcls", 0, 3, 2, false},
	{30, "CreateAcls", 0, 3, 2, false},
	{31, "DeleteAcls", 0, 3, 2, false},
	{32, "DescribeConfigs", 0, 4, 4, false},
	{33, "AlterConfigs", 0, 2, 2, false},
	{34, "AlterReplicaLogDirs", 0, 2, 2, false},
	{35, "DescribeLogDirs", 0, 4, 2, false},
	{36, "SaslAuthenticate", 0, 2, 2, false},
	{37, "CreatePartitions", 0, 3, 2, false},
	{38, "CreateDelegationToken", 0, 3, 2, false},
	{39, "RenewDelegationToken", 0, 2, 2, false},
	{40, "ExpireDelegationToken", 0, 2, 2, false},
	{41, "DescribeDelegationToken", 0, 3, 2, false},
	{42, "DeleteGroups", 0, 2, 2, false},
	{43, "ElectLeaders", 0, 2, 2, false},
	{44, "IncrementalAlterConfigs", 0, 1, 1, false},
	{45, "AlterPartitionReassignments", 0, 0, 0, false},
	{46, "ListPartitionReassignments", 0, 0, 0, false},
	{47, "OffsetDelete", 0, 0, -1, false},
	{48, "DescribeClientQuotas", 0, 1, 1, false},
	{49, "AlterClientQuotas", 0, 1, 1, false},
	{50, "DescribeUserScramCredentials", 0, 0, 0, false},
	{51, "AlterUserScramCredentials", 0, 0, 0, false},
	{56, "AlterPartition", 0, 3, 0, true},
	{57, "UpdateFeatures", 0, 1, 0, true},
	{58, "Envelope", 0, 0, 0, true},
	{60, "DescribeCluster", 0, 1, 0, false},
	{61, "DescribeProducers", 0, 0, 0, false},
	{65, "DescribeTransactions", 0, 0, 0, false},
	{66, "ListTransactions", 0, 1, 0, false},
	{67, "AllocateProducerIds", 0, 0, 0, true},
	{68, "ConsumerGroupHeartbeat", 0, 0, 0, false},
	{69, "ConsumerGroupDescribe", 0, 0, 0, false},
}

const maxKey = 69

// byKey is apis by key; nil for keys not served.
var byKey = func() (t [maxKey + 1]*API) {
	for i := range apis {
		t[apis[i].Key] = &apis[i]
	}
	return t
}()

// APIs returns the table in the order of keys. It is the caller's to keep.
func APIs() []API { return append([]API(nil), apis[:]...) }

// Lookup returns the row of key, nil if a ZooKeeper-mode broker does not serve it. The row must not
// be changed.
func Lookup(key int16) *API {
	if key < 0 || key > maxKey {
		return nil
	}
	return byKey[key]
}
