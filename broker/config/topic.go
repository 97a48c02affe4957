package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// An Override is a topic property of a request; a nil Value is null.
type Override struct {
	Name  string
	Value *string
}

// Topic is the effective configuration of a topic: its own properties over the broker's
// (LogConfig). Times are in milliseconds, sizes in bytes.
type Topic struct {
	SegmentBytes        int
	SegmentMillis       int64
	SegmentJitterMillis int64
	SegmentIndexBytes   int
	IndexIntervalBytes  int
	FlushMessages       int64 // records between two flushes
	FlushMillis         int64
	RetentionBytes      int64 // negative: unlimited
	RetentionMillis     int64 // -1: unlimited
	FileDeleteMillis    int64 // from a segment's removal to that of its files
	MaxMessageBytes     int
	MinInSyncReplicas   int
	UncleanElection     bool
	Preallocate         bool
	DownConversion      bool

	Compact            bool
	Delete             bool
	DeleteRetentionMs  int64 // how long compaction keeps tombstones
	MinCompactionLagMs int64
	MaxCompactionLagMs int64
	MinCleanableRatio  float64
	CompressionType    string // producer, uncompressed, gzip, snappy, lz4 or zstd
	GzipLevel          int
	LZ4Level           int
	ZstdLevel          int
	LogAppendTime      bool  // message.timestamp.type
	TimestampBeforeMax int64 // how far a record's timestamp may lie before the broker's time
	TimestampAfterMax  int64 // and after it
	MessageFormat      int8  // 0, 1 or 2: the format in which records are written
	LeaderThrottled    []string
	FollowerThrottled  []string
	overridden         map[string]string
	values             map[string]any
}

// An InvalidTopic is a topic configuration that is not accepted: INVALID_CONFIG with Kafka's text.
type InvalidTopic struct {
	Text string
	// Value: what is wrong is one value by itself (a ConfigException), not a name or several values together
	// (an InvalidConfigurationException). AlterConfigs says the one with more words than the other.
	Value bool
}

// Error returns the text.
func (e *InvalidTopic) Error() string { return e.Text }

// topicTable holds the topic properties by name.
var topicTable = func() map[string]*topicProperty {
	t := make(map[string]*topicProperty, len(topicProperties))
	for i := range topicProperties {
		t[topicProperties[i].Name] = &topicProperties[i]
	}
	return t
}()

// A topicProperty is a row of the table of topic properties.
type topicProperty struct {
	Property
	server string // the broker's property that it overrides, "" if there is none
}

// TopicProperties returns the topic properties in the order in which Kafka defines and checks them.
func TopicProperties() []*Property {
	list := make([]*Property, len(topicProperties))
	for i := range topicProperties {
		list[i] = &topicProperties[i].Property
	}
	return list
}

// Topic returns the configuration of a topic that has the given properties of its own. An error is
// an *InvalidTopic; stored configurations are checked less strictly than new ones, see ValidateTopic:
// names that nobody knows may be those of a later version of Kafka, and have no effect.
func (c *Config) Topic(overrides map[string]string) (*Topic, error) {
	values, err := c.topicValues(overrides)
	if err != nil {
		return nil, err
	}
	return newTopic(values, overrides, c.version), nil
}

// ValidateTopic checks the properties of a topic to be created, or the whole of those that an
// existing one would have, and returns them as they are to be stored. An error is an *InvalidTopic.
func (c *Config) ValidateTopic(overrides []Override) (map[string]string, error) {
	var nulls []string
	set := make(map[string]string, len(overrides))
	for _, o := range overrides {
		if o.Value == nil {
			nulls = append(nulls, o.Name)
			continue
		}
		set[o.Name] = *o.Value
	}
	if len(nulls) > 0 {
		return nil, &InvalidTopic{Text: "Null value not supported for topic configs: " + strings.Join(nulls, ",")}
	}
	if err := c.CheckTopic(set); err != nil {
		return nil, err
	}
	return set, nil
}

// CheckTopic is ValidateTopic for properties none of which is null.
func (c *Config) CheckTopic(set map[string]string) error {
	if name, unknown := unknownTopicProperty(set); unknown {
		return &InvalidTopic{Text: "Unknown topic config name: " + name}
	}
	topic, err := c.Topic(set)
	if err != nil {
		return err
	}
	return topic.check()
}

// LookupTopic returns the property of topics called name.
func LookupTopic(name string) (*Property, bool) {
	p, ok := topicTable[name]
	if !ok {
		return nil, false
	}
	return &p.Property, true
}

