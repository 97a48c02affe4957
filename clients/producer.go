package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/semaphore"
)

var (
	// ErrBufferExhausted reports that buffer.memory was full for max.block.ms (BufferExhaustedException).
	ErrBufferExhausted = errors.New("failed to allocate memory within max.block.ms: buffer.memory is full of records that are not delivered yet")
	// ErrRecordTooLarge reports a record that exceeds batch.size or buffer.memory (RecordTooLargeException).
	ErrRecordTooLarge = errors.New("record is too large")
	// ErrClosed reports the use of a client after Close.
	ErrClosed = errors.New("client is closed")
)

// producerSettings are a producer's properties.
type producerSettings struct {
	servers      []string
	clientID     string
	acks         kafka.RequiredAcks
	linger       time.Duration
	batchSize    int64
	bufferMemory int64
	maxBlock     time.Duration
	compression  kafka.Compression
	retries      int64
	backoff      time.Duration
	backoffMax   time.Duration
	timeout      time.Duration
}

var acksByName = map[string]kafka.RequiredAcks{"0": kafka.RequireNone, "1": kafka.RequireOne, "all": kafka.RequireAll, "-1": kafka.RequireAll}

var codecsByName = map[string]kafka.Compression{"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd}

func readProducer(p Properties) (producerSettings, error) {
	r := read(p)
	s := producerSettings{
		servers:      r.servers(),
		clientID:     r.text("client.id", ""),
		acks:         acksByName[r.oneOf("acks", "all", "0", "1", "all", "-1")],
		linger:       r.millis("linger.ms", 5, 0),
		batchSize:    r.number("batch.size", 1<<20, 1, math.MaxInt32),
		bufferMemory: r.number("buffer.memory", 32<<20, 1, math.MaxInt64),
		maxBlock:     r.millis("max.block.ms", 60_000, 0),
		compression:  codecsByName[r.oneOf("compression.type", "none", "none", "gzip", "snappy", "lz4", "zstd")],
		retries:      r.number("retries", 10, 0, math.MaxInt32),
		backoff:      r.millis("retry.backoff.ms", 100, 0),
		backoffMax:   r.millis("retry.backoff.max.ms", 1000, 0),
		timeout:      r.millis("request.timeout.ms", 30_000, 1),
	}
	r.number("max.in.flight.requests.per.connection", 5, 1, math.MaxInt32) // see the package's doc
	if r.boolean("enable.idempotence", false) {
		r.refuse("enable.idempotence", "true", "false: kafka-go has no idempotent producer")
	}
	return s, r.finish("producer")
}

// Producer sends records. Its methods may be called from any goroutine.
//
// Records wait in buffer.memory until they are delivered or given up; when that is full, Send blocks, at
// most for max.block.ms.
type Producer struct {
	settings  producerSettings
	writer    *kafka.Writer
	transport *kafka.Transport    // the writer's, which leaves it open
	buffer    *semaphore.Weighted // bytes of records that are not delivered

	mu struct {
		sync.Mutex
		closed bool
		open   int           // records that are not delivered
		idle   chan struct{} // closed when open falls to 0; nil while nobody waits
	}
}

// NewProducer returns a producer with the properties, which are:
//
//	bootstrap.servers     host:port,...; required
//	client.id             shown in the broker's log
//	acks                  all (default), 1, 0
//	linger.ms             how long a batch waits for more records: 5
//	batch.size            bytes of a batch of one partition, and so of a record: 1048576
//	buffer.memory         bytes of records that are not delivered yet, each counted as a batch of its own: 33554432
//	max.block.ms          how long Send waits for room in the buffer and for the topic's partitions: 60000
//	compression.type      none (default), gzip, snappy, lz4, zstd
//	retries               10
//	retry.backoff.ms      pause before the first retry: 100
//	retry.backoff.max.ms  and the longest one: 1000
//	request.timeout.ms    how long a request may take: 30000
//	max.in.flight.requests.per.connection, enable.idempotence    see the package's doc
//
// It does not connect before the first record.
func NewProducer(p Properties) (*Producer, error) {
	s, err := readProducer(p)
	if err != nil {
		return nil, err
	}
	producer := &Producer{
		settings: s, transport: &kafka.Transport{ClientID: s.clientID}, buffer: semaphore.NewWeighted(s.bufferMemory),
	}
	producer.writer = &kafka.Writer{
		Addr:                   kafka.TCP(s.servers...),
		Balancer:               partitioner{},
		MaxAttempts:            int(min(s.retries, math.MaxInt32-1)) + 1,
		WriteBackoffMin:        max(s.backoff, time.Nanosecond),
		WriteBackoffMax:        max(s.backoffMax, s.backoff, time.Nanosecond),
		BatchSize:              batchRecords,
		BatchBytes:             s.batchSize,
		BatchTimeout:           max(s.linger, time.Nanosecond),
		ReadTimeout:            s.timeout,
		WriteTimeout:           s.timeout,
		RequiredAcks:           s.acks,
		Async:                  true,
		Completion:             producer.completed,
		Compression:            s.compression,
		Transport:              producer.transport,
		AllowAutoTopicCreation: true,
	}
	return producer, nil
}

// batchRecords is the most records of a batch. kafka-go makes room for as many when a batch begins.
const batchRecords = 1000

// delivery is what goes with a record until it is delivered.
type delivery struct {
	size      int64
	partition *int // that was asked for
	placed    int  // the one that it was given
	done      func(RecordMetadata, error)
}

// Send queues a record and returns once it is in the buffer. done, unless it is nil, is called once, on
// a goroutine of the producer's, when the record is delivered or given up; it must not block. The record's
// slices must not be changed before. If Send returns an error, done is not called.
//
// Errors: ErrBufferExhausted, ErrRecordTooLarge, ErrClosed, ctx's, and kafka-go's if the topic's partitions
// cannot be had within max.block.ms.
func (p *Producer) Send(ctx context.Context, r Record, done func(RecordMetadata, error)) error {
	d := &delivery{size: r.sizeBound(), partition: r.Partition, done: done}
	if d.size > p.settings.bufferMemory {
		return fmt.Errorf("%w: %d bytes do not fit into buffer.memory, which has %d", ErrRecordTooLarge, d.size, p.settings.bufferMemory)
	}
	if r.Topic == "" {
		return errors.New("send: the record has no topic")
	}
	if r.Partition != nil && *r.Partition < 0 {
		return fmt.Errorf("send to topic %s: there is no partition %d", r.Topic, *r.Partition)
	}
	if !p.enter() {
		return ErrClosed
	}
	if err := p.queue(ctx, r, d); err != nil {
		p.leave(1)
		return err
	}
	return nil
}

// queue puts a record into the buffer and hands it to the writer.
func (p *Producer) queue(ctx context.Context, r Record, d *delivery) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	blocking, cancel := context.WithTimeout(ctx, p.settings.maxBlock)
	defer cancel()
	if !p.buffer.TryAcquire(d.size) {
		if err := p.buffer.Acquire(blocking, d.size); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return ErrBufferExhausted
		}
	}
	if r.Timestamp.IsZero() {
		r.Timestamp = time.Now()
	}
	err := p.write(blocking, kafka.Message{
		Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.headers(), Time: r.Timestamp, WriterData: d,
	})
	if err == nil {
		return nil
	}
	p.buffer.Release(d.size)
	if _, ok := errors.AsType[kafka.MessageTooLargeError](err); ok {
		return fmt.Errorf("%w: it exceeds batch.size, which is %d", ErrRecordTooLarge, p.settings.batchSize)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("send to topic %s: %w", r.Topic, err)
}

