package storage

import (
	"math"

	"github.com/gregor-mq/gregor/broker/record"
)

// LogConfig holds the topic properties that a log, or the replica above it, works by (Kafka's
// LogConfig). It is immutable once it is given to a log; Log.SetConfig swaps it whole. Fields named
// …Ms are milliseconds, because Kafka's "never" (2^63-1) does not fit into a time.Duration.
type LogConfig struct {
	// Policy is what appended records must satisfy: compression.type and levels,
	// message.timestamp.type, .before.max.ms, .after.max.ms, max.message.bytes, and whether the
	// topic is compacted. The log itself sets Policy.Compacted from Compact and Policy.Partition.
	Policy record.Policy

	Delete  bool // cleanup.policy contains delete
	Compact bool // cleanup.policy contains compact

	SegmentBytes       int   // segment.bytes, >= 14
	SegmentMs          int64 // segment.ms, >= 1
	SegmentJitterMs    int64 // segment.jitter.ms, >= 0
	SegmentIndexBytes  int   // segment.index.bytes, >= 4
	IndexIntervalBytes int   // index.interval.bytes, >= 0
	Preallocate        bool  // preallocate

	RetentionBytes    int64 // retention.bytes; -1: unlimited
	RetentionMs       int64 // retention.ms; -1: unlimited
	FileDeleteDelayMs int64 // file.delete.delay.ms, >= 0

	FlushMessages int64 // flush.messages, >= 1; math.MaxInt64: never
	FlushMs       int64 // flush.ms, >= 0; math.MaxInt64: never

	MinCompactionLagMs int64   // min.compaction.lag.ms, >= 0
	MaxCompactionLagMs int64   // max.compaction.lag.ms, >= 1
	DeleteRetentionMs  int64   // delete.retention.ms, >= 0
	MinCleanableRatio  float64 // min.cleanable.dirty.ratio, 0..1

	// The log itself does not use these; they are for the replica above it.
	MinInSyncReplicas     int  // min.insync.replicas, >= 1
	UncleanLeaderElection bool // unclean.leader.election.enable
	DownConversion        bool // message.downconversion.enable
}

// DefaultLogConfig returns Kafka's defaults.
func DefaultLogConfig() LogConfig {
	return LogConfig{
		Policy: record.Policy{
			Compression:     record.Producer,
			TimestampType:   record.CreateTime,
			BeforeMax:       math.MaxInt64,
			AfterMax:        math.MaxInt64,
			MaxMessageBytes: 1<<20 + record.OverheadSize,
		},
		Delete:             true,
		SegmentBytes:       1 << 30,
		SegmentMs:          7 * 24 * 3600 * 1000,
		SegmentIndexBytes:  10 << 20,
		IndexIntervalBytes: 4096,
		RetentionBytes:     -1,
		RetentionMs:        7 * 24 * 3600 * 1000,
		FileDeleteDelayMs:  60_000,
		FlushMessages:      math.MaxInt64,
		FlushMs:            math.MaxInt64,
		MaxCompactionLagMs: math.MaxInt64,
		DeleteRetentionMs:  24 * 3600 * 1000,
		MinCleanableRatio:  0.5,
		MinInSyncReplicas:  1,
		DownConversion:     true,
	}
}

// maxSegmentMs is the age at which a segment is rolled: for a compacted topic not later than
// max.compaction.lag.ms, since the active segment is never compacted (KIP-354).
func (c *LogConfig) maxSegmentMs() int64 {
	if c.Compact {
		return min(c.SegmentMs, c.MaxCompactionLagMs)
	}
	return c.SegmentMs
}

// maxJitterMs bounds the random part by which a segment is rolled early.
func (c *LogConfig) maxJitterMs() int64 { return min(c.SegmentJitterMs, c.SegmentMs) }