// unknownTopicProperty returns the name of a property that topics do not have: of several the one that comes first in Java's
// Properties, whose keys are in the order of their hashes.
func unknownTopicProperty(overrides map[string]string) (string, bool) {
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if _, ok := topicTable[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if unknown == nil {
		return "", false
	}
	buckets := 16
	for len(overrides) >= buckets*3/4 {
		buckets *= 2
	}
	return slices.MinFunc(unknown, func(a, b string) int { return bucket(a, buckets) - bucket(b, buckets) }), true
}

// bucket returns where a ConcurrentHashMap, which Properties is made of, puts a key.
func bucket(key string, buckets int) int {
	var hash uint32
	for _, unit := range utf16.Encode([]rune(key)) {
		hash = 31*hash + uint32(unit)
	}
	return int(hash^hash>>16) & (buckets - 1)
}

// topicValues returns all topic properties by name: overrides over the broker's values.
func (c *Config) topicValues(overrides map[string]string) (map[string]any, error) {
	values := make(map[string]any, len(topicProperties))
	for i := range topicProperties {
		p := &topicProperties[i]
		text, overridden := overrides[p.Name]
		if !overridden {
			values[p.Name] = c.topicDefault(p)
			continue
		}
		value, problem := p.read(text)
		if problem != nil {
			return nil, &InvalidTopic{Text: problem.Text, Value: true}
		}
		values[p.Name] = value
	}
	return values, nil
}

// topicDefault returns what p is on topics that do not set it (KafkaConfig.extractLogConfigMap).
func (c *Config) topicDefault(p *topicProperty) any {
	switch p.Name {
	case "segment.ms", "segment.jitter.ms", "flush.ms":
		return c.chain(p.server)
	case "retention.ms":
		return max(c.chain(p.server), -1)
	case "message.timestamp.before.max.ms", "message.timestamp.after.max.ms":
		return limitOr(c.Int64(p.server), c.Int64("log.message.timestamp.difference.max.ms"))
	case "message.format.version":
		return c.messageFormatVersion().String()
	}
	if p.server == "" {
		value, _ := p.Type.parse(p.Default)
		return value
	}
	return c.values[p.server]
}

// limitOr returns the deprecated limit of both directions where the limit of one is not set.
func limitOr(limit, deprecated int64) int64 {
	if limit == maxLong {
		return deprecated
	}
	return limit
}

// messageFormatVersion returns log.message.format.version, which counts only below protocol 3.0 (KIP-724).
func (c *Config) messageFormatVersion() Version {
	if latest := mustVersion("3.0-IV1"); c.version >= latest {
		return latest
	}
	return mustVersion(c.Text("log.message.format.version"))
}

func newTopic(values map[string]any, overrides map[string]string, protocol Version) *Topic {
	long := func(name string) int64 { return values[name].(int64) }
	number := func(name string) int { return int(long(name)) }
	boolean := func(name string) bool { return values[name].(bool) }
	policy := values["cleanup.policy"].([]string)
	format := mustVersion(values["message.format.version"].(string))
	if protocol >= mustVersion("3.0-IV1") {
		format = mustVersion("3.0-IV1")
	}
	difference := long("message.timestamp.difference.max.ms")
	return &Topic{
		SegmentBytes:        number("segment.bytes"),
		SegmentMillis:       long("segment.ms"),
		SegmentJitterMillis: long("segment.jitter.ms"),
		SegmentIndexBytes:   number("segment.index.bytes"),
		IndexIntervalBytes:  number("index.interval.bytes"),
		FlushMessages:       long("flush.messages"),
		FlushMillis:         long("flush.ms"),
		RetentionBytes:      long("retention.bytes"),
		RetentionMillis:     long("retention.ms"),
		FileDeleteMillis:    long("file.delete.delay.ms"),
		MaxMessageBytes:     number("max.message.bytes"),
		MinInSyncReplicas:   number("min.insync.replicas"),
		UncleanElection:     boolean("unclean.leader.election.enable"),
		Preallocate:         boolean("preallocate"),
		DownConversion:      boolean("message.downconversion.enable"),
		Compact:             slices.Contains(policy, "compact"),
		Delete:              slices.Contains(policy, "delete"),
		DeleteRetentionMs:   long("delete.retention.ms"),
		MinCompactionLagMs:  long("min.compaction.lag.ms"),
		MaxCompactionLagMs:  long("max.compaction.lag.ms"),
		MinCleanableRatio:   values["min.cleanable.dirty.ratio"].(float64),
		CompressionType:     values["compression.type"].(string),
		GzipLevel:           number("compression.gzip.level"),
		LZ4Level:            number("compression.lz4.level"),
		ZstdLevel:           number("compression.zstd.level"),
		LogAppendTime:       values["message.timestamp.type"] == "LogAppendTime",
		TimestampBeforeMax:  limitOr(long("message.timestamp.before.max.ms"), difference),
		TimestampAfterMax:   limitOr(long("message.timestamp.after.max.ms"), difference),
		MessageFormat:       format.MessageFormat(),
		LeaderThrottled:     values["leader.replication.throttled.replicas"].([]string),
		FollowerThrottled:   values["follower.replication.throttled.replicas"].([]string),
		overridden:          maps.Clone(overrides),
		values:              values,
	}
}

// check applies the rules that a new configuration must keep (LogConfig.validateTopicLogConfigValues).
func (t *Topic) check() error {
	switch {
	case t.MinCompactionLagMs > t.MaxCompactionLagMs:
		return &InvalidTopic{Text: conflict(t.MinCompactionLagMs, t.MaxCompactionLagMs)}
	case t.values["remote.log.delete.on.disable"].(bool), t.values["remote.log.copy.disable"].(bool):
		return &InvalidTopic{Text: "It is invalid to set `remote.log.delete.on.disable` or `remote.log.copy.disable` under Zookeeper's mode."}
	case t.values["remote.storage.enable"].(bool):
		return &InvalidTopic{Text: "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.", Value: true}
	}
	return nil
}

func conflict(lag, most int64) string {
	return fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)", lag, most)
}
