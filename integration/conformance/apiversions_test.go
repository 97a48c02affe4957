package conformance

// builtAPIs are the APIs that are served, by Kafka's names. All others are not advertised, and a
// request for one of them ends the connection.
var builtAPIs = []string{
	"Produce", "Fetch", "ListOffsets", "Metadata", "LeaderAndIsr", "StopReplica", "UpdateMetadata",
	"FindCoordinator", "ApiVersions", "CreateTopics", "DeleteTopics", "DeleteRecords", "InitProducerId",
	"OffsetForLeaderEpoch", "DescribeConfigs", "CreatePartitions", "DescribeCluster", "DescribeProducers",
}
