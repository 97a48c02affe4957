package produce

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
	"github.com/gregor-mq/gregor/tools/internal/tool"
)

// defaultBatchSize is the size of batches unless the user chooses one. Kafka's 16 KiB, which a broker
// spends most of its time unpacking, are for programs that must bound their memory by partition.
const defaultBatchSize = 256 << 10

// firstSize is the room for records that a batch begins with: a few in each of thousands of partitions must not take the
// memory of thousands of full batches, and wait for one another.
const firstSize = 4 << 10

// maxInFlight is how many requests may be on their way at a time.
const maxInFlight = 32

// producer sends records to the partitions of one topic.
//
// Records are encoded straight into the batch of their partition. A full batch, or one that has lingered,
// is taken by the partition's sender, a goroutine that has one request in flight at a time. So batches
// stay in order whatever is sent again, and while a request is on its way the next batch fills. Only the
// caller of send adds records; memory bounds what waits. Whoever interrupts it ends the context of
// send and calls close, from another goroutine.
//
// Lock order: producer.sending, partition.mu, producer.mu.
type producer struct {
	env       *tool.Env
	client    *kgo.Client
	topic     string
	settings  settings
	memory    *semaphore.Weighted
	inFlight  *semaphore.Weighted
	nodes     nodes
	buffers   sync.Pool                 // *[]byte, of delivered batches
	onFailure func(r record, err error) // called by the senders, one call at a time

	sending    sync.Mutex // held during send and close, for what follows up to turn
	stopped    bool
	partitions map[int32]*partition // those that records were sent to
	sticky     int32                // where records without a key go; -1: to be chosen
	turn       uint32               // of roundRobin
	requests   atomic.Int32         // sent; their number stands for the correlation id in the log
	senders    sync.WaitGroup
	refreshing sync.WaitGroup
	failureMu  sync.Mutex // held while onFailure runs

	mu struct {
		sync.Mutex
		topic   topicMetadata
		reading chan struct{} // closed when a read of the metadata that is under way has ended; nil: none is
	}
}

func newProducer(env *tool.Env, cl *kgo.Client, topic string, s settings) *producer {
	p := &producer{env: env, client: cl, topic: topic, settings: s,
		memory:     semaphore.NewWeighted(s.memory),
		inFlight:   semaphore.NewWeighted(maxInFlight),
		nodes:      nodes{first: s.reconnect, last: s.reconnectMax},
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
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.stopped {
		return nil, uncaught{context.Cause(ctx)}
	}
	known, err := p.ensureMetadata(ctx)
	if err != nil {
		return nil, err
	}
	if n := r.upperBound(); n > p.settings.maxRequestSize {
		return nil, throwable.Newf(throwable.RecordTooLarge, "The message is %d bytes when serialized which is larger "+
			"than %d, which is the value of the max.request.size configuration.", n, p.settings.maxRequestSize)
	}
	if err := p.checkMemory(r.upperBound()); err != nil {
		return nil, err
	}
	index := p.choose(r, known)
	if p.settings.transactional {
		return nil, uncaught{p.refuseTransaction(ctx, r, index)}
	}
	return p.partition(ctx, index).add(ctx, r)
}

// refuseTransaction is what comes of transactional.id: Kafka's console producer begins no transaction. Its record is in a batch
// already when it finds that out, and the tool ends when the batch has expired.
func (p *producer) refuseTransaction(ctx context.Context, r *record, index int32) error {
	refusal := throwable.Newf(throwable.IllegalState, "Cannot add partition %s to transaction before completing a call to initTransactions",
		topic.Partition{Topic: p.topic, Index: index})
	if !p.env.Kafka {
		refusal.Message = "transactional.id is of no use here: as Kafka's console producer, this one begins no transaction. " + refusal.Message
		return refusal
	}
	if _, err := p.partition(ctx, index).add(ctx, r); err != nil {
		return err
	}
	return refusal
}

// uncaught is an error that Kafka's producer throws where others are about a record. It ends the tool.
type uncaught struct{ error }

// checkMemory refuses a record of n bytes for which there is not enough memory, even if nothing else waits. What it takes is
// reckoned as by Kafka's producer, whose memory is that of its batches.
func (p *producer) checkMemory(n int) error {
	memory := p.settings.bufferMemory
	if int64(n) > memory {
		return throwable.Newf(throwable.RecordTooLarge, "The message is %d bytes when serialized which is larger than the total "+
			"memory buffer you have configured with the buffer.memory configuration.", n)
	}
	if size := max(p.settings.nominalBatch, n); int64(size) > memory {
		return uncaught{throwable.Newf(throwable.IllegalArgument, "Attempt to allocate %d bytes, but there is a hard limit of %d on "+
			"memory allocations.", size, memory)}
	}
	return nil
}

// partition returns the state of a partition, and starts its sender when it is used first. That sends what there is also
// when ctx has ended.
func (p *producer) partition(ctx context.Context, index int32) *partition {
	if found, ok := p.partitions[index]; ok {
		return found
	}
	created := newPartition(p, index)
	p.partitions[index] = created
	ctx = context.WithoutCancel(ctx)
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
	interrupted := ctx
	ctx, cancel := context.WithTimeout(ctx, p.settings.maxBlock)
	defer cancel()
	if p.memory.Acquire(ctx, n) != nil {
		if interrupted.Err() != nil {
			return 0, uncaught{context.Cause(interrupted)}
		}
		return 0, throwable.Newf("org.apache.kafka.clients.producer.BufferExhaustedException",
			"Failed to allocate %d bytes within the configured max blocking time %d ms.", max(n, int64(p.settings.nominalBatch)),
			p.settings.maxBlock.Milliseconds())
	}
	return n, nil
}

// grow makes room for size bytes in b, which has less. It returns false if there is no memory.
func (p *producer) grow(b *batch, size int) bool {
	extra := int64(size) - b.reserved
	if !p.memory.TryAcquire(extra) {
		return false
	}
	b.records = append(p.buffer(size), b.records...)
	b.reserved += extra
	return true
}

// buffer returns an empty buffer with room for n bytes.
func (p *producer) buffer(n int) []byte {
	if n > firstSize {
		if used, ok := p.buffers.Get().(*[]byte); ok && cap(*used) >= n {
			return (*used)[:0]
		}
	}
	return make([]byte, 0, n)
}

// flush sends what there is without waiting for more.
func (p *producer) flush() {
	for _, partition := range p.partitions {
		partition.flush()
	}
}

// await sends b and waits until it is delivered, or ctx ends.
func (p *producer) await(ctx context.Context, b *batch) error {
	p.sending.Lock()
	p.flush()
	p.sending.Unlock()
	select {
	case err := <-b.delivered:
		if err != nil {
			return throwable.InFuture(err)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close takes no further record, sends all there is, and returns when every record is delivered or has failed.
func (p *producer) close() {
	p.sending.Lock()
	defer p.sending.Unlock()
	p.stopped = true
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
