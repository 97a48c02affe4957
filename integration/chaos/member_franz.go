package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/integration/history"
	"github.com/gregor-mq/gregor/integration/history/groups"
)

// A franzMember consumes with a franz-go client and commits each batch once it has processed it.
type franzMember struct {
	member
	instance string
	client   *kgo.Client
	ready    chan struct{} // closed once client is set
	line     lifeline
	cancel   context.CancelFunc
	calls
}

// calls is what the client's hooks have seen of its requests.
type calls struct {
	mu          sync.Mutex
	sync, fetch call
	commit      call
	unanswered  int // commits that were sent and had no answer
}

// call is the last request of a kind that was answered.
type call struct {
	broker int32
	begun  time.Duration
}

// franzMembers returns what starts members that balance like that, with instance ids or without.
func franzMembers(static bool, balancer func() kgo.GroupBalancer) func(*group, member) (groupMember, error) {
	return func(g *group, common member) (groupMember, error) {
		ctx, cancel := context.WithCancel(context.Background())
		m := &franzMember{member: common, ready: make(chan struct{}), line: lifeline{node: common.node()}, cancel: cancel}
		opts := []kgo.Opt{
			kgo.SeedBrokers(g.world.addrs()...), kgo.Dialer(m.line.dial), kgo.WithHooks(m),
			kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(g.topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.Balancers(watched{balancer(), m}), kgo.OnOffsetsFetched(m.fetched),
			kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(), kgo.FetchMaxWait(250 * time.Millisecond),
			kgo.SessionTimeout(memberSession), kgo.RebalanceTimeout(memberRebalance), kgo.HeartbeatInterval(memberHeartbeat),
			kgo.RequestTimeoutOverhead(3 * time.Second), kgo.RetryTimeout(clientTimeout), kgo.MetadataMinAge(250 * time.Millisecond),
		}
		if static {
			m.instance = fmt.Sprintf("%s-%d", g.name, m.place)
			opts = append(opts, kgo.InstanceID(m.instance))
		}
		client, err := kgo.NewClient(opts...)
		if err != nil {
			cancel()
			return nil, err
		}
		m.client = client
		close(m.ready)
		g.wg.Go(func() { m.run(ctx) })
		return m, nil
	}
}

func (m *franzMember) kill() {
	m.line.cut()
	m.cancel()
}

func (m *franzMember) leave() { m.cancel() }

func (m *franzMember) run(ctx context.Context) {
	defer m.client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		fetches := m.client.PollRecords(ctx, batchRecords)
		if ctx.Err() == nil && !fetches.Empty() {
			m.process(ctx, fetches)
		}
		m.client.AllowRebalance()
	}
}

// process takes its time, and commits.
func (m *franzMember) process(ctx context.Context, fetches kgo.Fetches) {
	work(ctx)
	id, generation := m.client.GroupMetadata()
	offsets := make(map[string]map[int32]kgo.EpochOffset)
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		part := history.Partition{Topic: f.Topic, Index: f.Partition}
		var runs []history.Run
		for _, r := range f.Records {
			runs = appendValue(runs, part, r.Value, r.Offset)
		}
		m.processed(m.event(groups.Processed, m.group.recorder.Now(), id, generation), part, runs)
		if offsets[f.Topic] == nil {
			offsets[f.Topic] = make(map[int32]kgo.EpochOffset)
		}
		last := f.Records[len(f.Records)-1]
		offsets[f.Topic][f.Partition] = kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1}
	})
	if len(offsets) > 0 {
		m.commitSync(ctx, offsets)
	}
}

// event returns an event of this member; a broker's answer is added where there is one.
func (m *franzMember) event(kind groups.Kind, begun time.Duration, memberID string, generation int32) groups.Event {
	e := m.member.event(kind, begun, memberID, generation, groups.UnknownBroker)
	e.Instance = m.instance
	return e
}

func (m *franzMember) commitSync(ctx context.Context, offsets map[string]map[int32]kgo.EpochOffset) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	m.calls.mu.Lock()
	m.unanswered = 0
	m.calls.mu.Unlock()
	m.group.passes(commitBegins)
	begun := m.group.recorder.Now()
	m.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		m.committed(begun, req, resp, err)
	})
}

// committed notes what became of a commit.
func (m *franzMember) committed(begun time.Duration, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
	acked := m.event(groups.Committed, begun, req.MemberID, req.Generation)
	failed := m.event(groups.Uncertain, begun, req.MemberID, req.Generation)
	m.calls.mu.Lock()
	acked.Broker, acked.Repeated = m.commit.broker, m.unanswered > 0
	m.calls.mu.Unlock()
	good := make(map[history.Partition]bool)
	if err == nil {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				good[history.Partition{Topic: t.Topic, Index: p.Partition}] = p.ErrorCode == 0
			}
		}
	}
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			part := groups.Part{Partition: history.Partition{Topic: t.Topic, Index: p.Partition}, Offset: p.Offset}
			if good[part.Partition] {
				acked.Parts = append(acked.Parts, part)
			} else {
				failed.Parts = append(failed.Parts, part)
			}
		}
	}
	if len(acked.Parts) > 0 {
		m.group.acked(acked)
	}
	if len(failed.Parts) > 0 {
		m.group.recorder.Add(failed)
	}
}

// fetched notes the offsets that the member starts from.
func (m *franzMember) fetched(_ context.Context, client *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	id, generation := client.GroupMetadata()
	m.calls.mu.Lock()
	last := m.fetch
	m.calls.mu.Unlock()
	e := m.event(groups.Fetched, last.begun, id, generation)
	e.Broker = last.broker
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 {
					e.Parts = append(e.Parts, groups.Part{Partition: history.Partition{Topic: t.Topic, Index: p.Partition}, Offset: p.Offset})
				}
			}
		}
	}
	m.group.recorder.Add(e)
	return nil
}

// OnBrokerE2E implements kgo.HookBrokerE2E: it is told of each request before the client sees the answer.
func (m *franzMember) OnBrokerE2E(meta kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	answered := call{meta.NodeID, m.group.recorder.Now() - e2e.DurationE2E()}
	m.calls.mu.Lock()
	defer m.calls.mu.Unlock()
	switch kmsg.Key(key) {
	case kmsg.SyncGroup:
		m.calls.sync = answered
	case kmsg.OffsetFetch:
		m.fetch = answered
	case kmsg.OffsetCommit:
		if m.commit = answered; e2e.Err() != nil && e2e.BytesWritten > 0 {
			m.unanswered++
		}
	}
}

// watched is a balancer that notes what the member is assigned.
type watched struct {
	kgo.GroupBalancer
	member *franzMember
}

// ParseSyncAssignment is called with every assignment, whatever the client makes of it.
func (w watched) ParseSyncAssignment(assignment []byte) (map[string][]int32, error) {
	assigned, err := w.GroupBalancer.ParseSyncAssignment(assignment)
	m := w.member
	<-m.ready
	id, generation := m.client.GroupMetadata()
	m.calls.mu.Lock()
	last := m.calls.sync
	m.calls.mu.Unlock()
	e := m.event(groups.Assigned, last.begun, id, generation)
	e.Broker = last.broker
	for topic, partitions := range assigned {
		for _, p := range partitions {
			e.Parts = append(e.Parts, groups.Part{Partition: history.Partition{Topic: topic, Index: p}})
		}
	}
	m.group.recorder.Add(e)
	return assigned, err
}