// write hands a message to the writer. While its topic has no leaders, because it is just being created, say, or no
// broker can be reached, it goes on trying until ctx ends, and returns what the last attempt has found. As in Kafka's
// client, only a topic that cannot or must not be written ends it before: a broker that has just started may say that
// there are too few brokers.
func (p *Producer) write(ctx context.Context, m kafka.Message) error {
	backoff, last := max(p.settings.backoff, time.Millisecond), error(nil)
	for {
		err := p.writer.WriteMessages(ctx, m)
		if last != nil && errors.Is(err, context.DeadlineExceeded) {
			return last
		}
		refused, ok := errors.AsType[kafka.Error](err)
		switch {
		case ok && refused != kafka.InvalidTopic && refused != kafka.TopicAuthorizationFailed:
		case !ok && outOfReach(err):
			p.transport.CloseIdleConnections() // or it goes on answering with this error, for up to 6 s
		default:
			return err
		}
		if !pause(ctx, backoff) {
			return err
		}
		last, backoff = err, min(2*backoff, max(p.settings.backoff, p.settings.backoffMax))
	}
}

// outOfReach reports whether err says that a broker could not be reached, or has gone, and another attempt may
// find one. A name that nobody knows is not for that.
func outOfReach(err error) bool {
	if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return false
	}
	_, network := errors.AsType[net.Error](err)
	return network && !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// pause waits for d; it returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// completed is called by the writer with each batch.
