package conformance

import (
	"math"
	"strconv"
	"strings"
)

// number returns a value for a field of bits bits.
func (a *arbitrary) number(of, name string, bits int) int64 {
	if a.rarely(a.odd) {
		return a.oddNumber(bits)
	}
	if list := a.numbersOf(of, name); list != nil {
		return list[a.rng.IntN(len(list))]
	}
	return oneOf[int64](a, 0, 0, 1, -1, 2)
}

// oddNumber returns one of those that programs go wrong with.
func (a *arbitrary) oddNumber(bits int) int64 {
	top := int64(math.MaxInt64) >> (64 - bits)
	return oneOf(a, 0, -1, -2, 1, 7, 100, 127, min(top, 1000), top, top-1, -top, -top-1)
}

// numbersOf returns ordinary values of a field, nil if there are none.
func (a *arbitrary) numbersOf(of, name string) []int64 {
	switch name {
	case "Partition", "Partitions":
		return []int64{0, 0, 0, 1, 2, 9}
	case "BrokerID", "ControllerID", "Leader", "Replicas", "ISR", "NewISR", "ID", "AddingReplicas", "RemovingReplicas", "OfflineReplicas":
		return widened(a.known.brokers)
	case "ReplicaID":
		return []int64{-1, -1, -1, -1, -2, -3, 1, 2, 99}
	case "NodeID":
		return []int64{-1, 1}
	case "BrokerEpoch":
		return a.known.epochs
	case "ControllerEpoch":
		return widened(a.known.controller)
	case "LeaderEpoch", "CurrentLeaderEpoch", "LastFetchedEpoch":
		return []int64{0, 0, -1, -1, 1, 5}
	case "Acks":
		return []int64{-1, -1, -1, 1, 1, 0, 2}
	case "TimeoutMillis":
		return []int64{20_000}
	case "MaxWaitMillis":
		return []int64{0, 1, 100}
	case "MinBytes":
		return []int64{0, 1, 1, 10_000}
	case "MaxBytes", "PartitionMaxBytes":
		return []int64{10 << 20, 1 << 20, math.MaxInt32}
	case "SessionEpoch":
		return []int64{-1, -1, -1, 0, 1}
	case "SessionID", "IsKRaftController", "Type", "ZKVersion":
		return []int64{0, 0, 0, 5}
	case "FetchOffset", "Offset":
		return []int64{0, 0, 1, 2, 3, 5, 10, -1}
	case "Timestamp":
		return []int64{-1, -2, -3, -4, -5, 0, 1, clock.Load() - 5, clock.Load() + 1000}
	case "MaxNumOffsets":
		return []int64{1, 2, 10}
	case "NumPartitions":
		return []int64{1, 2, 3, -1}
	case "ReplicationFactor":
		return []int64{1, 1, 1, -1, 2}
	case "Count":
		return []int64{1, 2, 3, 4}
	case "ResourceType":
		if strings.Contains(of, "ACL") {
			return []int64{1, 2, 3, 4}
		}
		return []int64{2, 2, 2, 2, 4, 8, 16, 32}
	case "Op":
		return []int64{0, 0, 0, 1, 2, 3}
	case "ElectionType":
		return []int64{0, 0, 1}
	case "ProducerID":
		return []int64{0, 1, 2, -1, 7000}
	case "TransactionTimeoutMillis":
		return []int64{60_000}
	case "SessionTimeoutMillis", "RebalanceTimeoutMillis":
		return []int64{6000, 10_000}
	case "Port":
		return []int64{1, 9092}
	}
	return nil
}

func widened(list []int32) []int64 {
	wide := make([]int64, len(list))
	for i, n := range list {
		wide[i] = int64(n)
	}
	return wide
}

