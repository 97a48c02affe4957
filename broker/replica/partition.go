package replica

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/replica/isr"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/storage/producer"
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
//   - lead is not nil if and only if this broker leads
type Partition struct {
	topic.Partition
	manager *Manager
	log     atomic.Pointer[storage.Log] // replaced with mu held, when the replica moves to another log directory

	mu struct {
		sync.RWMutex
		state
		lead *isr.Tracker // what followers hold is guarded by hw
	}
	promoting sync.Mutex // taken before mu: one promotion at a time
	// moving is taken with mu held, shared at least: it keeps the log from being cut while it is copied.
	moving sync.Mutex
	hw     sync.Mutex // taken with mu held shared: serialises raises of the high watermark
}

// state is what the controller decided about a partition.
type state struct {
	leader          int32
	leaderEpoch     int32
	epochStart      int64 // log end offset when this broker began to lead in leaderEpoch
	controllerEpoch int32
	partitionEpoch  int32 // version of the partition's state znode, when the controller decided
	replicas        []int32
}

// leadsLocked reports whether this broker leads. It requires mu, shared at least.
func (p *Partition) leadsLocked() bool { return p.mu.lead != nil }

// Log returns the replica's log.
func (p *Partition) Log() *storage.Log { return p.log.Load() }

// logErr returns why the replica's log can be neither read nor written. A log that another one takes the place of
// just then is no reason: that is waited for. It must not be called with mu held.
func (p *Partition) logErr() error {
	err := p.Log().Err()
	if errors.Is(err, storage.ErrClosed) {
		p.mu.RLock()
		defer p.mu.RUnlock()
		err = p.Log().Err()
	}
	return err
}

// LeaderAndEpoch returns who leads the partition, as far as this replica was told.
func (p *Partition) LeaderAndEpoch() (leader, epoch int32) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.mu.leader, p.mu.leaderEpoch
}

// Append is AppendAll of one append, whose error it returns.
func (p *Partition) Append(records []byte, origin record.Origin, acksAll bool, now int64) (storage.Appended, error) {
	one := [1]storage.Append{{Records: records, Options: storage.AppendOptions{Origin: origin, Now: now}}}
	p.AppendAll(one[:], acksAll)
	return one[0].Done, one[0].Err
}

// AppendAll writes records of clients or of a coordinator to the leader's log, each as if it were alone;
// their Options lack the leader epoch. With acksAll it first requires the ISR to be large enough. The
// caller calls Manager.Appended when it holds no lock.
//
// Errors: ErrNotLeader, ErrNotEnoughReplicas, and those of storage.Append.
func (p *Partition) AppendAll(appends []storage.Append, acksAll bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.mayAppendLocked(acksAll); err != nil {
		for i := range appends {
			appends[i].Done, appends[i].Err = storage.NothingAppended, err
		}
		return
	}
	for i := range appends {
		appends[i].Options.Epoch = p.mu.leaderEpoch
	}
	p.Log().AppendLeaderAll(appends)
	p.raiseHighWatermarkLocked()
}

// StartVerification begins the verification of a producer's transaction with its coordinator, as the leader: see
// storage.Log. Errors: ErrNotLeader.
func (p *Partition) StartVerification(producerID int64, sequence int32, epoch int16, now int64) (producer.Guard, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() {
		return 0, ErrNotLeader
	}
	return p.Log().StartVerification(producerID, sequence, epoch, now), nil
}

// mayAppendLocked returns why nothing may be appended. It requires mu, shared at least.
func (p *Partition) mayAppendLocked(acksAll bool) error {
	switch {
	case !p.leadsLocked():
		return ErrNotLeader
	case acksAll && len(p.mu.lead.ISR()) < p.minISRLocked():
		return ErrNotEnoughReplicas
	}
	return nil
}

// minISRLocked is min.insync.replicas, as far as the partition has replicas at all.
func (p *Partition) minISRLocked() int {
	return min(p.Log().Config().MinInSyncReplicas, len(p.mu.replicas))
}

