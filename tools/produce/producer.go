package produce

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// defaultBatchSize is the size of batches unless the user chooses one. Kafka's 16 KiB, which a broker
// spends most of its time unpacking, are for programs that must bound their memory by partition.
const defaultBatchSize = 256 << 10

// producer sends records to the partitions of one topic.
//
// Records are encoded straight into the batch of their partition. A full batch, or one that has lingered,
// is taken by the partition's sender, a goroutine that has one request in flight at a time. So batches
// stay in order whatever is sent again, and while a request is on its way the next batch fills. Only the
// caller of send adds records; memory bounds what waits.
//
// Lock order: partition.mu, producer.mu.
type producer struct {
	env       *tool.Env
	client    *kgo.Client
	topic     string
	settings  settings
	memory    *semaphore.Weighted
	buffers   sync.Pool                 // *[]byte, of delivered batches
	onFailure func(r record, err error) // called by the senders, one call at a time

	partitions map[int32]*partition // those that records were sent to; only the caller's
	sticky     int32                // where records without a key go; -1: to be chosen
	requests   atomic.Int32         // sent; their number stands for the correlation id in the log
	senders    sync.WaitGroup
	failureMu  sync.Mutex // held while onFailure runs

	mu struct {
		sync.Mutex
		topic topicMetadata
	}
}

// settings are the properties that the producer itself needs.
type settings struct {
	batchSize, maxRequestSize   int
	memory                      int64
	linger, maxBlock            time.Duration
	delivery, request, metadata time.Duration
	backoff                     time.Duration
	retries                     int
	acks                        int16
	idempotent                  bool
	compressor                  kgo.Compressor
	logContext                  string
}

// newSettings reads the configuration of a producer and refuses what contradicts itself, as Kafka's does.
func newSettings(config *clientconf.Config) (settings, error) {
	s := settings{
		batchSize:      defaultBatchSize,
		maxRequestSize: config.Int("max.request.size"),
		memory:         int64(config.Int("buffer.memory")),
		linger:         config.Millis("linger.ms"),
		maxBlock:       config.Millis("max.block.ms"),
		delivery:       config.Millis("delivery.timeout.ms"),
		request:        config.Millis("request.timeout.ms"),
		metadata:       config.Millis("metadata.max.age.ms"),
		backoff:        max(config.Millis("retry.backoff.ms"), time.Millisecond),
		retries:        config.Int("retries"),
		acks:           map[string]int16{"all": -1, "-1": -1, "0": 0, "1": 1}[config.String("acks")],
		logContext:     client.LogContext(config),
	}
	if config.Given("batch.size") {
		s.batchSize = max(config.Int("batch.size"), 1)
	}
	s.memory = max(s.memory, int64(2*s.batchSize))
	var err error
	if s.idempotent, err = idempotence(config, s); err != nil {
		return s, err
	}
	s.compressor, err = compressor(config)
	return s, err
}

// idempotence returns whether the broker shall recognise batches that are sent twice (KIP-98, KIP-679).
func idempotence(config *clientconf.Config, s settings) (bool, error) {
	chosen := config.Given("enable.idempotence")
	if chosen && !config.Bool("enable.idempotence") {
		return false, nil
	}
	switch {
	case s.acks != -1 && chosen:
		return false, throwable.New(throwable.Config, "Must set acks to all in order to use the idempotent producer. "+
			"Otherwise we cannot guarantee idempotence.")
	case s.retries == 0 && chosen:
		return false, throwable.New(throwable.Config, "Must set retries to non-zero when using the idempotent producer.")
	}
	return s.acks == -1 && s.retries > 0, nil
}

// compressor returns what compresses batches, nil for nothing.
func compressor(config *clientconf.Config) (kgo.Compressor, error) {
	codec, given := kgo.NoCompression(), ""
	switch config.String("compression.type") {
	case "none":
		return nil, nil
	case "gzip":
		codec, given = kgo.GzipCompression(), "compression.gzip.level"
	case "snappy":
		codec = kgo.SnappyCompression()
	case "lz4":
		codec, given = kgo.Lz4Compression(), "compression.lz4.level"
	case "zstd":
		codec, given = kgo.ZstdCompression(), "compression.zstd.level"
	}
	if given != "" && config.Given(given) {
		codec = codec.WithLevel(config.Int(given))
	}
	return kgo.DefaultCompressor(codec)
}

