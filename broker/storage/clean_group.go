package storage

import (
	"math"

	"github.com/gregor-mq/gregor/broker/storage/compact"
	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// groupLimits bound what is made into one segment.
type groupLimits struct {
	bytes int64 // segment.bytes
	index int64 // segment.index.bytes
	end   int64 // no record of the segments is at or behind it
}

// groupSegments puts segments that follow each other together, as many as are not too much for one
// (Cleaner.groupSegmentsBySize): what small segments become in repeated cleanings.
func groupSegments(segments []*segment.Segment, limits groupLimits) (groups [][]*segment.Segment) {
	for len(segments) > 0 {
		n := 1
		log := segments[0].Size()
		offsets, times := segments[0].IndexBytes()
		for ; n < len(segments); n++ {
			s := segments[n]
			moreOffsets, moreTimes := s.IndexBytes()
			log, offsets, times = log+s.Size(), offsets+moreOffsets, times+moreTimes
			next := limits.end
			if n+1 < len(segments) {
				next = segments[n+1].Base()
			}
			if log > limits.bytes || offsets > limits.index || times > limits.index ||
				s.Size() > 0 && next-1-segments[0].Base() > math.MaxInt32 {
				break
			}
		}
		groups = append(groups, segments[:n:n])
		segments = segments[n:]
	}
	return groups
}

// cleanGroups makes new segments of those below upTo.
func (x *cleaning) cleanGroups(upTo int64) error {
	segments := *x.log.segments.Load()
	horizon, err := x.legacyHorizon(segments)
	if err != nil {
		return x.log.failed("look at a segment", err)
	}
	filter := compact.NewFilter(compact.FilterOptions{
		Map: x.keys, FirstUncleanable: x.end, NowMs: x.now, DeleteRetentionMs: x.config.DeleteRetentionMs,
	}, &x.stats)
	limits := groupLimits{bytes: int64(x.config.SegmentBytes), index: int64(x.config.SegmentIndexBytes), end: x.end}
	for _, group := range groupSegments(between(segments, 0, upTo), limits) {
		if err := x.cleanGroup(filter, group, horizon); err != nil {
			return err
		}
	}
	return nil
}

// legacyHorizon returns the modification time, in ms, up to which tombstones go from segments of old formats, which
// have no place for a time of their own: delete.retention.ms before that of the last clean segment.
func (x *cleaning) legacyHorizon(segments []*segment.Segment) (int64, error) {
	clean := between(segments, 0, x.firstDirty)
	if len(clean) == 0 {
		return 0, nil
	}
	modified, err := clean[len(clean)-1].LastModified()
	return modified.UnixMilli() - x.config.DeleteRetentionMs, err
}

// cleanGroup makes one segment of several and puts it in their place (Cleaner.cleanSegments).
func (x *cleaning) cleanGroup(filter *compact.Filter, group []*segment.Segment, horizon int64) error {
	o := x.log.segmentOptions(group[0].Base())
	o.Suffix = segment.CleanedSuffix
	cleaned, err := segment.Create(o)
	if err != nil {
		return x.log.failed("create a cleaned segment", err)
	}
	if err = x.fill(cleaned, filter, group, horizon); err == nil {
		err = x.finish(cleaned, group[len(group)-1])
	}
	if err != nil {
		err = x.failed("clean", err)
		if x.log.readable() == nil {
			if err := cleaned.Delete(); err != nil {
				return x.log.failed("remove a cleaned segment", err)
			}
		}
		return err
	}
	return x.log.replaceSegments(cleaned, group)
}

// fill copies what is left of the group to cleaned.
func (x *cleaning) fill(cleaned *segment.Segment, filter *compact.Filter, group []*segment.Segment, horizon int64) error {
	segments := *x.log.segments.Load()
	filter.BeginGroup(x.producers)
	for i, s := range group {
		next, err := s.NextOffset()
		if i+1 < len(group) {
			next = group[i+1].Base()
		}
		if err != nil {
			return err
		}
		aborted, err := abortedBetween(segments, s.Base(), next)
		if err != nil {
			return err
		}
		modified, err := s.LastModified()
		if err != nil {
			return err
		}
		filter.BeginSegment(aborted, modified.UnixMilli() > horizon)
		err = s.Scan(s.Base(), &x.buf, func(chunk []byte) (int, error) { return x.copy(cleaned, filter, chunk) })
		if err != nil {
			return err
		}
	}
	return nil
}

// copy appends to cleaned what is left of a chunk, and returns how much of that it has looked at.
func (x *cleaning) copy(cleaned *segment.Segment, filter *compact.Filter, chunk []byte) (int, error) {
	if err := x.proceed(len(chunk)); err != nil {
		return 0, err
	}
	kept, err := filter.Filter(chunk)
	if err != nil {
		return 0, err
	}
	if err := cleaned.Append(kept.Pieces...); err != nil {
		return 0, err
	}
	for _, txn := range kept.Aborted {
		if err := cleaned.AppendAborted(txn); err != nil {
			return 0, err
		}
	}
	if kept.Bytes > 0 {
		err = x.proceed(int(kept.Bytes))
	}
	return kept.Read, err
}

// finish makes a segment durable that has got all that it gets. It is as old as the last one it was made from.
func (x *cleaning) finish(cleaned, last *segment.Segment) error {
	if err := cleaned.Seal(); err != nil {
		return err
	}
	if err := cleaned.Flush(); err != nil {
		return err
	}
	modified, err := last.LastModified()
	if err != nil {
		return err
	}
	return cleaned.SetLastModified(modified)
}

// lastRecords returns what the log has to keep of its producers, by id. A batch that is not replicated yet may be
// truncated, and what the log knows of its producer then is in the one before it. (Kafka keeps only the last one.)
func (l *Log) lastRecords() map[int64]compact.LastRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	hw := l.highWatermark.Load()
	last := make(map[int64]compact.LastRecord, l.mu.producers.Len())
	for e := range l.mu.producers.All() {
		last[e.ID] = compact.LastRecord{DataOffset: e.LastDataOffsetBelow(hw), Epoch: e.Epoch}
	}
	return last
}
