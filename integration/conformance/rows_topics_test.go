package conformance

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var unknownID = [16]byte{1, 2, 3}

// rowsTopics are the rows about topics: CreateTopics, DeleteTopics, CreatePartitions.
var rowsTopics = script{
	"CreateTopics: topic name with a space":                                    createOne("a b"),
	"CreateTopics: empty topic name":                                           createOne(""),
	"CreateTopics: topic name .":                                               createOne("."),
	"CreateTopics: topic name ..":                                              createOne(".."),
	"CreateTopics: topic name of 250 characters":                               createOne(strings.Repeat("x", 250)),
	"CreateTopics: topic name of 249 characters, validate only false":          createOne(strings.Repeat("x", 249)),
	"CreateTopics: topic name with a slash":                                    createOne("a/b"),
	"CreateTopics: name collides (period against underscore) with under_score": createOne("under.score"),
	"CreateTopics: replication factor 4 with 3 brokers":                        createOne("c1", sized(1, 4)),
	"CreateTopics: replication factor 0":                                       createOne("c1", sized(1, 0)),
	"CreateTopics: replication factor -2":                                      createOne("c1", sized(1, -2)),
	"CreateTopics: 0 partitions":                                               createOne("c1", sized(0, 1)),
	"CreateTopics: -2 partitions":                                              createOne("c1", sized(-2, 1)),
	"CreateTopics: unknown config":                                             createOne("c1", configured("no.such", "1")),
	"CreateTopics: config of wrong type":                                       createOne("c1", configured("retention.ms", "abc")),
	"CreateTopics: config out of range":                                        createOne("c1", configured("min.insync.replicas", "0")),
	"CreateTopics: config outside the list":                                    createOne("c1", configured("compression.type", "lzo")),
	"CreateTopics: null config value": createOne("c1", func(t *kmsg.CreateTopicsRequestTopic) {
		t.Configs = append(t.Configs, configOf("retention.ms", nil))
	}),
	"CreateTopics: remote.storage.enable=true without remote storage": createOne("c1", configured("remote.storage.enable", "true")),
	"CreateTopics: min.compaction.lag.ms above max.compaction.lag.ms": createOne("c1",
		configured("min.compaction.lag.ms", "10"), configured("max.compaction.lag.ms", "5")),
	"CreateTopics: bad throttled replicas list":          createOne("c1", configured("leader.replication.throttled.replicas", "x")),
	"CreateTopics: segment.bytes=1":                      createOne("c1", configured("segment.bytes", "1")),
	"CreateTopics: cleanup.policy with an unknown value": createOne("c1", configured("cleanup.policy", "foo")),
	"CreateTopics: message.format.version set":           createOne("c2", configured("message.format.version", "2.8")),
	"CreateTopics: topic exists":                         createOne("e1"),
	"CreateTopics: same topic twice in the request":      request(createTopics(topicOf("c3"), topicOf("c3"))),
	"CreateTopics: same topic twice and another one":     request(createTopics(topicOf("c3"), topicOf("c3"), topicOf("c4"))),
	"CreateTopics: assignment and partition count both given": createOne("c1", placed(assigned(0, 1)), func(t *kmsg.CreateTopicsRequestTopic) {
		t.NumPartitions = 1
	}),
	"CreateTopics: assignment names an unknown broker":         timed("c5", 500, placed(assigned(0, 9))),
	"CreateTopics: assignment repeats a broker":                createOne("c1", placed(assigned(0, 1, 1))),
	"CreateTopics: assignments of different length":            createOne("c1", placed(assigned(0, 1), assigned(1, 1, 2))),
	"CreateTopics: assignment with an empty replica list":      timed("c6", 500, placed(assigned(0))),
	"CreateTopics: assignment with a gap in the partition ids": createOne("c1", placed(assigned(0, 1), assigned(2, 1))),
	"CreateTopics: assignment gives one partition twice":       createOne("c7", placed(assigned(0, 1), assigned(0, 2))),
	"CreateTopics: name starts with two underscores":           createOne("__c8"),
	"CreateTopics: timeout 0, otherwise valid":                 timed("c9", 0),
	"CreateTopics: timeout -1, otherwise valid":                timed("c10", -1),
	"CreateTopics: validate only, valid": func(*world) call {
		r := createTopics(topicOf("c1"))
		r.ValidateOnly = true
		return call{req: r}
	},
	"CreateTopics: no topics": request(createTopics()),
	"CreateTopics: sent to a broker that is not the controller": func(*world) call {
		return call{to: 2, req: createTopics(topicOf("c1"))}
	},
	"CreateTopics: v3 with partitions -1 (defaults are allowed from v4)": createOne("c11", sized(-1, 1)),
	"CreateTopics: v4 with partitions -1 and RF -1 (defaults)":           createOne("c12", sized(-1, -1)),

	"DeleteTopics: unknown topic name":        request(deleteTopics(20_000, "nope")),
	"DeleteTopics: unknown topic id":          request(deleteByID(nil, unknownID)),
	"DeleteTopics: name and id both given":    func(w *world) call { return call{req: deleteByID(ptr("e1"), w.ids["e1"])} },
	"DeleteTopics: neither name nor id":       request(deleteByID(nil, [16]byte{})),
	"DeleteTopics: same name twice":           request(deleteTopics(20_000, "c2", "c2")),
	"DeleteTopics: timeout 0, existing topic": request(deleteTopics(0, "c4")),

	"CreatePartitions: fewer than existing": request(createPartitions("p4", 2)),
	"CreatePartitions: same as existing":    request(createPartitions("p4", 4)),
	"CreatePartitions: unknown topic":       request(createPartitions("nope", 2)),
	"CreatePartitions: unknown topic, and a name that ZooKeeper has no path for": func(*world) call {
		r := createPartitions("nope", 2)
		r.Topics = append(r.Topics, createPartitions("a\nb", 2).Topics...)
		return call{req: r}
	},
	"CreatePartitions: count -1":                                   request(createPartitions("p4", -1)),
	"CreatePartitions: count 0":                                    request(createPartitions("p4", 0)),
	"CreatePartitions: assignment for too few partitions":          request(createPartitions("p4", 6, []int32{1})),
	"CreatePartitions: assignment with another replication factor": request(createPartitions("p4", 5, []int32{1, 2})),
	"CreatePartitions: assignment names an unknown broker":         request(createPartitions("p4", 5, []int32{9})),
	"CreatePartitions: assignment repeats a broker":                request(createPartitions("p4", 5, []int32{1, 1})),
	"CreatePartitions: assignment with an empty replica list":      request(createPartitions("p4", 5, []int32{})),
}

