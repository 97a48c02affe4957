// Package isr decides which replicas are in sync with the leader of a partition, and how far its high
// watermark may rise. It is pure: state, event and time in, state and decisions out.
//
// # In-sync replicas
//
// A follower is caught up while its log ends where the leader's does, or did so less than
// replica.lag.time.max.ms ago. What counts is when the follower had everything that the leader had at
// that time, not how far it is behind now, so that a busy leader does not shed followers that keep pace.
//
// The ISR that counts is the committed one: the one that the partition's state in ZooKeeper has. A leader
// changes it by proposing another, at most one at a time, conditional on the partition epoch (the version
// of the state). While a proposal is on its way, nobody knows which of the two is in force, so that the
// leader has to be safe under both:
//
//   - The high watermark waits for the maximal ISR: the committed one and whoever a proposal adds. A
//     replica that a proposal drops is waited for until the controller cannot elect it any more.
//   - acks=all counts the maximal ISR once the records are written, but the committed one before.
//
// A proposal ends by Accept, by Withdraw, or with the leader epoch. One that failed because the state has
// another version stays pending: the state was changed by the controller, whose LeaderAndIsr will tell,
// and until then both ISRs may be in force.
//
// # Joining
//
// A follower may join once its log reaches the high watermark and the start of the current leader epoch
// (KIP-279): before that, it may hold records of an earlier epoch that it has yet to truncate. While it is
// caught up but not in the ISR the high watermark waits for it, or it might never get there.
package isr

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// unknown is an offset not heard yet.
const unknown = -1

// longAgo is the time of what never happened. Times are of a clock that does not go back.
const longAgo = time.Duration(math.MinInt64 / 2)

// Assignment is what the controller decided: it begins a leader epoch.
type Assignment struct {
	Self          int32
	Replicas, ISR []int32 // not changed afterwards
	Version       int32   // partition epoch
	EpochStart    int64   // log end offset when the epoch began
}

// Tracker is the leader's view of one partition within one leader epoch.
//
// Invariants:
//   - the committed ISR is not empty, and every proposal contains the leader
//   - at most one proposal is pending
//   - what a follower is known to hold comes from its fetches within this leadership
//
// It is not safe for concurrent use. The methods that take followers' offsets into account and those that
// only look at the ISR may be guarded by different locks, as their comments say.
type Tracker struct {
	self       int32
	maxLag     time.Duration
	epochStart int64
	version    int32
	committed  []int32 // replaced, never changed in place
	pending    []int32 // nil: no proposal
	followers  []follower
}

// follower is what the leader knows of another replica.
type follower struct {
	id       int32
	logEnd   int64 // unknown until its first fetch
	logStart int64

	leaderEnd    int64         // the leader's log end at the last fetch
	lastFetch    time.Duration // when that was
	lastCaughtUp time.Duration // when it held all that the leader had
}

// Begin starts a leader epoch at now, with the leader's log ending at leaderEnd. previous is the tracker of
// the leader epoch before if this broker led in that too, and nil otherwise; it must not be used any more.
// Members of the ISR get the benefit of the doubt: they count as caught up now.
func Begin(a Assignment, maxLag time.Duration, previous *Tracker, leaderEnd int64, now time.Duration) *Tracker {
	t := &Tracker{
		self: a.Self, maxLag: maxLag, epochStart: a.EpochStart, version: a.Version,
		committed: a.ISR, followers: make([]follower, 0, len(a.Replicas)),
	}
	for _, id := range a.Replicas {
		if id == a.Self {
			continue
		}
		f := follower{id: id, logEnd: unknown, logStart: unknown, leaderEnd: unknown, lastFetch: longAgo, lastCaughtUp: longAgo}
		inSync := slices.Contains(a.ISR, id)
		if previous != nil && previous.follower(id) != nil {
			f = *previous.follower(id)
			f.leaderEnd, f.lastFetch, f.lastCaughtUp = leaderEnd, longAgo, longAgo
			if inSync {
				f.lastFetch = now
			}
		}
		if inSync {
			f.lastCaughtUp = now
		}
		t.followers = append(t.followers, f)
	}
	return t
}

func (t *Tracker) follower(id int32) *follower {
	for i := range t.followers {
		if t.followers[i].id == id {
			return &t.followers[i]
		}
	}
	return nil
}

// ISR returns the committed ISR, which must not be changed. It depends on no follower's offset.
func (t *Tracker) ISR() []int32 { return t.committed }

// Version returns the partition epoch. It depends on no follower's offset.
func (t *Tracker) Version() int32 { return t.version }

// Pending returns the ISR that is proposed, nil if none is. It depends on no follower's offset.
func (t *Tracker) Pending() []int32 { return t.pending }

// MaximalSize returns the size of the maximal ISR. It depends on no follower's offset.
func (t *Tracker) MaximalSize() int { return max(len(t.committed), len(t.pending)) }

// inMaximal reports whether the replica may count as in sync for the controller. A proposal either adds
// to the committed ISR or takes away from it.
func (t *Tracker) inMaximal(id int32) bool {
	return slices.Contains(t.committed, id) || slices.Contains(t.pending, id)
}

