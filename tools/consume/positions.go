package consume

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
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
		next    map[string]map[int32]kgo.EpochOffset // of all assigned partitions; negative if not known yet
		changed bool                                 // since the last commit
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

// printed moves the position of a partition behind a record; nil is none. A partition that was lost meanwhile is
// left alone: who has it now has committed further, perhaps.
func (p *positions) printed(r *kgo.Record) {
	if r == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, assigned := p.mu.next[r.Topic][r.Partition]; !assigned {
		return
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

// uncommitted returns the positions, unless they are committed already. What is returned counts as committed.
func (p *positions) uncommitted() map[string]map[int32]kgo.EpochOffset {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]map[int32]kgo.EpochOffset{}
	if !p.commits || !p.mu.changed {
		return all
	}
	for name, partitions := range p.mu.next {
		known := maps.Clone(partitions)
		maps.DeleteFunc(known, func(_ int32, at kgo.EpochOffset) bool { return at.Offset < 0 })
		if len(known) > 0 {
			all[name] = known
		}
	}
	p.mu.changed = false
	return all
}

// commit commits the positions, unless they are committed already.
func (p *positions) commit(ctx context.Context) error {
	all := p.uncommitted()
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