// text returns a string for a field.
func (a *arbitrary) text(of, name string) string {
	if a.rarely(a.odd) {
		return a.oddText()
	}
	switch name {
	case "Topic", "Topics", "TopicNames", "SubscribedTopicNames":
		return oneOf(a, a.known.topics...)
	case "Group", "Groups", "CoordinatorKey", "CoordinatorKeys":
		return oneOf(a, a.known.groups...)
	case "ResourceName":
		return oneOf(a, append([]string{"1", "", "2", a.known.groups[0]}, a.known.topics...)...)
	case "ConfigNames":
		return oneOf(a, configNames...)
	case "Name":
		switch {
		case strings.Contains(of, "Config"):
			return oneOf(a, configNames...)
		case strings.Contains(of, "Protocol"):
			return oneOf(a, "range", "sticky")
		}
	case "Value":
		return oneOf(a, configValues...)
	case "Dir":
		return oneOf(a, a.known.dirs...)
	case "MemberID", "InstanceID":
		return oneOf(a, "", "", "member")
	case "StatesFilter":
		return oneOf(a, "Stable", "empty", "Dead")
	case "TypesFilter":
		return oneOf(a, "classic", "consumer")
	case "Host":
		return "127.0.0.1"
	case "Feature":
		return oneOf(a, "metadata.version", "group.version", "no.such")
	case "ClientSoftwareName", "ClientSoftwareVersion":
		return oneOf(a, "test", "1.0", "a_b")
	case "Principal":
		return oneOf(a, "User:ann", "User:*", "ann")
	case "PrincipalType", "OwnerPrincipalType":
		return "User"
	case "ListenerName":
		return "PLAINTEXT"
	case "ProtocolType":
		return "consumer"
	case "Protocol":
		return "range"
	case "Metadata", "Reason", "Rack", "RackID":
		return oneOf(a, "", "note", "späť")
	case "ClusterID", "TransactionID", "TransactionalID", "TransactionalIDs", "StateFilters":
		return oneOf(a, "", "t1", "Ongoing")
	}
	return oneOf(a, "", "x")
}

// oddText returns a string that programs go wrong with.
func (a *arbitrary) oddText() string {
	return oneOf(a,
		"", " ", ".", "..", "../../etc/passwd", "a/b", "x y", "nope", "späť 𝄞", "\x00", "a\x00b", "\n", "a\nb\r\n[ERROR] forged", "%s%n%d",
		"a,b", "a=b", "{\"a\":1}", "'", "\"", "\\", "\u202eabc", strings.Repeat("t", 249), strings.Repeat("t", 250),
		strings.Repeat("s", 4097), strings.Repeat("é", 16_000), "-1", "2147483648", "null", "__cluster_metadata", "a.b_c", "a_b.c", "1", "*")
}

// configNames are properties of topics and brokers. What takes a while to come into force and is seen then is not among them.
var configNames = []string{
	"retention.ms", "retention.bytes", "segment.bytes", "segment.ms", "flush.messages", "file.delete.delay.ms", "segment.jitter.ms",
	"index.interval.bytes", "segment.index.bytes", "preallocate", "min.cleanable.dirty.ratio", "delete.retention.ms", "max.compaction.lag.ms",
	"leader.replication.throttled.replicas", "follower.replication.throttled.replicas", "unclean.leader.election.enable",
	"remote.storage.enable", "message.format.version", "local.retention.ms", "log.retention.ms", "no.such.config", "",
}

var configValues = []string{
	"1000", "60000", "-1", "0", "true", "false", "-2", "x", "", "0.5", "1.5", "delete", "compact", "delete,compact", "1:1", "*", "0:1,1:1",
	"9223372036854775807", "9223372036854775808", " 1000 ", "1e3", "3.9", "3.0-IV1", "1,2", "TRUE", "0x10", "+5", "14",
}

// id returns the id of a topic.
func (a *arbitrary) id() [16]byte {
	if a.rarely(a.odd) {
		return oneOf(a, [16]byte{}, [16]byte{15: 1}, [16]byte{0: 0xff, 15: 0xff}, [16]byte{3: 7, 9: 9})
	}
	return oneOf(a, a.known.ids...)
}

// logicalID stands for the id of a topic.
func logicalID(topic int) [16]byte { return [16]byte{0xfa, 0xce, 15: byte(topic)} }

// bytes returns bytes for a field.
func (a *arbitrary) bytes(name string) []byte {
	if name == "Records" {
		return a.records()
	}
	switch {
	case a.rarely(a.odd):
		return oneOf(a, nil, []byte{}, []byte{0}, []byte{0xff, 0xff, 0xff, 0xff}, make([]byte, 70_000))
	case name == "Metadata":
		return subscription(a.known.topics[0])
	}
	return []byte(strconv.Itoa(a.rng.IntN(1000)))
}
