package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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
				e.Runs = appendPolled(e.Runs, part, rec)
			}
			c.recorder.Add(e)
			c.set(part, f.Records[len(f.Records)-1].Offset+1)
		})
	}
}

// appendValue adds a record that was read. One that is none of ours gets a producer that does not exist.
func appendValue(runs []history.Run, part history.Partition, value []byte, offset int64) []history.Run {
	p, id, err := history.Parse(value)
	return appendParsed(runs, part, offset, p, id, err)
}

// appendPolled adds a record of any topic.
func appendPolled(runs []history.Run, part history.Partition, rec *kgo.Record) []history.Run {
	var note []byte
	for _, h := range rec.Headers {
		if h.Key == history.NoteHeader {
			note = h.Value
		}
	}
	p, id, err := history.ParseRecord(rec.Key, rec.Value, note)
	return appendParsed(runs, part, rec.Offset, p, id, err)
}

func appendParsed(runs []history.Run, part history.Partition, offset int64, p history.Partition, id history.ID, err error) []history.Run {
	if err != nil || p != part {
		id = history.ID{Producer: -1}
	}
	return history.AppendRun(runs, id, offset)
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
