package storage

import (
	"cmp"
	"math"
	"time"
)

// CleanerConfig says how logs are compacted; a zero field takes the default named beside it, a negative one the least
// that there can be. See Manager.SetCleaner.
type CleanerConfig struct {
	Threads           int           // log.cleaner.threads: 1
	DedupeBufferSize  int64         // log.cleaner.dedupe.buffer.size, bytes for all threads together: 128 MiB
	LoadFactor        float64       // log.cleaner.io.buffer.load.factor: 0.9
	IOBufferSize      int           // log.cleaner.io.buffer.size, bytes for all threads together: 512 KiB
	MaxBytesPerSecond float64       // log.cleaner.io.max.bytes.per.second, reads and writes of all threads: no limit
	Backoff           time.Duration // log.cleaner.backoff.ms, the pause if there was nothing to clean: 15 s
}

// leastBackoff keeps a backoff of 0 from taking all of a processor.
const leastBackoff = 10 * time.Millisecond

// leastIOBuffer is the least that is read or written at once, whatever is configured.
const leastIOBuffer = 4 << 10

// maxDedupeBuffer is the most memory for keys that one thread uses, as in Kafka.
const maxDedupeBuffer = math.MaxInt32

func (c *CleanerConfig) setDefaults() {
	c.Threads = max(0, cmp.Or(c.Threads, 1))
	c.DedupeBufferSize = cmp.Or(c.DedupeBufferSize, 128<<20)
	c.LoadFactor = cmp.Or(c.LoadFactor, 0.9)
	c.IOBufferSize = cmp.Or(c.IOBufferSize, 512<<10)
	c.MaxBytesPerSecond = cmp.Or(c.MaxBytesPerSecond, math.MaxFloat64)
	c.Backoff = max(leastBackoff, cmp.Or(c.Backoff, 15*time.Second))
}

// dedupeBuffer returns how many bytes for keys one thread has.
func (c *CleanerConfig) dedupeBuffer() int64 {
	return min(c.DedupeBufferSize/int64(max(1, c.Threads)), maxDedupeBuffer)
}

// ioBuffer returns how many bytes one thread reads at once, and as many it may write.
func (c *CleanerConfig) ioBuffer() int {
	return max(c.IOBufferSize/max(1, c.Threads)/2, leastIOBuffer)
}
