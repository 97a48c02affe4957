package segment

import "math"

// RollLimits are a topic's limits for one segment.
type RollLimits struct {
	Bytes int64 // segment.bytes
	// Age in ms: segment.ms, or the smaller of that and max.compaction.lag.ms if the log is compacted.
	AgeMs    int64
	JitterMs int64 // drawn when the segment was opened, below segment.jitter.ms
}

// RollState is what ShouldRoll needs to know of the segment.
type RollState struct {
	Base           int64
	Size           int64 // bytes
	CreatedMs      int64
	FirstTimestamp int64 // largest timestamp of the first append; negative if unknown
	IndexFull      bool
}

// Incoming describes the records about to be appended.
type Incoming struct {
	Size         int64 // bytes
	MaxTimestamp int64 // ms; negative if none
	LastOffset   int64
}

// ShouldRoll reports whether a new segment must be begun before in is appended
// (LogSegment.shouldRoll): by size, age, a full index, or offsets too far from the base.
//
// Age runs from the first timestamp to the newest incoming one, so that replaying old data rolls
// as writing it did; only without timestamps does the clock count.
func ShouldRoll(l RollLimits, s RollState, in Incoming, nowMs int64) bool {
	return s.Size > l.Bytes-in.Size ||
		s.Size > 0 && waited(s, in, nowMs) > l.AgeMs-l.JitterMs ||
		s.IndexFull || !fitsRelative(s.Base, in.LastOffset)
}

func waited(s RollState, in Incoming, nowMs int64) int64 {
	if s.FirstTimestamp >= 0 {
		return in.MaxTimestamp - s.FirstTimestamp
	}
	return nowMs - s.CreatedMs
}

// fitsRelative reports whether offset can be written relative to base in an index.
func fitsRelative(base, offset int64) bool {
	return offset >= base && offset-base <= math.MaxInt32
}