// Fetched notes that a follower, whose log starts at logStart, fetches from offset on, and so holds all
// below. leaderEnd is the end of the leader's log when the fetch was served. It returns false for a broker
// that is not assigned.
func (t *Tracker) Fetched(id int32, offset, logStart, leaderEnd int64, now time.Duration) bool {
	f := t.follower(id)
	if f == nil {
		return false
	}
	switch {
	case offset >= leaderEnd:
		f.lastCaughtUp = max(f.lastCaughtUp, now)
	case offset >= f.leaderEnd:
		f.lastCaughtUp = max(f.lastCaughtUp, f.lastFetch)
	}
	f.logEnd, f.logStart = offset, logStart
	f.leaderEnd = max(f.leaderEnd, leaderEnd)
	f.lastFetch = now
	return true
}

func (f *follower) caughtUp(leaderEnd int64, now, maxLag time.Duration) bool {
	return f.logEnd == leaderEnd || now-f.lastCaughtUp <= maxLag
}

// MayJoin reports whether a follower outside the ISR is to be proposed as a member, given the high watermark.
// Whether its broker is alive is for the caller to know.
func (t *Tracker) MayJoin(id int32, highWatermark int64) bool {
	if t.pending != nil || slices.Contains(t.committed, id) {
		return false
	}
	f := t.follower(id)
	return f != nil && f.logEnd >= highWatermark && f.logEnd >= t.epochStart
}

// A Member describes a replica for the log.
type Member struct {
	ID       int32
	LogEnd   int64         // -1: unknown
	CaughtUp time.Duration // how long ago
}

// Lagging returns the members of the ISR that are not caught up, or are no replicas any more, as it may be after a
// reassignment (Partition.isFollowerOutOfSync); none while a proposal is pending.
func (t *Tracker) Lagging(leaderEnd int64, now time.Duration) []Member {
	if t.pending != nil {
		return nil
	}
	var lagging []Member
	for _, id := range t.committed {
		switch f := t.follower(id); {
		case id == t.self:
		case f == nil:
			lagging = append(lagging, Member{ID: id, LogEnd: unknown, CaughtUp: now - longAgo})
		case !f.caughtUp(leaderEnd, now, t.maxLag):
			lagging = append(lagging, Member{ID: id, LogEnd: f.logEnd, CaughtUp: now - f.lastCaughtUp})
		}
	}
	return lagging
}

// ProposeAdding makes the committed ISR with id the pending proposal and returns it. It must not be called
// while one is pending.
func (t *Tracker) ProposeAdding(id int32) []int32 {
	t.pending = append(slices.Clone(t.committed), id)
	return t.pending
}

// ProposeDropping makes the committed ISR without the members given the pending proposal and returns it. It
// must not be called while one is pending.
func (t *Tracker) ProposeDropping(members []Member) []int32 {
	t.pending = slices.DeleteFunc(slices.Clone(t.committed), func(id int32) bool {
		return slices.ContainsFunc(members, func(m Member) bool { return m.ID == id })
	})
	return t.pending
}

// Accept ends the pending proposal: isr is committed now, and version the partition epoch. It returns false,
// and does nothing, if that is older than what is known, or nothing is pending.
func (t *Tracker) Accept(isr []int32, version int32) bool {
	if t.pending == nil || version < t.version {
		return false
	}
	t.pending, t.committed, t.version = nil, isr, version
	return true
}

// Withdraw ends the pending proposal: the committed ISR is in force.
func (t *Tracker) Withdraw() { t.pending = nil }

// HighWatermark returns how far the high watermark may rise: the lowest log end among the leader, the maximal
// ISR, and the followers outside of it that are caught up and whose brokers are alive. It is -1 while such
// a replica has not fetched yet.
func (t *Tracker) HighWatermark(leaderEnd int64, now func() time.Duration, alive func(id int32) bool) int64 {
	hw := leaderEnd
	for i := range t.followers {
		f := &t.followers[i]
		if f.logEnd < hw && (t.inMaximal(f.id) || f.caughtUp(leaderEnd, now(), t.maxLag) && alive(f.id)) {
			hw = f.logEnd
		}
	}
	return hw
}

// MostCaughtUp returns the member of the ISR, among those that among says yes to, whose log is longest of those
// that hold offset; if there are several, the one that was caught up last, or else that with the highest id
// (ReplicaView.comparator). -1: there is none. Followers outside of the ISR do not count: a consumer that
// reads from one may fall behind for good.
func (t *Tracker) MostCaughtUp(offset int64, among func(id int32) bool) int32 {
	var best *follower
	for i := range t.followers {
		f := &t.followers[i]
		if f.logStart > offset || f.logEnd < offset || f.logEnd == unknown || !slices.Contains(t.committed, f.id) || !among(f.id) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(f.logEnd, best.logEnd), cmp.Compare(f.lastCaughtUp, best.lastCaughtUp), cmp.Compare(f.id, best.id)) > 0 {
			best = f
		}
	}
	if best == nil {
		return -1
	}
	return best.id
}

// LogStart returns where a follower's log starts, -1 if that is not known.
func (t *Tracker) LogStart(id int32) int64 {
	if f := t.follower(id); f != nil {
		return f.logStart
	}
	return unknown
}

// LowWatermark returns the lowest log start among the leader, whose log starts at start, and the followers
// whose brokers are alive; -1 while one of these has not fetched yet.
func (t *Tracker) LowWatermark(start int64, alive func(id int32) bool) int64 {
	for i := range t.followers {
		if f := &t.followers[i]; alive(f.id) {
			start = min(start, f.logStart)
		}
	}
	return start
}
