package zkutil

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/gregor-mq/gregor/broker/topic"
)

// TopicsPath has a child for each topic.
const TopicsPath = "/brokers/topics"

// TopicPath returns the node of a topic.
func TopicPath(name string) string { return TopicsPath + "/" + name }

// Assignment is where the replicas of one partition are, and while it is being reassigned (KIP-455),
// which of them are new and which shall go.
type Assignment struct {
	Replicas []int32 // the first is the preferred leader
	Adding   []int32
	Removing []int32
}

// Reassigning reports whether the partition is being reassigned.
func (a Assignment) Reassigning() bool { return len(a.Adding) > 0 || len(a.Removing) > 0 }

// Topic is the node of one topic: its id and the replicas of its partitions (TopicZNode).
type Topic struct {
	Name       string
	ID         topic.ID // zero if the topic has none yet
	Partitions map[int32]Assignment

	// Version is the node's data version; it is not part of the contents.
	Version int32
}

// Encode returns the contents of the topic's node, in version 3 of the encoding. Only partitions that
// are being reassigned are found in the maps of replicas to add and remove.
func (t *Topic) Encode() []byte {
	dst := append(make([]byte, 0, 128+16*len(t.Partitions)), `{"partitions":`...)
	dst = appendReplicas(dst, t.Partitions, func(a Assignment) []int32 { return a.Replicas }, true)
	if !t.ID.IsZero() {
		dst = append(dst, `,"topic_id":"`...)
		dst = append(dst, t.ID.String()...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"adding_replicas":`...)
	dst = appendReplicas(dst, t.Partitions, func(a Assignment) []int32 { return a.Adding }, false)
	dst = append(dst, `,"removing_replicas":`...)
	dst = appendReplicas(dst, t.Partitions, func(a Assignment) []int32 { return a.Removing }, false)
	return append(dst, `,"version":3}`...)
}

// DecodeTopic returns the topic whose node has data and stat, in version 1, 2 or 3 of the encoding, which
// differ in what is missing. Like Kafka it takes contents that are no JSON for a topic without
// partitions.
func DecodeTopic(name string, data []byte, stat Stat) (*Topic, error) {
	t := &Topic{Name: name, Partitions: map[int32]Assignment{}, Version: stat.Version}
	o, err := parseObject(data)
	if errors.Is(err, errNotJSON) {
		return t, nil
	}
	if err == nil {
		err = t.decode(o)
	}
	if err != nil {
		return nil, malformed("topic "+name, data, err)
	}
	return t, nil
}

func (t *Topic) decode(o object) error {
	if _, given := o["topic_id"]; given {
		text, err := required[string](o, "topic_id")
		if err != nil {
			return err
		}
		if t.ID, err = topic.ParseID(text); err != nil {
			return err
		}
	}
	var lists [3]map[string]idList
	for i, key := range []string{"partitions", "adding_replicas", "removing_replicas"} {
		if _, given := o[key]; !given {
			continue
		}
		list, err := required[map[string]json.RawMessage](o, key)
		if err != nil {
			return err
		}
		lists[i] = make(map[string]idList, len(list))
		for partition := range list {
			if lists[i][partition], err = required[idList](list, partition); err != nil {
				return fmt.Errorf("%q: %w", key, err)
			}
		}
	}
	for text, replicas := range lists[0] {
		index, err := strconv.ParseInt(text, 10, 32)
		if err != nil || index < 0 {
			return fmt.Errorf("%q is not the index of a partition", text)
		}
		t.Partitions[int32(index)] = Assignment{Replicas: replicas, Adding: lists[1][text], Removing: lists[2][text]}
	}
	return nil
}
