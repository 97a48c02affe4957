package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/integration/cluster"
	"github.com/gregor-mq/gregor/integration/history"
)

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
	e.Runs, next = r.decode(part, got.RecordBatches, next)
	r.recorder.Add(e)
	r.set(part, next)
	return true
}

// decode returns the records from an offset on, and the offset to go on from. The first batch may begin before it, the
// last be cut off; compaction may have left nothing of a batch.
func (r *reader) decode(part history.Partition, data []byte, from int64) (runs []history.Run, next int64) {
	next = from
	for len(data) > 0 {
		batch, rest, err := record.Next(data)
		if err != nil {
			break
		}
		data = rest
		if err := batch.Check(); err != nil {
			return history.AppendRun(runs, history.ID{Producer: -1}, batch.BaseOffset()), batch.NextOffset()
		}
		for rec, err := range batch.Records() {
			if err != nil {
				return history.AppendRun(runs, history.ID{Producer: -1}, batch.BaseOffset()), batch.NextOffset()
			}
			if rec.Offset >= from {
				p, id, err := history.ParseStored(rec)
				runs = appendParsed(runs, part, rec.Offset, p, id, err)
			}
		}
		next = max(next, batch.NextOffset())
	}
	return runs, next
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
