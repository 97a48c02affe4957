package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
)

// The consumers' numbers.
const (
	leaderConsumer  int32 = iota + 11
	nearestConsumer       // reads from the replicas of a rack (KIP-392)
	plainConsumer         // and on, one for each topic
)

// positions is how far a consumer has come.
type positions struct {
	mu   sync.Mutex
	next map[history.Partition]int64
}

func (p *positions) set(part history.Partition, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(map[history.Partition]int64)
	}
	p.next[part] = next
}

func (p *positions) get(part history.Partition) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next[part]
}

// A consumer reads everything from the start with a franz-go client.
type consumer struct {
	positions
	number   int32
	client   *kgo.Client
	recorder *history.Recorder
}

func newConsumer(number int32, w *world, r *history.Recorder, opts ...kgo.Opt) (*consumer, error) {
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(w.addrs()...), cluster.Dialer(w.clients[0]),
		kgo.ConsumeTopics(slices.Collect(maps.Keys(topics))...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.RequestTimeoutOverhead(3*time.Second),
		kgo.RetryTimeout(clientTimeout),
		kgo.RecheckPreferredReplicaInterval(5*time.Second),
		kgo.MetadataMinAge(250*time.Millisecond))...)
	return &consumer{number: number, client: client, recorder: r}, err
}

func (c *consumer) run(ctx context.Context) {
	defer c.client.Close()
	for ctx.Err() == nil {
		c.client.PollFetches(ctx).EachPartition(func(f kgo.FetchTopicPartition) {
			if len(f.Records) == 0 {
				return
			}
			part := history.Partition{Topic: f.Topic, Index: f.Partition}
			e := history.Event{Kind: history.Polled, Client: c.number, Partition: part, HighWatermark: f.HighWatermark, Epoch: -1}
			for _, rec := range f.Records {
				e.Runs = appendValue(e.Runs, part, rec.Value, rec.Offset)
			}
			c.recorder.Add(e)
			c.set(part, f.Records[len(f.Records)-1].Offset+1)
		})
	}
}

// appendValue adds a record that was read. One that is none of ours gets a producer that does not exist.
func appendValue(runs []history.Run, part history.Partition, value []byte, offset int64) []history.Run {
	p, id, err := history.Parse(value)
	if err != nil || p != part {
		id = history.ID{Producer: -1}
	}
	return history.AppendRun(runs, id, offset)
}

// A reader reads a topic from the start, partition after partition, and knows under which leader epoch it
// asks: a leader that has been replaced refuses it (KIP-320).
type reader struct {
	positions
	number   int32
	topic    string
	client   *kgo.Client
	recorder *history.Recorder
	leaders  map[int32]leadership
}

type leadership struct{ broker, epoch int32 }

func newReader(number int32, topic string, w *world, r *history.Recorder) (*reader, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.addrs()...), cluster.Dialer(w.clients[1]), kgo.RequestRetries(0),
		kgo.MaxVersions(kversion.V2_4_0()), // Fetch v11, ListOffsets v5: topics have names
		kgo.RequestTimeoutOverhead(3*time.Second), kgo.RetryTimeout(clientTimeout))
	return &reader{number: number, topic: topic, client: client, recorder: r, leaders: make(map[int32]leadership)}, err
}

func (r *reader) run(ctx context.Context) {
	defer r.client.Close()
	for round := 0; ctx.Err() == nil; round++ {
		stale := false
		for index := range topics[r.topic] {
			ok := r.fetch(ctx, index)
			if ok && round%10 == 0 {
				ok = r.latest(ctx, index)
			}
			stale = stale || !ok
		}
		if stale {
			r.learn(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// learn asks for the leaders. An epoch that is older than a known one comes from a broker that lags.
func (r *reader) learn(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr(r.topic)}}
	resp, err := req.RequestWith(ctx, r.client)
	if err != nil {
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if known, ok := r.leaders[p.Partition]; p.Leader >= 0 && (!ok || p.LeaderEpoch >= known.epoch) {
				r.leaders[p.Partition] = leadership{p.Leader, p.LeaderEpoch}
			}
		}
	}
}

func (r *reader) fetch(ctx context.Context, index int32) bool {
	leader, ok := r.leaders[index]
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	part := history.Partition{Topic: r.topic, Index: index}
	next := r.get(part)
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.FetchOffset, p.PartitionMaxBytes = index, leader.epoch, next, 1<<20
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 20, 1, 1<<20, -1
	req.Topics = []kmsg.FetchRequestTopic{{Topic: r.topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
	answer, err := r.client.Broker(int(leader.broker)).Request(ctx, req)
	if err != nil {
		return false
	}
	resp, _ := answer.(*kmsg.FetchResponse)
	if resp == nil || resp.ErrorCode != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return false
	}
	got := resp.Topics[0].Partitions[0]
	if got.ErrorCode != 0 {
		return false
	}
	e := history.Event{Kind: history.Polled, Client: r.number, Partition: part, HighWatermark: got.HighWatermark,
		Epoch: leader.epoch, Leader: leader.broker}
	e.Runs = r.decode(part, got.RecordBatches, next)
	r.recorder.Add(e)
	for _, run := range e.Runs {
		next = run.Offset + int64(run.Count)
	}
	r.set(part, next)
	return true
}

// decode returns the records from an offset on. The first batch may begin before it, the last be cut off.
func (r *reader) decode(part history.Partition, data []byte, from int64) []history.Run {
	var runs []history.Run
	for len(data) > 0 {
		batch, rest, err := record.Next(data)
		if err != nil {
			break
		}
		data = rest
		if err := batch.Check(); err != nil {
			return history.AppendRun(runs, history.ID{Producer: -1}, batch.BaseOffset())
		}
		for rec, err := range batch.Records() {
			if err != nil {
				return history.AppendRun(runs, history.ID{Producer: -1}, batch.BaseOffset())
			}
			if rec.Offset >= from {
				runs = appendValue(runs, part, rec.Value, rec.Offset)
			}
		}
	}
	return runs
}

// latest asks for the end of a partition.
func (r *reader) latest(ctx context.Context, index int32) bool {
	ctx, cancel := context.WithTimeout(ctx, clientTimeout)
	defer cancel()
	leader := r.leaders[index]
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.CurrentLeaderEpoch, p.Timestamp = index, leader.epoch, -1
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: r.topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{p}}}
	answer, err := r.client.Broker(int(leader.broker)).Request(ctx, req)
	if err != nil {
		return false
	}
	resp, _ := answer.(*kmsg.ListOffsetsResponse)
	if resp == nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].ErrorCode != 0 {
		return false
	}
	r.recorder.Add(history.Event{Kind: history.Latest, Client: r.number, Partition: history.Partition{Topic: r.topic, Index: index},
		HighWatermark: resp.Topics[0].Partitions[0].Offset, Epoch: leader.epoch, Leader: leader.broker})
	return true
}

// behind says in which partitions a consumer has not come to the end; nothing is all right.
func behind(who string, c interface {
	get(history.Partition) int64
}, ends map[history.Partition]int64) string {
	for part, end := range ends {
		if at := c.get(part); at != end {
			return fmt.Sprintf("%s is at %d of %d in %v", who, at, end, part)
		}
	}
	return ""
}
