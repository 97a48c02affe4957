package replica

import (
	"slices"
	"sync"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// NoLeader is the leader of a partition that has none.
const NoLeader = -1

// Partition is this broker's replica of one topic partition.
//
// Invariants:
//   - logStart <= high watermark <= logEnd
//   - within one leader epoch, a leader's high watermark never decreases
//   - leaderEpoch and partitionEpoch never decrease
//   - leads implies that isr contains this broker
type Partition struct {
	topic.Partition
	manager *Manager
	log     *storage.Log

	mu struct {
		sync.RWMutex
		state
		leads     bool
		followers map[int32]follower // those that have fetched in this epoch; nil unless leading; guarded by hw
	}
	hw sync.Mutex // taken with mu held shared: serialises raises of the high watermark
}

// state is what the controller decided about a partition.
type state struct {
	leader          int32
	leaderEpoch     int32
	epochStart      int64 // log end offset when this broker began to lead in leaderEpoch
	controllerEpoch int32
	partitionEpoch  int32 // version of the partition's state znode
	isr, replicas   []int32
}

// Log returns the replica's log.
func (p *Partition) Log() *storage.Log { return p.log }

// LeaderAndEpoch returns who leads the partition, as far as this replica was told.
func (p *Partition) LeaderAndEpoch() (leader, epoch int32) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.mu.leader, p.mu.leaderEpoch
}

// Append writes a client's or a coordinator's records to the leader's log. With acksAll it first
// requires the ISR to be large enough. The caller calls Manager.Appended when it holds no lock.
//
// Errors: ErrNotLeader, ErrNotEnoughReplicas, and those of storage.Log.AppendLeader.
func (p *Partition) Append(records []byte, origin record.Origin, acksAll bool, now int64) (storage.Appended, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.mu.leads {
		return storage.Appended{}, ErrNotLeader
	}
	if acksAll && len(p.mu.isr) < p.minISRLocked() {
		return storage.Appended{}, ErrNotEnoughReplicas
	}
	done, err := p.log.AppendLeader(records, storage.AppendOptions{Epoch: p.mu.leaderEpoch, Origin: origin, Now: now})
	if err == nil {
		p.raiseHighWatermarkLocked()
	}
	return done, err
}

func (p *Partition) minISRLocked() int {
	return effectiveMinISR(p.log.Config().MinInSyncReplicas, len(p.mu.replicas))
}

// raiseHighWatermarkLocked raises the high watermark to what is committed; it reports whether that
// was higher. It requires mu, shared at least.
//
// Two appends may end in either order; hw makes the later look at the log end count for both.
func (p *Partition) raiseHighWatermarkLocked() bool {
	if len(p.mu.isr) < p.minISRLocked() {
		return false
	}
	p.hw.Lock()
	defer p.hw.Unlock()
	to := committed(p.manager.opts.BrokerID, p.log.EndOffset(), p.mu.isr, p.mu.followers)
	if to <= p.log.HighWatermark() {
		return false
	}
	p.log.SetHighWatermark(to)
	return true
}

// Committed reports whether everything below offset is committed, or why it never will be by this
// leader: ErrNotLeader, ErrNotEnoughReplicasAfterAppend.
func (p *Partition) Committed(offset int64) (bool, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case !p.mu.leads:
		return false, ErrNotLeader
	case p.log.HighWatermark() < offset:
		return false, nil
	case len(p.mu.isr) < p.minISRLocked():
		return true, ErrNotEnoughReplicasAfterAppend
	}
	return true, nil
}

// checkEpochLocked compares the leader epoch that a client knows with this replica's; -1 matches all.
func (p *Partition) checkEpochLocked(known int32) error {
	switch {
	case known < 0 || known == p.mu.leaderEpoch:
		return nil
	case known < p.mu.leaderEpoch:
		return ErrFencedLeaderEpoch
	}
	return ErrUnknownLeaderEpoch
}

// checkLocked is checkEpochLocked and, if leaderOnly, the requirement to lead.
func (p *Partition) checkLocked(known int32, leaderOnly bool) error {
	if err := p.checkEpochLocked(known); err != nil {
		return err
	}
	if leaderOnly && !p.mu.leads {
		return ErrNotLeader
	}
	return nil
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch (KIP-101), as the leader: the largest epoch up to
// epoch that the log knows, and where it ends; -1, -1 if there is none.
func (p *Partition) EndOffsetForEpoch(known, epoch int32) (int32, int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.checkLocked(known, true); err != nil {
		return -1, -1, err
	}
	found, end, ok := p.log.EpochEndOffset(epoch)
	if !ok {
		return -1, -1, nil
	}
	return found, end, nil
}

// DeleteRecords raises the log start offset to offset, or to the high watermark for -1, and returns
// the offset that the partition's low watermark must reach. Files go with the next retention pass.
func (p *Partition) DeleteRecords(offset int64) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.mu.leads {
		return -1, ErrNotLeader
	}
	if !p.log.Config().Delete {
		return -1, ErrPolicyViolation
	}
	if offset == -1 {
		offset = p.log.HighWatermark()
	}
	if offset < 0 || offset > p.log.HighWatermark() {
		return -1, storage.ErrOffsetOutOfRange
	}
	_, err := p.log.IncrementStartOffset(offset)
	return offset, err
}

// LowWatermark returns the lowest log start offset among this leader and its live followers.
func (p *Partition) LowWatermark(alive func(broker int32) bool) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.mu.leads {
		return -1, ErrNotLeader
	}
	p.hw.Lock()
	defer p.hw.Unlock()
	low := p.log.StartOffset()
	for _, id := range p.mu.replicas {
		if id == p.manager.opts.BrokerID || !alive(id) {
			continue
		}
		f, fetched := p.mu.followers[id]
		if !fetched {
			return -1, nil
		}
		low = min(low, f.logStart)
	}
	return low, nil
}

// apply makes the replica what the controller decided, in a leader epoch that is news. It must not be
// called with a lock held.
func (p *Partition) apply(s *PartitionState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.PartitionEpoch < p.mu.partitionEpoch {
		return ErrStaleControllerEpoch
	}
	self := p.manager.opts.BrokerID
	leads := s.Leader == self
	next := state{
		leader: s.Leader, leaderEpoch: s.LeaderEpoch, epochStart: p.log.EndOffset(),
		controllerEpoch: s.ControllerEpoch, partitionEpoch: s.PartitionEpoch,
		isr: slices.Clone(s.ISR), replicas: slices.Clone(s.Replicas),
	}
	if leads {
		if err := p.log.AssignEpoch(s.LeaderEpoch, next.epochStart); err != nil {
			return err
		}
	}
	p.mu.state = next
	p.mu.leads = leads
	p.mu.followers = nil
	if leads {
		p.mu.followers = make(map[int32]follower, len(next.replicas)-1)
		p.raiseHighWatermarkLocked()
	}
	return nil
}

// resign makes the replica follow nobody; what waits for its leader must be woken afterwards.
func (p *Partition) resign() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leads = false
	p.mu.leader = NoLeader
}
