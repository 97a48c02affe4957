package main

import (
	"maps"
	"strconv"
	"time"

	"github.com/gregor-mq/gregor/integration/cluster"
)

const replicationFactor = 3

// topics are the topics and their numbers of partitions. Segments are small, so that they roll.
var topics = map[string]int32{"orders": 4, "events": 3, "single": 1, compactedTopic: 2}

// compactedTopic is the one whose records have keys.
const compactedTopic = "accounts"

func compacted(topic string) bool { return topic == compactedTopic }

// topicConfigs returns the configuration of a topic. A compacted one has segments that roll every few seconds, and is
// cleaned as often; its tombstones go as soon as no replica can be expected to need them any more: after recovery.
func topicConfigs(topic string, recovery time.Duration) map[string]*string {
	props := cluster.Props{"min.insync.replicas": "2", "segment.bytes": "262144"}
	if compacted(topic) {
		maps.Copy(props, cluster.Props{"segment.bytes": "32768", "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01",
			"delete.retention.ms": strconv.FormatInt(recovery.Milliseconds(), 10)})
	}
	configs := make(map[string]*string)
	for name, value := range props {
		configs[name] = &value
	}
	return configs
}

// offsetsTopic has the committed offsets of all groups, in offsetsPartitions.
const (
	offsetsTopic      = "__consumer_offsets"
	offsetsPartitions = 4
)

// allTopics returns topics and the topic of committed offsets.
func allTopics() map[string]int32 {
	all := maps.Clone(topics)
	all[offsetsTopic] = offsetsPartitions
	return all
}
