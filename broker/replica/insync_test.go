package replica_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica"
	"github.com/gregor-mq/gregor/broker/topic"
)

// proposals is a Propagator that leaves the outcome to the test.
type proposals struct {
	mu  sync.Mutex
	all []replica.Proposal
}

func (p *proposals) Propose(q replica.Proposal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, q)
}

// next waits for a proposal and takes it.
func (p *proposals) next(t *testing.T) replica.Proposal {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		p.mu.Lock()
		if len(p.all) > 0 {
			q := p.all[0]
			p.all = p.all[1:]
			p.mu.Unlock()
			return q
		}
		p.mu.Unlock()
	}
	t.Fatal("nothing was proposed")
	return replica.Proposal{}
}

func (p *proposals) none(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) > 0 {
		t.Errorf("proposed %v, want nothing", p.all[0].ISR)
	}
}

func accepted(p replica.Proposal) replica.Outcome {
	return replica.Outcome{Verdict: replica.Accepted, LeaderEpoch: p.LeaderEpoch, Version: p.Version + 1, ISR: p.ISR}
}

func (e *env) expectISR(pending bool, want ...int32) {
	e.t.Helper()
	if got, p := e.partition().ISR(); !slices.Equal(got, want) || p != pending {
		e.t.Errorf("ISR %v, pending %v; want %v, %v", got, p, want, pending)
	}
}

func TestISRShrinksAndGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := &proposals{}
		e := newEnv(t, func(o *replica.Options) { o.Propagator, o.LagTimeMax = asked, 20*time.Millisecond })
		e.config.MinInSyncReplicas = 2
		e.apply(state(self, 3, 7, []int32{1, 2, 3}, []int32{1, 2, 3}))
		e.append(5)
		// Nobody fetches: both are dropped.
		p := asked.next(t)
		want := replica.Proposal{Partition: orders, Leader: self, LeaderEpoch: 3, ControllerEpoch: 5, Version: 7}
		if p.Partition != want.Partition || p.Leader != want.Leader || p.LeaderEpoch != 3 || p.ControllerEpoch != 5 || p.Version != 7 || !slices.Equal(p.ISR, []int32{1}) {
			t.Fatalf("proposed %+v", p)
		}
		e.expectISR(true, 1, 2, 3)
		p.Done(accepted(p))
		e.expectISR(false, 1)
		if hw := e.partition().Log().HighWatermark(); hw != 0 {
			t.Errorf("high watermark %d below min ISR, want 0", hw)
		}
		// Follower 2 comes: with it there are enough.
		e.fetch(2, 5, nil)
		p = asked.next(t)
		if !slices.Equal(p.ISR, []int32{1, 2}) || p.Version != 8 {
			t.Fatalf("proposed %v at %d", p.ISR, p.Version)
		}
		p.Done(replica.Outcome{Verdict: replica.Rejected})
		e.expectISR(false, 1)
		e.fetch(2, 5, nil)
		p = asked.next(t)
		p.Done(accepted(p))
		e.expectISR(false, 1, 2)
		if hw := e.partition().Log().HighWatermark(); hw != 5 {
			t.Errorf("high watermark %d, want 5", hw)
		}
	})
}

// tries counts how often an operation that waits is looked at.
type tries struct{ n int }

func (o *tries) TryComplete() bool { o.n++; return false }
func (o *tries) Finish(bool)       {}

// TestWhoWaitsIsLookedAtForNews: a fetch of many partitions is not looked at for each of them that only gets a larger ISR.
func TestWhoWaitsIsLookedAtForNews(t *testing.T) {
	asked := &proposals{}
	e := newEnv(t, func(o *replica.Options) { o.Propagator = asked })
	e.config.MinInSyncReplicas = 2
	var waiting tries
	e.manager.Fetches.Wait(&waiting, time.Now().Add(time.Hour), orders)
	for _, joins := range []struct {
		follower int32
		isr      []int32
		news     bool
	}{
		{2, []int32{1}, true}, // now there are enough, and the high watermark rises
		{3, []int32{1, 2}, false},
	} {
		e.apply(state(self, 3+joins.follower, 7+joins.follower, joins.isr, []int32{1, 2, 3}))
		e.append(5)
		end := e.partition().Log().EndOffset()
		for i := range joins.isr {
			if follower := joins.isr[i]; follower != self {
				e.fetch(follower, end, nil)
			}
		}
		e.fetch(joins.follower, end, nil)
		p := asked.next(t)
		before := waiting.n
		p.Done(accepted(p))
		if news := waiting.n > before; news != joins.news {
			t.Errorf("%v joined %v: looked at %v, want %v", joins.follower, joins.isr, news, joins.news)
		}
	}
}

