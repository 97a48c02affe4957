package consume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/broker/topic"
	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// Timestamps that ListOffsets takes for the first and the next offset.
const (
	timestampEarliest = -2
	timestampLatest   = -1
)

// positions are the offsets that a member of a group will print next, one for each of its partitions, and commits
// them as Kafka's consumer does (enable.auto.commit): those of all partitions, also where nothing was printed, so that
// the group goes on where this member has begun. They are committed from time to time while it polls, before
// partitions are given away, and at the end.
//
// Records are printed between a poll and allowing a rebalance; so what is committed of a partition that is given away
// is all that was printed of it.
type positions struct {
	reset     string // auto.offset.reset
	isolation int8
	interval  time.Duration // auto.commit.interval.ms
	commits   bool          // enable.auto.commit

	client *kgo.Client   // set before ready is closed
	ready  chan struct{} // the group may begin before kgo.NewClient returns

	mu struct {
		sync.Mutex
		next    map[string]map[int32]kgo.EpochOffset
		changed bool // since the last commit
		due     time.Time
	}
}

func newPositions(config *clientconf.Config) *positions {
	p := &positions{
		reset:    config.String("auto.offset.reset"),
		interval: config.Millis("auto.commit.interval.ms"),
		commits:  config.Bool("enable.auto.commit"),
		ready:    make(chan struct{}),
	}
	if config.String("isolation.level") == "read_committed" {
		p.isolation = 1
	}
	p.mu.next = map[string]map[int32]kgo.EpochOffset{}
	return p
}

// options are what a member of a group needs for its positions.
func (p *positions) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(p.begin),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
			defer cancel()
			_ = p.commit(ctx) // the next owner prints again what is not committed
			p.forget(partitions)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) { p.forget(partitions) }),
	}
}

// use tells the client, which asks for its positions from then on.
func (p *positions) use(client *kgo.Client) {
	p.client = client
	close(p.ready)
}

// begin returns where to begin in newly assigned partitions: at the committed offset, or else where
// auto.offset.reset says.
func (p *positions) begin(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	open, next := map[string][]int32{}, map[string]map[int32]kgo.EpochOffset{}
	for name, partitions := range assigned {
		next[name] = map[int32]kgo.EpochOffset{}
		for index, offset := range partitions {
			if next[name][index] = offset.EpochOffset(); next[name][index].Offset < 0 {
				delete(next[name], index)
				open[name] = append(open[name], index)
			}
		}
	}
	if err := p.resolve(ctx, open, next); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, partitions := range next {
		if p.mu.next[name] == nil {
			p.mu.next[name] = map[int32]kgo.EpochOffset{}
		}
		for index, at := range partitions {
			p.mu.next[name][index] = at
			assigned[name][index] = kgo.NewOffset().At(at.Offset)
		}
	}
	p.mu.changed, p.mu.due = true, time.Now().Add(p.interval)
	return assigned, nil
}

// resolve adds the positions of partitions without a committed offset to next. Those that cannot be had are left
// to the client, which tries again.
func (p *positions) resolve(ctx context.Context, open map[string][]int32, next map[string]map[int32]kgo.EpochOffset) error {
	if len(open) == 0 {
		return nil
	}
	if p.reset == "none" {
		return undefinedOffset(open)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, p.isolation
	for name, indexes := range open {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = name
		for _, index := range indexes {
			asked := kmsg.NewListOffsetsRequestTopicPartition()
			asked.Partition, asked.CurrentLeaderEpoch, asked.Timestamp = index, -1, timestampLatest
			if p.reset == "earliest" {
				asked.Timestamp = timestampEarliest
			}
			t.Partitions = append(t.Partitions, asked)
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, p.client)
	if err != nil {
		return nil
	}
	for _, t := range resp.Topics {
		for _, found := range t.Partitions {
			if found.ErrorCode == 0 && found.Offset >= 0 {
				next[t.Topic][found.Partition] = kgo.EpochOffset{Epoch: found.LeaderEpoch, Offset: found.Offset}
			}
		}
	}
	return nil
}

// undefinedOffset is the error of a group without offsets that must not begin anywhere else.
func undefinedOffset(open map[string][]int32) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(open)) {
		for _, index := range slices.Sorted(slices.Values(open[name])) {
			names = append(names, topic.Partition{Topic: name, Index: index}.String())
		}
	}
	return throwable.New("org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
		"Undefined offset with no reset policy for partitions: ["+strings.Join(names, ", ")+"]")
}

// printed moves the position of a partition behind a record; nil is none.
func (p *positions) printed(r *kgo.Record) {
	if r == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.next[r.Topic] == nil {
		p.mu.next[r.Topic] = map[int32]kgo.EpochOffset{}
	}
	p.mu.next[r.Topic][r.Partition] = kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1}
	p.mu.changed = true
}

func (p *positions) forget(partitions map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, indexes := range partitions {
		for _, index := range indexes {
			delete(p.mu.next[name], index)
		}
	}
}

// untilDue returns how long a poll may take before positions are to be committed.
func (p *positions) untilDue() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.commits || p.mu.due.IsZero() {
		return max(p.interval, time.Second) // there may be positions then
	}
	return max(time.Until(p.mu.due), 10*time.Millisecond)
}

// commitDue commits the positions if it is time to.
func (p *positions) commitDue(ctx context.Context) {
	p.mu.Lock()
	due := p.commits && !p.mu.due.IsZero() && !time.Now().Before(p.mu.due)
	if due {
		p.mu.due = time.Now().Add(p.interval)
	}
	p.mu.Unlock()
	if due {
		_ = p.commit(ctx) // the next one has them again
	}
}

// commit commits the positions, unless they are committed already.
func (p *positions) commit(ctx context.Context) error {
	p.mu.Lock()
	all := map[string]map[int32]kgo.EpochOffset{}
	if p.commits && p.mu.changed {
		for name, partitions := range p.mu.next {
			all[name] = maps.Clone(partitions)
		}
		p.mu.changed = false
	}
	p.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	var failure error
	p.client.CommitOffsetsSync(ctx, all, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if failure = err; err == nil {
			failure = firstFailure(resp)
		}
	})
	if failure != nil {
		p.mu.Lock()
		p.mu.changed = true
		p.mu.Unlock()
		return fmt.Errorf("commit offsets: %w", failure)
	}
	return nil
}

func firstFailure(resp *kmsg.OffsetCommitResponse) error {
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			errs = append(errs, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return errors.Join(errs...)
}
