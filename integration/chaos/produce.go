package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
)

// The producers' numbers. A plain one has no idempotence and may leave duplicates when it sends again;
// the pipelined one never sends again. Each session of an idempotent one has a number of its own.
const (
	plainProducer int32 = iota + 1
	pipelinedProducer
	firstSession int32 = 101
)

// guarantee returns what a producer's records may become.
func guarantee(producer int32) history.Guarantee {
	switch {
	case producer >= firstSession:
		return history.Idempotent
	case producer == pipelinedProducer:
		return history.Once
	}
	return history.Repeats
}

// sessions numbers the sessions of idempotent producers.
type sessions struct{ begun atomic.Int32 }

func (s *sessions) next() int32  { return firstSession - 1 + s.begun.Add(1) }
func (s *sessions) count() int32 { return s.begun.Load() }

// clientTimeout is what clients wait for an answer; it must be more than what a broker needs to
// fail over.
const clientTimeout = 8 * time.Second

// pace is how a producer works: every so often up to burst records for a partition of each topic.
type pace struct {
	every time.Duration
	burst int
}

// The paces. A steady producer has records on their way at any time, so also when a leader dies.
var (
	bursts = pace{50 * time.Millisecond, 10}
	steady = pace{4 * time.Millisecond, 1}
)

// A producer sends records to all partitions of its topics with a franz-go client.
type producer struct {
	number   int32        // of this session
	numbers  func() int32 // of those to come
	topics   []string
	opts     []kgo.Opt
	client   *kgo.Client // run's and finish's
	recorder *history.Recorder
	say      func(string, ...any)
	pace     pace

	mu struct {
		sync.Mutex
		broken  error // why the client will produce no more
		next    map[history.Partition]int32
		pending map[history.Partition][2][]history.Run // acknowledged, unknown
		acked   map[history.Partition]time.Time        // the last acknowledgement
	}
}

func newProducer(numbers func() int32, topics []string, w *world, r *history.Recorder, log io.Writer, pace pace, opts ...kgo.Opt) (*producer, error) {
	number := numbers()
	opts = append([]kgo.Opt{
		kgo.SeedBrokers(w.addrs()...),
		cluster.Dialer(w.clients[int(number)%len(w.clients)]),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(5 * time.Millisecond),
		kgo.MaxBufferedRecords(3000),
		kgo.ProducerBatchMaxBytes(20 << 10), // a batch must fit into a segment
		kgo.RequestTimeoutOverhead(2 * time.Second),
		kgo.ProduceRequestTimeout(clientTimeout),
		kgo.RetryTimeout(clientTimeout),
		kgo.MetadataMinAge(250 * time.Millisecond),
		// It would begin a new epoch and send everything again that has no answer.
		kgo.StopProducerOnDataLossDetected(),
		kgo.WithLogger(kgo.BasicLogger(log, kgo.LogLevelInfo, func() string {
			return fmt.Sprintf("%s producer %d ", time.Now().UTC().Format("15:04:05.000"), number)
		})),
	}, opts...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	p := &producer{number: number, numbers: numbers, topics: topics, opts: opts, client: client, recorder: r, say: w.say, pace: pace}
	p.mu.next = make(map[history.Partition]int32)
	p.mu.pending = make(map[history.Partition][2][]history.Run)
	p.mu.acked = make(map[history.Partition]time.Time)
	return p, nil
}

// run produces until ctx ends; then finish waits for what is on its way.
func (p *producer) run(ctx context.Context) {
	ticker := time.NewTicker(p.pace.every)
	defer ticker.Stop()
	for flushed := time.Now(); ctx.Err() == nil; {
		p.renew()
		for _, topic := range p.topics {
			part := history.Partition{Topic: topic, Index: rand.Int32N(topics[topic])}
			for range 1 + rand.IntN(p.pace.burst) {
				p.send(ctx, part)
			}
		}
		if time.Since(flushed) > 200*time.Millisecond {
			flushed = time.Now()
			p.note()
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// renew begins a new session after a sequence error, under a new number, with a new client and so a new producer
// id: the records that had no answer by then have an unknown outcome.
func (p *producer) renew() {
	p.mu.Lock()
	broken := p.mu.broken
	p.mu.Unlock()
	if broken == nil {
		return
	}
	p.client.Close() // fails what is left
	p.note()
	client, err := kgo.NewClient(p.opts...)
	if err != nil {
		panic(err) // the options were good before
	}
	number := p.numbers()
	p.say("producer %d begins anew as %d: %v", p.number, number, broken)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client, p.number = client, number
	p.mu.broken = nil // of what Close has failed before
	clear(p.mu.next)
}

// sequenceError reports whether a broker has said that it knows less, or other, than the producer: kgo then
// refuses all further records. A leader that was restarted in order may do so: of each producer, it remembers
// the last batch alone, as Kafka's snapshots do.
func sequenceError(err error) bool {
	return errors.Is(err, kerr.OutOfOrderSequenceNumber) || errors.Is(err, kerr.UnknownProducerID) || errors.Is(err, kerr.InvalidProducerEpoch)
}

// send produces one record; it waits while the client's buffer is full.
func (p *producer) send(ctx context.Context, part history.Partition) {
	p.mu.Lock()
	id := history.ID{Producer: p.number, Sequence: p.mu.next[part]}
	p.mu.next[part]++
	p.mu.Unlock()
	record := &kgo.Record{Topic: part.Topic, Partition: part.Index, Value: history.Value(part, id, 60+rand.IntN(200))}
	if compacted(part.Topic) {
		record.Key = []byte(history.Key(id))
		if history.Deletes(id) {
			record.Value, record.Headers = nil, []kgo.RecordHeader{{Key: history.NoteHeader, Value: record.Value}}
		}
	}
	p.client.Produce(ctx, record, func(r *kgo.Record, err error) { p.done(part, id, r.Offset, err) })
}

func (p *producer) done(part history.Partition, id history.ID, offset int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pending := p.mu.pending[part]
	if err == nil {
		pending[0] = history.AppendRun(pending[0], id, offset)
		p.mu.acked[part] = time.Now()
	} else {
		pending[1] = history.AppendRun(pending[1], id, -1)
		if sequenceError(err) && id.Producer == p.number { // not of the session before, whose records end one after the other
			p.mu.broken = err
		}
	}
	p.mu.pending[part] = pending
}

// note hands what has come in to the recorder.
func (p *producer) note() {
	p.mu.Lock()
	pending := p.mu.pending
	p.mu.pending = make(map[history.Partition][2][]history.Run)
	p.mu.Unlock()
	for part, runs := range pending {
		for i, kind := range []history.Kind{history.Acked, history.Unknown} {
			if len(runs[i]) > 0 {
				p.recorder.Add(history.Event{Kind: kind, Client: p.number, Partition: part, Runs: runs[i], Epoch: -1})
			}
		}
	}
}

// finish waits until every record has its outcome.
func (p *producer) finish(ctx context.Context) error {
	err := p.client.Flush(ctx)
	buffered := p.client.BufferedProduceRecords()
	p.client.Close() // fails what is left
	p.note()
	if err != nil {
		return fmt.Errorf("producer %d still has %d records without an outcome: %w", p.number, buffered, context.Cause(ctx))
	}
	return nil
}

// stalled says which partitions have taken nothing of the producer since a time; nothing is all right.
func (p *producer) stalled(since time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, topic := range p.topics {
		for index := range topics[topic] {
			part := history.Partition{Topic: topic, Index: index}
			if p.mu.acked[part].Before(since) {
				return fmt.Sprintf("nothing of producer %d is acknowledged by %v", p.number, part)
			}
		}
	}
	return ""
}