// timed creates a topic with a timeout.
func timed(name string, timeoutMs int32, change ...func(*kmsg.CreateTopicsRequestTopic)) func(*world) call {
	return request(impatient(createTopics(topicOf(name, change...)), timeoutMs))
}

// rowsDead are the rows that were recorded while broker 3 was frozen or dead.
var rowsDead = script{
	"Produce: acks=all, timeout 1000 ms, follower 3 frozen but still in the ISR": func(*world) call {
		r := produce("two", 0, newBatch())
		r.TimeoutMillis = 500
		return call{req: r}
	},
	"Produce: acks=all, ISR of 1 below min.insync.replicas=2 (broker 3 dead)": func(w *world) call {
		w.third.die(w.t)
		w.await("end of broker 3", func() bool {
			m := w.metadata(12, "three", "two-of-two", "p4")
			led := 0
			for _, p := range m.Topics[2].Partitions {
				if p.Leader >= 0 {
					led++
				}
			}
			return len(m.Brokers) == 2 && m.Topics[0].Partitions[0].Leader == 1 && len(m.Topics[1].Partitions[0].ISR) == 1 && led == 3
		})
		return call{req: produce("two-of-two", 0, newBatch())}
	},
	"Produce: acks=1, ISR of 1 below min.insync.replicas=2 (broker 3 dead)": func(*world) call {
		return call{req: acks(produce("two-of-two", 0, newBatch()), 1)}
	},
	"Produce: only replica is on the dead broker 3":                                 func(*world) call { return call{req: produce("p4", 2, newBatch())} },
	"Fetch: leader epoch 0 given, 1 is current (leader moved from dead broker 3)":   request(fetch(part("three", 0), inEpoch(0))),
	"Fetch: leader epoch 1 given (current)":                                         request(fetch(part("three", 0), inEpoch(1))),
	"Fetch: only replica is on the dead broker 3":                                   request(fetch(part("p4", 2))),
	"Metadata: topic with a partition whose only replica is on the dead broker 3":   request(metadata("p4")),
	"Metadata: v0, topic with replicas 1 and dead 3":                                request(metadata("two")),
	"CreateTopics: replication factor 3 with 2 live brokers":                        createOne("d1", sized(1, 3)),
	"CreateTopics: assignment names the dead broker 3":                              timed("d2", 500, placed(assigned(0, 3))),
	"DeleteTopics: a replica of the topic is on the dead broker 3, timeout 2000 ms": request(deleteTopics(2000, "two")),
	"DeleteTopics: the same again while the deletion is pending":                    request(deleteTopics(2000, "two")),
	"CreateTopics: create a topic whose deletion is pending":                        createOne("two"),
	"CreatePartitions: topic whose deletion is pending":                             request(createPartitions("two", 2)),
	"Produce: topic whose deletion is pending":                                      func(*world) call { return call{req: produce("two", 0, newBatch())} },
}