func newProducer(env *tool.Env, cl *kgo.Client, topic string, s settings) *producer {
	p := &producer{env: env, client: cl, topic: topic, settings: s,
		memory:     semaphore.NewWeighted(s.memory),
		partitions: map[int32]*partition{},
		sticky:     -1,
	}
	p.onFailure = func(r record, err error) {
		env.LogError("org.apache.kafka.clients.producer.internals.ErrorLoggingCallback",
			fmt.Sprintf("Error when sending message to topic %s with key: %s, value: %s with error:", topic, size(r.key), size(r.value)), err)
	}
	return p
}

func size(field []byte) string {
	if field == nil {
		return "null"
	}
	return fmt.Sprintf("%d bytes", len(field))
}

// send adds r, whose fields it copies, to the batch of its partition. It waits for metadata and for memory;
// what it returns is about r alone.
func (p *producer) send(ctx context.Context, r *record) (*batch, error) {
	known, err := p.ensureMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if n := r.upperBound(); n > p.settings.maxRequestSize {
		return nil, throwable.Newf(throwable.RecordTooLarge, "The message is %d bytes when serialized which is larger "+
			"than %d, which is the value of the max.request.size configuration.", n, p.settings.maxRequestSize)
	}
	return p.partition(ctx, p.choose(r, known)).add(ctx, r)
}

// choose returns the partition of a record: by the hash of its key as Kafka's clients choose it, or, without
// a key, one partition until its batch is full (KIP-480).
func (p *producer) choose(r *record, known topicMetadata) int32 {
	if r.key != nil {
		return int32(int(murmur2(r.key)&0x7fffffff) % known.count)
	}
	if p.sticky < 0 || int(p.sticky) >= known.count {
		p.sticky = int32(rand.IntN(known.count))
		if led := known.led(); len(led) > 0 {
			p.sticky = led[rand.IntN(len(led))]
		}
	}
	return p.sticky
}

// partition returns the state of a partition, and starts its sender when it is used first.
func (p *producer) partition(ctx context.Context, index int32) *partition {
	if found, ok := p.partitions[index]; ok {
		return found
	}
	created := newPartition(p, index)
	p.partitions[index] = created
	p.senders.Go(func() { created.run(ctx) })
	return created
}

// reserve takes memory for a batch of n bytes. If there is not enough, all batches are sent as they are.
func (p *producer) reserve(ctx context.Context, n int64) (int64, error) {
	n = min(n, p.settings.memory)
	if p.memory.TryAcquire(n) {
		return n, nil
	}
	p.flush()
	ctx, cancel := context.WithTimeout(ctx, p.settings.maxBlock)
	defer cancel()
	if p.memory.Acquire(ctx, n) != nil {
		return 0, throwable.Newf("org.apache.kafka.clients.producer.BufferExhaustedException",
			"Failed to allocate %d bytes within the configured max blocking time %d ms.", n, p.settings.maxBlock.Milliseconds())
	}
	return n, nil
}

// buffer returns an empty buffer with room for n bytes.
func (p *producer) buffer(n int) []byte {
	if used, ok := p.buffers.Get().(*[]byte); ok && cap(*used) >= n {
		return (*used)[:0]
	}
	return make([]byte, 0, n)
}

// flush sends what there is without waiting for more.
func (p *producer) flush() {
	for _, partition := range p.partitions {
		partition.flush()
	}
}

// close sends all there is and returns when every record is delivered or has failed.
func (p *producer) close() {
	for _, partition := range p.partitions {
		partition.close()
	}
	p.senders.Wait()
}

// fail reports every record of b.
func (p *producer) fail(b *batch, errorOf func(index int) error) {
	p.failureMu.Lock()
	defer p.failureMu.Unlock()
	b.each(func(i int, r record) { p.onFailure(r, errorOf(i)) })
}
