package storage

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// LookupTimestamp finds the first record at or after the start offset whose timestamp is >= ts;
// false if there is none. Kafka gives up if the first segment that may have it has lost it.
func (l *Log) LookupTimestamp(ts int64) (found TimestampOffset, ok bool, err error) {
	err = l.reading("look up a timestamp", func(segments []*segment.Segment) error {
		start := l.start.Load()
		for _, s := range segments {
			largest, err := s.MaxTimestamp()
			if err != nil {
				return err
			}
			if largest.Timestamp < ts {
				continue
			}
			record, match, err := s.FindTimestamp(ts, start)
			if match || err != nil {
				found, ok = TimestampOffset(record), match
				return err
			}
		}
		return nil
	})
	return found, ok, err
}

// MaxTimestamp finds the first record with the log's largest timestamp (KIP-734); false if the log
// has none.
func (l *Log) MaxTimestamp() (found TimestampOffset, ok bool, err error) {
	err = l.reading("look up the largest timestamp", func(segments []*segment.Segment) error {
		var newest *segment.Segment
		most := int64(-1)
		for _, s := range segments {
			largest, err := s.MaxTimestamp()
			if err != nil {
				return err
			}
			if largest.Timestamp > most {
				newest, most = s, largest.Timestamp
			}
		}
		if newest == nil {
			return nil
		}
		record, match, err := newest.MaxTimestampRecord()
		found, ok = TimestampOffset(record), match
		return err
	})
	return found, ok, err
}

// Earliest returns the start offset with the epoch it was written under.
func (l *Log) Earliest() TimestampOffset {
	t := TimestampOffset{Timestamp: -1, Offset: l.start.Load(), LeaderEpoch: -1}
	if e, ok := l.epochs.Earliest(); ok && e.Start <= t.Offset {
		t.LeaderEpoch = e.Epoch
	}
	return t
}

// Special timestamps of ListOffsets v0.
const (
	latestTimestamp   = -1
	earliestTimestamp = -2
)

// OffsetsBefore lists base offsets of segments whose files were last written at or before ts, newest
// first, at most limit of them, as ListOffsets v0 wants it. A ts of -1 stands for the log's end
// and -2 for its start. The log's end counts as one more offset, written now.
func (l *Log) OffsetsBefore(ts int64, limit int) (offsets []int64, err error) {
	err = l.reading("list segments", func(segments []*segment.Segment) error {
		offsets, err = l.offsetsBefore(segments, ts, limit)
		return err
	})
	return offsets, err
}

func (l *Log) offsetsBefore(segments []*segment.Segment, ts int64, limit int) ([]int64, error) {
	type stamped struct{ offset, written int64 }
	end, start := l.end.Load(), l.start.Load()
	all := make([]stamped, 0, len(segments)+1)
	for _, s := range segments {
		written, err := s.LastModified()
		if err != nil {
			return nil, err
		}
		all = append(all, stamped{max(s.Base(), start), written.UnixMilli()})
	}
	if len(segments) == 0 {
		all = append(all, stamped{start, l.env.nowMs()})
	} else if segments[len(segments)-1].Size() > 0 {
		all = append(all, stamped{end, l.env.nowMs()})
	}
	switch ts {
	case latestTimestamp:
	case earliestTimestamp:
		all = all[:1]
	default:
		for len(all) > 0 && all[len(all)-1].written > ts {
			all = all[:len(all)-1]
		}
	}
	all = all[max(0, len(all)-max(0, limit)):]
	offsets := make([]int64, len(all))
	for i, s := range all {
		offsets[i] = s.offset
	}
	slices.SortFunc(offsets, func(a, b int64) int { return cmp.Compare(b, a) })
	return offsets, nil
}

// reading calls f with the segments, and again with the present ones if some were removed under it.
func (l *Log) reading(what string, f func([]*segment.Segment) error) error {
	for attempt := 1; ; attempt++ {
		if err := l.readable(); err != nil {
			return err
		}
		err := f(*l.segments.Load())
		if err == nil {
			return nil
		}
		if !removed(err) || attempt == readAttempts {
			return l.readFailed(what, err)
		}
	}
}

// removed reports whether err says that a segment, or a file of it, is gone: a reader holds no lock
// and may be at a segment that retention or a truncation is removing.
func removed(err error) bool {
	return errors.Is(err, segment.ErrClosed) || errors.Is(err, fs.ErrNotExist)
}
