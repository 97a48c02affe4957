package zkutil

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Where administrators leave their wishes for the controller.
const (
	DeleteTopicsPath      = "/admin/delete_topics"
	ReassignmentPath      = "/admin/reassign_partitions"
	PreferredElectionPath = "/admin/preferred_replica_election"
)

// DeleteTopicPath returns the node that asks for the deletion of a topic; it has no data.
func DeleteTopicPath(name string) string { return DeleteTopicsPath + "/" + name }

// namedPartition is a partition as several znodes write it.
type namedPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// partitionList is the contents of PreferredElectionPath and of ISR change notifications.
type partitionList struct {
	Version    int              `json:"version"`
	Partitions []namedPartition `json:"partitions"`
}

func encodePartitions(partitions []topic.Partition) []byte {
	list := partitionList{Version: 1, Partitions: make([]namedPartition, len(partitions))}
	for i, p := range partitions {
		list.Partitions[i] = namedPartition{p.Topic, p.Index}
	}
	return encodeJSON(list)
}

// decodePartitions reads the partitions of such a list; contents that are no JSON have none.
func decodePartitions(what string, data []byte) ([]topic.Partition, error) {
	o, err := parseObject(data)
	if errors.Is(err, errNotJSON) {
		return nil, nil
	}
	var list []json.RawMessage
	if err == nil {
		list, err = required[[]json.RawMessage](o, "partitions")
	}
	partitions := make([]topic.Partition, 0, len(list))
	for _, raw := range list {
		var p topic.Partition
		if o, err = parseObject(raw); err != nil {
			break
		}
		if p.Topic, err = required[string](o, "topic"); err != nil {
			break
		}
		if p.Index, err = required[int32](o, "partition"); err != nil {
			break
		}
		partitions = append(partitions, p)
	}
	if err != nil {
		return nil, malformed(what, data, err)
	}
	return partitions, nil
}

// EncodePreferredElection returns the contents of PreferredElectionPath.
func EncodePreferredElection(partitions []topic.Partition) []byte {
	return encodePartitions(partitions)
}

// DecodePreferredElection returns the partitions that shall be led by their preferred replicas.
func DecodePreferredElection(data []byte) ([]topic.Partition, error) {
	return decodePartitions("preferred replica election", data)
}

// Reassignment is a wish to have a partition's replicas at other brokers.
type Reassignment struct {
	Partition topic.Partition
	Replicas  []int32
}

// reassignments is the contents of ReassignmentPath.
type reassignments struct {
	Version    int            `json:"version"`
	Partitions []reassignment `json:"partitions"`
}

type reassignment struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Replicas  idList `json:"replicas"`
}

// EncodeReassignments returns the contents of ReassignmentPath.
func EncodeReassignments(wishes []Reassignment) []byte {
	v := reassignments{Version: 1, Partitions: make([]reassignment, len(wishes))}
	for i, w := range wishes {
		v.Partitions[i] = reassignment{w.Partition.Topic, w.Partition.Index, append(idList{}, w.Replicas...)}
	}
	return encodeJSON(v)
}

// DecodeReassignments returns the wishes at ReassignmentPath. Like Kafka, and unlike all other
// families, it refuses unknown keys; the controller then ignores the node with a warning.
func DecodeReassignments(data []byte) ([]Reassignment, error) {
	var v reassignments
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(&v)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the JSON")
		}
	}
	if err != nil {
		return nil, malformed("reassignment", data, err)
	}
	wishes := make([]Reassignment, len(v.Partitions))
	for i, p := range v.Partitions {
		wishes[i] = Reassignment{topic.Partition{Topic: p.Topic, Index: p.Partition}, p.Replicas}
	}
	return wishes, nil
}