func TestProposalsOfAnEarlierEpochChangeNothing(t *testing.T) {
	asked := &proposals{}
	e := newEnv(t, func(o *replica.Options) { o.Propagator = asked })
	e.apply(state(self, 0, 0, []int32{1}, []int32{1, 2}))
	e.fetch(2, 0, nil)
	old := asked.next(t)
	e.apply(state(self, 1, 3, []int32{1}, []int32{1, 2}))
	old.Done(accepted(old))
	e.expectISR(false, 1)
	e.fetch(2, 0, nil)
	overtaken := asked.next(t)
	if overtaken.Version != 3 || overtaken.LeaderEpoch != 1 {
		t.Errorf("proposed at version %d of epoch %d", overtaken.Version, overtaken.LeaderEpoch)
	}
	// Until the controller says so, either ISR may be in force.
	overtaken.Done(replica.Outcome{Verdict: replica.Overtaken})
	e.expectISR(true, 1)
	e.append(1)
	if hw := e.partition().Log().HighWatermark(); hw != 0 {
		t.Errorf("high watermark %d, want it to wait for replica 2", hw)
	}
	e.fetch(2, 0, nil)
	asked.none(t)
	e.apply(state(self, 2, 4, []int32{1}, []int32{1, 2}))
	e.expectISR(false, 1)
}

func TestDeadBrokersDoNotJoin(t *testing.T) {
	asked := &proposals{}
	e := newEnv(t, func(o *replica.Options) {
		o.Propagator, o.Alive = asked, func(id int32) bool { return id != 2 }
	})
	e.apply(state(self, 0, 0, []int32{1}, []int32{1, 2, 3}))
	e.fetch(2, 0, nil)
	asked.none(t)
	e.fetch(3, 0, nil)
	asked.next(t)
}

// following is Followers that only keep book.
type following struct {
	now map[topic.Partition]replica.Following
}

func (f *following) Follow(what ...replica.Following) {
	if f.now == nil {
		f.now = map[topic.Partition]replica.Following{}
	}
	for _, w := range what {
		f.now[w.Replica.Partition] = w
	}
}

func (f *following) Unfollow(what ...topic.Partition) {
	for _, p := range what {
		delete(f.now, p)
	}
}

// TestFollowersAreRefusedOncePast: what a fetcher of an earlier leader epoch still brings is not taken.
func TestFollowersAreRefusedOncePast(t *testing.T) {
	followed := &following{}
	e := newEnv(t, func(o *replica.Options) { o.Followers = followed })
	e.apply(state(2, 0, 0, []int32{1, 2}, []int32{1, 2}))
	f := followed.now[orders]
	if f.Leader != 2 || f.LeaderEpoch != 0 {
		t.Fatalf("follows %d in epoch %d", f.Leader, f.LeaderEpoch)
	}
	batch := batchAt(t, 0, 0)
	place, err := f.Append(&replica.Fetched{Records: batch, HighWatermark: 9, LogStart: 0})
	if err != nil || place != (replica.Place{Offset: 1, LastEpoch: 0}) || e.partition().Log().HighWatermark() != 1 {
		t.Fatalf("after the append: %+v, high watermark %d, %v", place, e.partition().Log().HighWatermark(), err)
	}
	if _, err := f.Append(&replica.Fetched{Offset: 7, Records: batch}); !errors.Is(err, replica.ErrUnexpectedOffset) {
		t.Errorf("fetched from elsewhere: %v", err)
	}
	e.apply(state(3, 1, 1, []int32{1, 2, 3}, []int32{1, 2, 3}))
	if _, err := f.Append(&replica.Fetched{Offset: 1, Records: batchAt(t, 1, 0)}); !errors.Is(err, replica.ErrNotFollower) {
		t.Errorf("from the former leader: %v", err)
	}
	if _, err := f.Diverged(0, 0); !errors.Is(err, replica.ErrNotFollower) {
		t.Errorf("truncation by the former leader: %v", err)
	}
	e.apply(state(self, 2, 2, []int32{1, 2, 3}, []int32{1, 2, 3}))
	if _, still := followed.now[orders]; still {
		t.Error("still follows while it leads")
	}
	e.apply(state(replica.NoLeader, 3, 3, []int32{2}, []int32{1, 2, 3}))
	if _, still := followed.now[orders]; still {
		t.Error("follows nobody")
	}
}

func batchAt(t *testing.T, offset int64, epoch int32) []byte {
	t.Helper()
	b := record.NewBuilder(record.MagicV2, record.BuilderOptions{})
	if err := b.Append(record.Record{Timestamp: 1, Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	out, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	record.Batch(out).SetBaseOffset(offset)
	record.Batch(out).SetLeaderEpoch(epoch)
	return out
}
