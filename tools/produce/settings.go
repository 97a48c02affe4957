package produce

import (
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/tools/internal/client"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// producerClass is the class under which Kafka's producer logs.
const producerClass = "org.apache.kafka.clients.producer.KafkaProducer"

// maxIdempotentInFlight is how many requests of an idempotent producer may be on their way at a time in Kafka.
const maxIdempotentInFlight = 5

// settings are the properties that the producer itself needs.
type settings struct {
	batchSize, maxRequestSize   int
	memory                      int64 // for batches of batchSize
	bufferMemory                int64 // buffer.memory, which is for batches of nominalBatch
	nominalBatch                int   // batch.size
	linger, maxBlock            time.Duration
	delivery, request, metadata time.Duration
	backoff                     time.Duration
	reconnect, reconnectMax     time.Duration
	retries                     int
	acks                        int16
	idempotent, transactional   bool
	partitioner                 partitioner
	compressor                  kgo.Compressor
	logContext                  string
}

// newSettings reads the configuration of a producer and refuses what contradicts itself, as Kafka's does before it makes a
// producer.
func newSettings(env *tool.Env, config *clientconf.Config) (settings, error) {
	s := settings{
		batchSize:      defaultBatchSize,
		nominalBatch:   max(config.Int("batch.size"), 1),
		maxRequestSize: config.Int("max.request.size"),
		bufferMemory:   int64(config.Int("buffer.memory")),
		linger:         config.Millis("linger.ms"),
		maxBlock:       config.Millis("max.block.ms"),
		delivery:       config.Millis("delivery.timeout.ms"),
		request:        config.Millis("request.timeout.ms"),
		metadata:       config.Millis("metadata.max.age.ms"),
		backoff:        max(config.Millis("retry.backoff.ms"), time.Millisecond),
		reconnect:      max(config.Millis("reconnect.backoff.ms"), time.Millisecond),
		reconnectMax:   config.Millis("reconnect.backoff.max.ms"),
		retries:        config.Int("retries"),
		acks:           map[string]int16{"all": -1, "-1": -1, "0": 0, "1": 1}[config.String("acks")],
		transactional:  config.Given("transactional.id"),
		partitioner:    newPartitioner(config),
		logContext:     client.LogContext(config),
	}
	if config.Given("batch.size") {
		s.batchSize = s.nominalBatch
	}
	s.memory = max(s.bufferMemory, int64(2*s.batchSize))
	var err error
	if s.idempotent, err = idempotence(env, config, s); err != nil {
		return s, err
	}
	s.compressor, err = compressor(config)
	return s, err
}

// idempotence returns whether the broker shall recognise batches that are sent twice (KIP-98, KIP-679).
func idempotence(env *tool.Env, config *clientconf.Config, s settings) (bool, error) {
	chosen := config.Given("enable.idempotence")
	idempotent := config.Bool("enable.idempotence")
	inFlight := config.Int("max.in.flight.requests.per.connection")
	for _, condition := range []struct {
		broken bool
		text   string
	}{
		{s.retries == 0, "Must set retries to non-zero when using the idempotent producer."},
		{s.acks != -1, "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence."},
		{inFlight > maxIdempotentInFlight, "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer."},
	} {
		if condition.broken && chosen && config.Bool("enable.idempotence") {
			return false, throwable.New(throwable.Config, condition.text)
		}
		idempotent = idempotent && !condition.broken
	}
	if inFlight > maxIdempotentInFlight && !chosen {
		env.Log("WARN", "org.apache.kafka.clients.producer.ProducerConfig", fmt.Sprintf("Idempotence will be disabled because "+
			"max.in.flight.requests.per.connection is set to %d, which is greater than 5. Please note that in v4.0.0 and onward, "+
			"this will become an error.", inFlight))
	}
	if s.transactional && !idempotent {
		return false, throwable.New(throwable.Config, "Cannot set a transactional.id without also enabling idempotence.")
	}
	return idempotent, nil
}

// checkDelivery holds that a batch has the time to wait for records and for an answer. Where delivery.timeout.ms was not given,
// it is made as long as it must be.
func (s *settings) checkDelivery(env *tool.Env, config *clientconf.Config) error {
	needed := min(min(config.Int("linger.ms"), math.MaxInt32)+config.Int("request.timeout.ms"), math.MaxInt32)
	if config.Int("delivery.timeout.ms") >= needed {
		return nil
	}
	const rule = "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms"
	if config.Given("delivery.timeout.ms") {
		return client.Failed(config, throwable.New(throwable.Config, rule))
	}
	env.Log("WARN", producerClass, fmt.Sprintf("%s%s. Setting it to %d.", s.logContext, rule, needed))
	s.delivery = time.Duration(needed) * time.Millisecond
	return nil
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
