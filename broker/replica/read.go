package replica

import (
	"errors"
	"slices"

	"github.com/gregor-mq/gregor/broker/request"
	"github.com/gregor-mq/gregor/broker/storage"
	"github.com/gregor-mq/gregor/broker/topic"
)

// ReadOptions say what a fetch wants of one partition.
type ReadOptions struct {
	Offset             int64
	MaxBytes           int  // of records; negative: Read fails if there are some
	MinOneBatch        bool // return the first batch even if it is larger than MaxBytes
	ReplicaID          int32
	LeaderOnly         bool     // consumers before Fetch v11 may only read from the leader
	Committed          bool     // isolation level read_committed
	TopicID            topic.ID // zero: not given
	CurrentLeaderEpoch int32    // -1: not given
	LastFetchedEpoch   int32    // -1: not given
	LogStartOffset     int64    // of the follower that fetches
	Again              bool     // a fetch that has waited: where its follower stands is known
}

// fromFollower reports whether a replica, not a consumer, reads.
func (o *ReadOptions) fromFollower() bool { return o.ReplicaID >= 0 }

// ReadResult is what can be read of one partition. Offsets are -1 where the read failed.
type ReadResult struct {
	Section       request.Section // nil: no records
	Found         int64           // bytes within MaxBytes; more than Section if the last are no whole batch
	Incomplete    bool            // Section ends within its first batch
	HighWatermark int64
	LastStable    int64
	LogStart      int64

	// Diverged says that the reader's log differs from here on: its last fetched epoch ends, in
	// this log, at DivergingEnd of DivergingEpoch (KIP-595).
	Diverged       bool
	DivergingEpoch int32
	DivergingEnd   int64

	// Aborted lists the transactions aborted within Section, for read_committed only.
	Aborted []storage.AbortedTransaction
}

// FailedRead is the result that goes with an error.
func FailedRead() ReadResult {
	return ReadResult{HighWatermark: -1, LastStable: -1, LogStart: -1}
}

// Read returns what o may see from o.Offset on: up to the log end for a follower, the high watermark
// for a consumer, the last stable offset for read_committed. It never waits.
//
// Errors: ErrInconsistentTopicID, ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch, ErrNotLeader,
// storage.ErrOffsetOutOfRange, storage.ErrStorage.
func (p *Partition) Read(o *ReadOptions) (ReadResult, error) {
	res, news, err := p.read(o)
	if news.joins {
		p.expand(o.ReplicaID)
	}
	if news.wake {
		p.manager.Appended(p.Partition)
	}
	return res, err
}

// ReadAll reads up to the log's end, whoever leads. Unlike Log's Read it does not meet a log that another one takes
// the place of just then.
func (p *Partition) ReadAll(offset int64, maxBytes int) (storage.ReadResult, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	log := p.Log()
	return log.Read(offset, maxBytes, log.EndOffset(), true)
}

// View returns what look does with the replica's log, in whose place no other one comes meanwhile.
func (p *Partition) View(look func(*storage.Log) error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return look(p.Log())
}

// NoReplica stands for none in Nearest's answer.
const NoReplica = -1

// Nearest returns the replica that a consumer had better read o.Offset from (KIP-392), and the offsets that
// the answer is to show: among the replicas that near says yes to, the most caught-up one of the ISR.
// NoReplica: this one, because it is near or no other is, or because it does not lead.
//
// Errors: ErrFencedLeaderEpoch, ErrUnknownLeaderEpoch, ErrInconsistentTopicID.
func (p *Partition) Nearest(o *ReadOptions, near func(broker int32) bool) (int32, ReadResult, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if !p.leadsLocked() || near(p.mu.leader) {
		return NoReplica, ReadResult{}, nil
	}
	if id := p.Log().TopicID(); !o.TopicID.IsZero() && !id.IsZero() && id != o.TopicID {
		return NoReplica, FailedRead(), ErrInconsistentTopicID
	}
	p.hw.Lock()
	found := p.mu.lead.MostCaughtUp(o.Offset, near)
	p.hw.Unlock()
	if found == NoReplica {
		return NoReplica, ReadResult{}, nil
	}
	if err := p.checkEpochLocked(o.CurrentLeaderEpoch); err != nil {
		return NoReplica, FailedRead(), err
	}
	return found, ReadResult{HighWatermark: p.Log().HighWatermark(), LastStable: p.Log().LastStableOffset(), LogStart: p.Log().StartOffset()}, nil
}

// news is what a follower's fetch has changed.
type news struct {
	wake  bool // somebody may have waited for that
	joins bool // the follower may join the ISR
}