// raiseHighWatermarkLocked raises a leader's high watermark to what is committed; it reports whether
// that was higher. It requires mu, shared at least.
//
// Two appends may end in either order; hw makes the later look at the log end count for both.
func (p *Partition) raiseHighWatermarkLocked() bool {
	if len(p.mu.lead.ISR()) < p.minISRLocked() {
		return false
	}
	p.hw.Lock()
	defer p.hw.Unlock()
	to := p.mu.lead.HighWatermark(p.Log().EndOffset(), p.manager.now, p.manager.opts.Alive)
	if to <= p.Log().HighWatermark() {
		return false
	}
	p.Log().SetHighWatermark(to)
	return true
}

// Committed reports whether everything below offset is committed, or why it never will be by this
// leader: ErrNotLeader, ErrNotEnoughReplicasAfterAppend.
func (p *Partition) Committed(offset int64) (bool, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case !p.leadsLocked():
		return false, ErrNotLeader
	case p.Log().HighWatermark() < offset:
		return false, nil
	case p.mu.lead.MaximalSize() < p.minISRLocked():
		return true, ErrNotEnoughReplicasAfterAppend
	}
	return true, nil
}

// checkEpochLocked compares the leader epoch that a client knows with this replica's; -1 matches all.
func (p *Partition) checkEpochLocked(known int32) error {
	switch {
	case known == -1 || known == p.mu.leaderEpoch: // not given, or right
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
	if leaderOnly && !p.leadsLocked() {
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
	found, end, ok := p.Log().EpochEndOffset(epoch)
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
	if !p.leadsLocked() {
		return -1, ErrNotLeader
	}
	if !p.Log().Config().Delete {
		return -1, ErrPolicyViolation
	}
	if offset == -1 {
		offset = p.Log().HighWatermark()
	}
	if offset < 0 || offset > p.Log().HighWatermark() {
		return -1, storage.ErrOffsetOutOfRange
	}
	_, err := p.Log().IncrementStartOffset(offset)
	return offset, err
}

// LowWatermark returns the lowest log start offset among this leader, the copy of its log that is being made,
// and its live followers.
func (p *Partition) LowWatermark(alive func(broker int32) bool) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() {
		return -1, ErrNotLeader
	}
	p.hw.Lock()
	defer p.hw.Unlock()
	low := p.mu.lead.LowWatermark(p.Log().StartOffset(), alive)
	if future := p.manager.opts.Storage.Future(p.Partition); future != nil {
		low = min(low, future.StartOffset())
	}
	return low, nil
}

// apply makes the replica what the controller decided, in a leader epoch that is news. It must not be
// called with a lock held.
func (p *Partition) apply(s *PartitionState) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.PartitionEpoch < p.partitionEpochLocked() {
		return ErrStaleControllerEpoch
	}
	end := p.Log().EndOffset()
	leads := s.Leader == p.manager.opts.BrokerID
	if leads {
		if err := p.Log().AssignEpoch(s.LeaderEpoch, end); err != nil {
			return err
		}
	}
	p.mu.state = state{
		leader: s.Leader, leaderEpoch: s.LeaderEpoch, epochStart: end,
		controllerEpoch: s.ControllerEpoch, partitionEpoch: s.PartitionEpoch,
		replicas: slices.Clone(s.Replicas),
	}
	before := p.mu.lead
	p.mu.lead = nil
	if leads {
		a := isr.Assignment{
			Self: s.Leader, Replicas: p.mu.replicas, ISR: slices.Clone(s.ISR), Version: s.PartitionEpoch, EpochStart: end,
		}
		p.mu.lead = isr.Begin(a, p.manager.opts.LagTimeMax, before, end, p.manager.now())
		p.raiseHighWatermarkLocked()
	}
	return nil
}

// partitionEpochLocked returns the newest partition epoch known. It requires mu, shared at least.
func (p *Partition) partitionEpochLocked() int32 {
	if p.leadsLocked() {
		return p.mu.lead.Version()
	}
	return p.mu.partitionEpoch
}

// resign makes the replica follow nobody; what waits for its leader must be woken afterwards.
func (p *Partition) resign() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.lead = nil
	p.mu.leader = NoLeader
}
