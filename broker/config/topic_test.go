package config

import (
	"errors"
	"strings"
	"testing"
)

func defaults(t *testing.T, overrides ...string) *Config {
	t.Helper()
	c, _, err := Load("", overrides)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestInvalidTopics has the answers that Kafka 3.9.2 gave to CreateTopics and AlterConfigs.
func TestInvalidTopics(t *testing.T) {
	tests := []struct {
		name, property, value, want string
	}{
		{"unknown", "no.such", "1", "Unknown topic config name: no.such"},
		{"no name", "", "1", "Unknown topic config name: "},
		{"wrong type", "retention.ms", "abc", "Invalid value abc for configuration retention.ms: Not a number of type LONG"},
		{"out of range", "min.insync.replicas", "0", "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1"},
		{"below -1", "retention.ms", "-5", "Invalid value -5 for configuration retention.ms: Value must be at least -1"},
		{"outside the list", "compression.type", "lzo",
			"Invalid value lzo for configuration compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"},
		{"tiered storage", "remote.storage.enable", "true",
			"Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."},
		{"throttled replicas", "leader.replication.throttled.replicas", "x",
			"Invalid value [x] for configuration leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' " +
				"or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."},
		{"segment size", "segment.bytes", "1", "Invalid value 1 for configuration segment.bytes: Value must be at least 14"},
		{"policy", "cleanup.policy", "foo", "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete"},
		{"ratio", "min.cleanable.dirty.ratio", "1.5", "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1"},
		{"boolean", "preallocate", "1", "Invalid value 1 for configuration preallocate: Expected value to be either true or false"},
		{"32 bits", "segment.bytes", "2147483648", "Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT"},
		{"version", "message.format.version", "9.9", "Invalid value 9.9 for configuration message.format.version: Version 9.9 is not a valid version"},
	}
	c := defaults(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.ValidateTopic([]Override{{Name: tt.property, Value: &tt.value}})
			if _, ok := errors.AsType[*InvalidTopic](err); !ok || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	if _, err := c.ValidateTopic([]Override{{Name: "retention.ms"}, {Name: "no.such"}}); err == nil ||
		err.Error() != "Null value not supported for topic configs: retention.ms,no.such" {
		t.Errorf("null values: %v", err)
	}
	_, err := c.ValidateTopic([]Override{{"min.compaction.lag.ms", new("10")}, {"max.compaction.lag.ms", new("5")}})
	if err == nil || err.Error() != "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)" {
		t.Errorf("conflict: %v", err)
	}
}

func TestTopicOverridesBroker(t *testing.T) {
	c := defaults(t, "log.retention.hours=2", "message.max.bytes=5000", "log.cleanup.policy=compact,delete",
		"log.message.timestamp.difference.max.ms=70", "log.retention.bytes=-5")
	set, err := c.ValidateTopic([]Override{{"max.message.bytes", new(" 6000")}, {"message.timestamp.type", new("LogAppendTime")},
		{"message.timestamp.after.max.ms", new("9")}, {"follower.replication.throttled.replicas", new("*")}})
	if err != nil {
		t.Fatal(err)
	}
	if set["max.message.bytes"] != " 6000" {
		t.Errorf("%q is stored, want the text as it came", set["max.message.bytes"])
	}
	topic, err := c.Topic(set)
	if err != nil {
		t.Fatal(err)
	}
	if topic.MaxMessageBytes != 6000 || !topic.LogAppendTime || topic.TimestampAfterMax != 9 || topic.FollowerThrottled[0] != "*" {
		t.Errorf("the topic's own properties do not count: %+v", topic)
	}
	if topic.RetentionMillis != 7200000 || !topic.Compact || !topic.Delete || topic.TimestampBeforeMax != 70 || topic.RetentionBytes != -5 {
		t.Errorf("the broker's properties do not count: %+v", topic)
	}
	if topic.MessageFormat != 2 || topic.SegmentBytes != 1<<30 || topic.FlushMillis != maxLong {
		t.Errorf("the defaults do not count: %+v", topic)
	}
}

// TestMessageFormat holds to KIP-724: the format of a topic counts only below protocol 3.0.
func TestMessageFormat(t *testing.T) {
	tests := []struct {
		protocol, broker, topic string
		want                    int8
	}{
		{"3.9", "0.9.0", "0.9.0", 2},
		{"2.8", "2.8", "0.10.0", 1},
		{"2.8", "0.9.0", "", 0},
		{"2.8", "0.9.0", "0.11.0", 2},
	}
	for _, tt := range tests {
		c, problems := build(map[string]string{"zookeeper.connect": "z", "inter.broker.protocol.version": tt.protocol, "log.message.format.version": tt.broker})
		set := map[string]string{}
		if tt.topic != "" {
			set["message.format.version"] = tt.topic
		}
		topic, err := c.Topic(set)
		if err != nil {
			t.Fatal(err, problems)
		}
		if topic.MessageFormat != tt.want {
			t.Errorf("protocol %s, broker %s, topic %q: format %d, want %d", tt.protocol, tt.broker, tt.topic, topic.MessageFormat, tt.want)
		}
	}
}

// TestFirstUnknown checks which of several names that topics do not have is named: Kafka goes through a Java map of them.
func TestFirstUnknown(t *testing.T) {
	c, _, err := New(map[string]string{"zookeeper.connect": "none"})
	if err != nil {
		t.Fatal(err)
	}
	for want, names := range map[string]string{
		"quux": "zz.top foo.bar quux retentoin.ms",
		"aaa":  "bbb aaa",
	} {
		set := map[string]string{"retention.ms": "x"}
		for name := range strings.FieldsSeq(names) {
			set[name] = "1"
		}
		if err := c.CheckTopic(set); err == nil || err.Error() != "Unknown topic config name: "+want {
			t.Errorf("%s: %v", names, err)
		}
	}
}