func (p *Producer) completed(messages []kafka.Message, err error) {
	for i := range messages {
		m := &messages[i]
		d := m.WriterData.(*delivery)
		p.buffer.Release(d.size)
		if d.done == nil {
			continue
		}
		at := RecordMetadata{
			Topic: m.Topic, Partition: d.placed, Offset: -1, Timestamp: m.Time,
			SerializedKeySize: len(m.Key), SerializedValueSize: len(m.Value),
		}
		if err == nil && p.settings.acks != kafka.RequireNone {
			at.Offset = m.Offset
		}
		d.done(at, err)
	}
	p.leave(len(messages))
}

// SendSync sends a record and waits until it is delivered. It waits for linger.ms as any other. If ctx ends
// while it waits, the record may still be delivered.
func (p *Producer) SendSync(ctx context.Context, r Record) (RecordMetadata, error) {
	type outcome struct {
		metadata RecordMetadata
		err      error
	}
	done := make(chan outcome, 1)
	if err := p.Send(ctx, r, func(m RecordMetadata, err error) { done <- outcome{m, err} }); err != nil {
		return RecordMetadata{}, err
	}
	select {
	case o := <-done:
		return o.metadata, o.err
	case <-ctx.Done():
		return RecordMetadata{}, ctx.Err()
	}
}

// enter counts a record as open.
func (p *Producer) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return false
	}
	p.mu.open++
	return true
}

// leave counts n records as delivered or given up.
func (p *Producer) leave(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.open -= n; p.mu.open == 0 && p.mu.idle != nil {
		close(p.mu.idle)
		p.mu.idle = nil
	}
}

// Flush waits until every record that was sent is delivered or given up. It does not make batches leave before
// linger.ms has passed.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	if p.mu.open == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.mu.idle == nil {
		p.mu.idle = make(chan struct{})
	}
	idle := p.mu.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close takes no more records, delivers those that were sent, as far as ctx allows, and ends. It must be
// called once nobody is within Send any more, or such a Send may fail with io.ErrClosedPipe.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.mu.closed = true
	p.mu.Unlock()
	closed := make(chan error, 1)
	go func() {
		err := p.writer.Close() // delivers what it holds, with all its retries
		p.transport.CloseIdleConnections()
		closed <- err
	}()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// partitioner places records as Kafka's default partitioner, and where they ask to be.
type partitioner struct{}

var murmur kafka.Murmur2Balancer

// Balance implements kafka.Balancer.
func (partitioner) Balance(m kafka.Message, partitions ...int) int {
	d := m.WriterData.(*delivery)
	if d.partition != nil {
		d.placed = *d.partition // one that there is not is refused by the broker
	} else {
		d.placed = murmur.Balance(m, partitions...)
	}
	return d.placed
}