func (p *Partition) read(o *ReadOptions) (res ReadResult, n news, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if id := p.Log().TopicID(); !o.TopicID.IsZero() && !id.IsZero() && id != o.TopicID {
		return FailedRead(), n, ErrInconsistentTopicID
	}
	if err := p.checkLocked(o.CurrentLeaderEpoch, o.LeaderOnly || o.fromFollower()); err != nil {
		return FailedRead(), n, err
	}
	if err := p.checkFollowerLocked(o); err != nil {
		return FailedRead(), n, err
	}
	res = ReadResult{HighWatermark: p.Log().HighWatermark(), LastStable: p.Log().LastStableOffset(), LogStart: p.Log().StartOffset()}
	if o.LastFetchedEpoch >= 0 {
		epoch, end, ok := p.Log().EpochEndOffset(o.LastFetchedEpoch)
		switch {
		case !ok || o.Offset < res.LogStart:
			return FailedRead(), n, storage.ErrOffsetOutOfRange
		case epoch < o.LastFetchedEpoch || end < o.Offset:
			res.Diverged, res.DivergingEpoch, res.DivergingEnd = true, epoch, end
			return res, n, nil
		}
	}
	end := p.Log().EndOffset()
	if o.Offset > end || o.Offset < res.LogStart {
		return FailedRead(), n, storage.ErrOffsetOutOfRange
	}
	bound := p.boundLocked(o)
	if o.Offset < bound {
		if o.MaxBytes < 0 {
			return FailedRead(), n, errNegativeSize
		}
		read, err := p.Log().Read(o.Offset, o.MaxBytes, bound, o.MinOneBatch)
		if err != nil {
			return FailedRead(), n, err
		}
		res.Section, res.Found, res.Incomplete = read.Section, read.Found, read.Incomplete
		if o.Committed && res.Section != nil {
			res.Aborted, err = p.Log().AbortedTransactions(o.Offset, res.Section.Size(), bound)
			if err != nil {
				res.Section.Release()
				return FailedRead(), n, err
			}
		}
	}
	if o.fromFollower() && !o.Again {
		n = p.followerReadLocked(o, end)
		res.HighWatermark = p.Log().HighWatermark()
	}
	return res, n, nil
}

// errNegativeSize is for a client that asks for fewer than no bytes. Kafka finds that out where it reads (LogSegment.read),
// after everything else, and has no error code for it.
var errNegativeSize = errors.New("records of a negative size were asked for")

// boundLocked returns the first offset that o may not see.
func (p *Partition) boundLocked(o *ReadOptions) int64 {
	switch {
	case o.fromFollower():
		return p.Log().EndOffset()
	case o.Committed:
		return p.Log().LastStableOffset()
	}
	return p.Log().HighWatermark()
}

// checkFollowerLocked refuses a follower that has no replica as far as this leader was told, or is the leader itself. One
// that knows the leader epoch may know more than the leader (Partition.followerReplicaOrThrow).
func (p *Partition) checkFollowerLocked(o *ReadOptions) error {
	switch {
	case !o.fromFollower() || o.ReplicaID != p.manager.opts.BrokerID && slices.Contains(p.mu.replicas, o.ReplicaID):
		return nil
	case o.CurrentLeaderEpoch != -1:
		return ErrUnknownLeaderEpoch
	}
	return ErrNotLeader
}

// followerReadLocked notes that a follower holds everything below the offset that it fetches, and
// raises the high watermark if that commits records. Somebody may have waited for that, or for the
// follower's log start.
//
// end is where the log ended when the fetch was read. It requires mu, shared.
func (p *Partition) followerReadLocked(o *ReadOptions, end int64) (n news) {
	p.hw.Lock()
	before := p.mu.lead.LogStart(o.ReplicaID)
	p.mu.lead.Fetched(o.ReplicaID, o.Offset, o.LogStartOffset, end, p.manager.now())
	n.joins = p.mu.lead.MayJoin(o.ReplicaID, p.Log().HighWatermark())
	p.hw.Unlock()
	n.wake = p.raiseHighWatermarkLocked() || o.LogStartOffset > before
	return n
}

// InSync reports whether a replica is in the ISR, as far as its leader, which this must be, knows.
func (p *Partition) InSync(broker int32) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.leadsLocked() && slices.Contains(p.mu.lead.ISR(), broker)
}

// Available returns about how many bytes a waiting fetch could be given now, at most o.MaxBytes. It
// returns the error that Read would, where one is known without reading.
func (p *Partition) Available(o *ReadOptions) (int64, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.checkLocked(o.CurrentLeaderEpoch, o.LeaderOnly || o.fromFollower()); err != nil {
		return 0, err
	}
	if o.Offset > p.Log().EndOffset() || o.Offset < p.Log().StartOffset() {
		return 0, storage.ErrOffsetOutOfRange
	}
	return min(int64(o.MaxBytes), p.Log().Available(o.Offset, p.boundLocked(o))), nil
}

// Isolation bounds an offset lookup.
type Isolation int8

// What a reader of offsets may see: consumers what is committed (or stable), replicas everything.
const (
	ReadUncommitted Isolation = iota
	ReadCommitted
	ReadAll
)

// LastOffset returns the offset that "latest" means to a reader, with the current leader epoch.
// ErrOffsetNotAvailable: a new leader does not know yet how far its predecessors had committed.
func (p *Partition) LastOffset(known int32, iso Isolation, leaderOnly bool) (offset int64, epoch int32, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.checkLocked(known, leaderOnly); err != nil {
		return -1, -1, err
	}
	switch iso {
	case ReadAll:
		return p.Log().EndOffset(), p.mu.leaderEpoch, nil
	case ReadCommitted:
		offset = p.Log().LastStableOffset()
	default:
		offset = p.Log().HighWatermark()
	}
	if p.leadsLocked() && p.Log().HighWatermark() < p.mu.epochStart {
		return offset, p.mu.leaderEpoch, ErrOffsetNotAvailable
	}
	return offset, p.mu.leaderEpoch, nil
}
