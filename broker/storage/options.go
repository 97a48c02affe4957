package storage

import (
	"cmp"
	"errors"
	"math"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Options configure a Manager; a zero field takes the default named beside it.
type Options struct {
	Dirs []string // log.dirs; required, absolute or relative to the working directory
	FS   vfs.FS   // vfs.OS
	// Unusable has those of Dirs that the caller has found to be so, and why: they are offline from the start.
	Unusable map[string]error

	// Defaults is the configuration of topics without one of their own; the zero value takes
	// DefaultLogConfig.
	Defaults LogConfig
	// TopicConfig returns the configuration of a topic whose log is found at start; nil: Defaults for
	// all. It is called by several goroutines at once.
	TopicConfig func(topic string) LogConfig

	RecoveryThreads int // num.recovery.threads.per.data.dir, at start (see loadThreads) and stop: 1
	MaxOpenFiles    int // most files kept open, over all logs, but for those in use if they are more: 1024
	// DescriptorPatience is how long an operation waits that finds no file descriptor left: 10 s; negative: not at all.
	// OnNoDescriptor is called for each such operation, possibly with locks held; nil: nobody is told.
	DescriptorPatience time.Duration
	OnNoDescriptor     func(error)

	CheckpointInterval              time.Duration // log.flush.offset.checkpoint.interval.ms: 60 s
	StartOffsetCheckpointInterval   time.Duration // log.flush.start.offset.checkpoint.interval.ms: 60 s
	HighWatermarkCheckpointInterval time.Duration // replica.high.watermark.checkpoint.interval.ms: 5 s
	RetentionCheckInterval          time.Duration // log.retention.check.interval.ms: 5 min
	FlushCheckInterval              time.Duration // log.flush.scheduler.interval.ms: never
	InitialTaskDelay                time.Duration // log.initial.task.delay.ms: 30 s; negative: none

	ProducerExpiry              time.Duration // producer.id.expiration.ms: 1 day
	ProducerExpiryCheckInterval time.Duration // producer.id.expiration.check.interval.ms: 10 min
	MaxTransactionTimeout       time.Duration // transaction.max.timeout.ms: 15 min

	// Cleaner compacts logs; nil: nobody does (log.cleaner.enable=false), and logs of compacted topics grow.
	Cleaner *CleanerConfig

	// Now is the wall clock that timestamps, retention and expiry are judged by: time.Now.
	Now func() time.Time

	// OnDirFailure is called once for each directory that fails, with its first error;
	// OnAllDirsFailed once the last one has. They are called one after another, without a lock,
	// possibly before Open returns, and must not call Close, which waits for them.
	OnDirFailure    func(dir string, err error)
	OnAllDirsFailed func(err error)

	Logger        logrus.FieldLogger // required
	CleanerLogger logrus.FieldLogger // of the cleaner's events: Logger
}

func (o *Options) setDefaults() error {
	if len(o.Dirs) == 0 || o.Logger == nil {
		return errors.New("storage: Options needs Dirs and Logger")
	}
	if o.FS == nil {
		o.FS = vfs.OS
	}
	if o.Defaults.SegmentBytes == 0 {
		o.Defaults = DefaultLogConfig()
	}
	if o.CleanerLogger == nil {
		o.CleanerLogger = o.Logger
	}
	if o.TopicConfig == nil {
		defaults := o.Defaults
		o.TopicConfig = func(string) LogConfig { return defaults }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.RecoveryThreads = max(1, o.RecoveryThreads)
	o.MaxOpenFiles = cmp.Or(o.MaxOpenFiles, 1024)
	o.DescriptorPatience = cmp.Or(o.DescriptorPatience, 10*time.Second)
	o.CheckpointInterval = cmp.Or(o.CheckpointInterval, time.Minute)
	o.StartOffsetCheckpointInterval = cmp.Or(o.StartOffsetCheckpointInterval, time.Minute)
	o.HighWatermarkCheckpointInterval = cmp.Or(o.HighWatermarkCheckpointInterval, 5*time.Second)
	o.RetentionCheckInterval = cmp.Or(o.RetentionCheckInterval, 5*time.Minute)
	o.FlushCheckInterval = cmp.Or(o.FlushCheckInterval, time.Duration(math.MaxInt64))
	o.InitialTaskDelay = max(0, cmp.Or(o.InitialTaskDelay, 30*time.Second))
	o.ProducerExpiry = cmp.Or(o.ProducerExpiry, 24*time.Hour)
	o.ProducerExpiryCheckInterval = cmp.Or(o.ProducerExpiryCheckInterval, 10*time.Minute)
	o.MaxTransactionTimeout = cmp.Or(o.MaxTransactionTimeout, 15*time.Minute)
	return nil
}
