package storage

import (
	"fmt"
	"math"
	"time"
)

// report logs what a cleaning has done, as Kafka does but in one line (LogCleaner.recordStats).
func (x *cleaning) report() {
	log := x.log.env.cleanerLogger()
	s := &x.stats
	took, indexing := x.ended.Sub(x.began), x.indexed.Sub(x.began)
	log.Infof("Log cleaner thread %d cleaned log %s (dirty section = [%d, %d]): "+
		"%s of log processed in %.1f seconds (%s); indexed %s in %.1f seconds (%s, %.1f%% of total time); "+
		"buffer utilization: %.1f%%; cleaned %s in %.1f seconds (%s, %.1f%% of total time); "+
		"start size: %s (%d messages); end size: %s (%d messages); %.1f%% size reduction (%.1f%% fewer messages)",
		x.thread, x.log.partition, x.firstDirty, x.upTo,
		megabytes(s.Bytes), took.Seconds(), rate(s.Bytes, took),
		megabytes(s.IndexBytes), indexing.Seconds(), rate(s.IndexBytes, indexing), percent(indexing.Seconds(), took.Seconds()),
		100*x.keys.Utilization(),
		megabytes(s.Bytes), (took - indexing).Seconds(), rate(s.Bytes, took-indexing), percent((took-indexing).Seconds(), took.Seconds()),
		megabytes(s.Bytes), s.Records, megabytes(s.KeptBytes), s.KeptRecords,
		100-percent(float64(s.KeptBytes), float64(s.Bytes)), 100-percent(float64(s.KeptRecords), float64(s.Records)))
	if x.delayed > 0 {
		log.Infof("Cleanable partitions: %d, Delayed partitions: %d, max delay: %d", x.cleanable, x.delayed, x.maxDelayMs)
	}
	if s.NoKey > 0 {
		log.Warnf("Found %d invalid messages during compaction of log %s: they have no key.", s.NoKey, x.log.partition)
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }

func rate(n int64, d time.Duration) string {
	return fmt.Sprintf("%.1f MB/sec", float64(n)/(1<<20)/math.Max(d.Seconds(), 1e-9))
}

// percent returns a share of a total; all of nothing is 100.
func percent(share, total float64) float64 {
	if total <= 0 {
		return 100
	}
	return 100 * share / total
}
