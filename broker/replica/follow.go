package replica

import (
	"fmt"

	"github.com/gregor-mq/gregor/broker/topic"
)

// Followers copies partitions from the brokers that lead them. Its methods do not wait for what is being
// copied, and may be called while a request of the controller is carried out.
type Followers interface {
	// Follow begins to copy partitions, each in place of how it was copied before, if it was.
	Follow(what ...Following)
	// Unfollow ends the copying of partitions.
	Unfollow(what ...topic.Partition)
}

// Following is a replica that copies from Leader in LeaderEpoch.
type Following struct {
	Replica     *Partition
	Leader      int32
	LeaderEpoch int32
}

// following returns whom the replica follows; false if nobody.
func (p *Partition) following() (Following, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	ok := !p.leadsLocked() && p.mu.leader >= 0
	return Following{Replica: p, Leader: p.mu.leader, LeaderEpoch: p.mu.leaderEpoch}, ok
}

// checkLocked refuses what is meant for another leader or leader epoch. It requires p.mu, shared at least.
func (f *Following) checkLocked() error {
	if p := f.Replica; p.leadsLocked() || p.mu.leader != f.Leader || p.mu.leaderEpoch != f.LeaderEpoch {
		return ErrNotFollower
	}
	return nil
}

// Place is where a follower continues to copy.
type Place struct {
	Offset    int64 // to fetch from: the log's end
	LastEpoch int32 // leader epoch of the record before, -1 if none is known (KIP-595)
	LogStart  int64
}

func (f *Following) placeLocked() Place {
	log := f.Replica.Log()
	place := Place{Offset: log.EndOffset(), LastEpoch: -1, LogStart: log.StartOffset()}
	if epoch, ok := log.LatestEpoch(); ok {
		place.LastEpoch = epoch
	}
	return place
}

// Begin returns where to begin. A log that knows no leader epochs cannot be compared with the leader's: it
// is cut at the high watermark, below which all logs agree (KIP-101).
//
// Errors, here and below: ErrNotFollower, storage.ErrStorage, storage.ErrClosed.
func (f *Following) Begin() (Place, error) {
	f.Replica.mu.RLock()
	defer f.Replica.mu.RUnlock()
	if err := f.checkLocked(); err != nil {
		return Place{}, err
	}
	place := f.placeLocked()
	if hw := f.Replica.Log().HighWatermark(); place.LastEpoch < 0 && hw < place.Offset {
		if err := f.Replica.truncateTo(hw); err != nil {
			return Place{}, err
		}
		place = f.placeLocked()
	}
	return place, nil
}

// Fetched is what a leader answered for one partition.
type Fetched struct {
	Offset        int64  // that was fetched
	Records       []byte // whole batches, and perhaps the beginning of another; not kept
	HighWatermark int64  // the leader's
	LogStart      int64  // the leader's
}

// Append writes what was fetched, in one write and as it came, takes the leader's high watermark and log
// start over, and returns where to continue.
//
// Errors besides those of Begin: ErrUnexpectedOffset, and those of storage.Log.AppendFollower.
func (f *Following) Append(what *Fetched) (Place, error) {
	place, raised, err := f.append(what)
	if raised {
		f.Replica.manager.Fetches.Check(f.Replica.Partition) // consumers may read from followers
	}
	return place, err
}

func (f *Following) append(what *Fetched) (place Place, raised bool, err error) {
	p := f.Replica
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := f.checkLocked(); err != nil {
		return Place{}, false, err
	}
	if end := p.Log().EndOffset(); what.Offset != end {
		return Place{}, false, fmt.Errorf("%w: fetched from %d, the log ends at %d", ErrUnexpectedOffset, what.Offset, end)
	}
	if len(what.Records) > 0 {
		if _, err := p.Log().AppendFollower(what.Records); err != nil {
			return Place{}, false, err
		}
	}
	before := p.Log().HighWatermark()
	hw := p.Log().SetHighWatermark(what.HighWatermark)
	if start := min(what.LogStart, hw); start > p.Log().StartOffset() {
		if _, err := p.Log().IncrementStartOffset(start); err != nil {
			return Place{}, false, err
		}
	}
	return f.placeLocked(), hw > before, nil
}

// Diverged resolves that the leader's log differs from the place fetched from on: the leader's records of
// leaderEpoch, or of the last epoch before it, end at leaderEnd. The log is cut where the two may differ
// (KIP-101, KIP-279, KIP-595); the next fetch tells whether that was far enough.
func (f *Following) Diverged(leaderEpoch int32, leaderEnd int64) (Place, error) {
	p := f.Replica
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := f.checkLocked(); err != nil {
		return Place{}, err
	}
	epoch, end, known := p.Log().EpochEndOffset(leaderEpoch)
	if !known {
		epoch, end = -1, -1
	}
	offset, ok := truncation(leaderEpoch, leaderEnd, epoch, end, p.Log().EndOffset())
	if !ok {
		return f.placeLocked(), nil
	}
	if hw := p.Log().HighWatermark(); offset < hw {
		p.logger().WithField("offset", offset).WithField("highWatermark", hw).Warn("Truncating below the high watermark")
	}
	if err := p.truncateTo(offset); err != nil {
		return Place{}, err
	}
	return f.placeLocked(), nil
}

// truncation decides where a follower cuts its log (AbstractFetcherThread.getOffsetTruncationState). The
// leader's records up to leaderEpoch end at leaderEnd. The follower's largest epoch up to that one is epoch,
// which ends at end; -1 if it has none. Its log ends at logEnd. false: nothing is known, nothing is cut.
//
//   - The same epoch: up to the end of it in the shorter log both are alike.
//   - A lower one: the follower has nothing of leaderEpoch. What it has after its own lower epoch is
//     not the leader's; about that epoch the leader has yet to be asked.
//   - None: all that the follower has is of later epochs, and not the leader's.
func truncation(leaderEpoch int32, leaderEnd int64, epoch int32, end, logEnd int64) (offset int64, ok bool) {
	switch {
	case leaderEnd < 0:
		return 0, false
	case epoch < 0:
		return min(leaderEnd, logEnd), true
	case epoch < leaderEpoch:
		return min(end, logEnd), true
	}
	return min(end, leaderEnd, logEnd), true
}

// OutOfRange resolves that the place fetched from lies outside of the leader's log, which reaches from
// leaderStart to leaderEnd: what lies beyond its end goes, and if everything lies below its start, the log
// begins anew there.
func (f *Following) OutOfRange(leaderStart, leaderEnd int64) (Place, error) {
	p := f.Replica
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := f.checkLocked(); err != nil {
		return Place{}, err
	}
	var err error
	switch end := p.Log().EndOffset(); {
	case leaderEnd < end:
		p.logger().WithField("offset", leaderEnd).WithField("end", end).Warn("The leader's log ends before this one, truncating")
		err = p.truncateTo(leaderEnd)
	case leaderStart > end:
		err = p.truncateFullyAndStartAt(leaderStart)
	}
	if err != nil {
		return Place{}, err
	}
	return f.placeLocked(), nil
}
