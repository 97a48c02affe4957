package server

import (
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
