package server

import (
	"cmp"

	"github.com/gregor-mq/gregor/broker/config"
	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage"
)

// logConfig turns a topic's effective properties into what its logs work by.
func logConfig(t *config.Topic) storage.LogConfig {
	c := storage.DefaultLogConfig()
	c.Policy = policy(t)
	c.Delete, c.Compact = t.Delete, t.Compact
	c.SegmentBytes, c.SegmentMs, c.SegmentJitterMs = t.SegmentBytes, t.SegmentMillis, t.SegmentJitterMillis
	c.SegmentIndexBytes, c.IndexIntervalBytes, c.Preallocate = t.SegmentIndexBytes, t.IndexIntervalBytes, t.Preallocate
	c.RetentionBytes, c.RetentionMs, c.FileDeleteDelayMs = t.RetentionBytes, t.RetentionMillis, t.FileDeleteMillis
	c.FlushMessages, c.FlushMs = t.FlushMessages, t.FlushMillis
	c.MinCompactionLagMs, c.MaxCompactionLagMs = t.MinCompactionLagMs, t.MaxCompactionLagMs
	c.DeleteRetentionMs, c.MinCleanableRatio = t.DeleteRetentionMs, t.MinCleanableRatio
	c.MinInSyncReplicas, c.UncleanLeaderElection, c.DownConversion = t.MinInSyncReplicas, t.UncleanElection, t.DownConversion
	return c
}

// cleanerConfig returns how logs are compacted.
func cleanerConfig(c *config.Config) storage.CleanerConfig {
	return storage.CleanerConfig{
		// 0 asks for none, or for as little as there can be, where a zero field would ask for the default.
		Threads:           cmp.Or(c.Int("log.cleaner.threads"), -1),
		DedupeBufferSize:  c.Int64("log.cleaner.dedupe.buffer.size"),
		LoadFactor:        c.Float("log.cleaner.io.buffer.load.factor"),
		IOBufferSize:      cmp.Or(c.Int("log.cleaner.io.buffer.size"), -1),
		MaxBytesPerSecond: c.Float("log.cleaner.io.max.bytes.per.second"),
		Backoff:           cmp.Or(c.Millis("log.cleaner.backoff.ms"), -1),
	}
}

func policy(t *config.Topic) record.Policy {
	p := record.Policy{
		GzipLevel: t.GzipLevel, LZ4Level: t.LZ4Level, ZstdLevel: t.ZstdLevel,
		TimestampType: record.CreateTime,
		BeforeMax:     t.TimestampBeforeMax, AfterMax: t.TimestampAfterMax,
		Compacted:       t.Compact,
		MaxMessageBytes: t.MaxMessageBytes,
	}
	p.Compression, _ = record.ParseCompression(t.CompressionType) // one of the values that are allowed
	if t.LogAppendTime {
		p.TimestampType = record.LogAppendTime
	}
	return p
}
