package storage

import (
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// readAttempts bounds how often a read starts over because the segments it saw were removed or cut
// under it. Each time the log has changed, so that more than one is rare.
const readAttempts = 8

// Read finds the batches from offset on, at most maxBytes of them and none from upTo on, within one
// segment. With minOne the first batch is there even if it is larger than maxBytes (KIP-74).
// It reads no records and, at the log's tail, nothing at all from the disk.
//
// An offset equal to the log's end, or at or above upTo, finds nothing. Errors: ErrOffsetOutOfRange,
// ErrStorage, ErrClosed.
func (l *Log) Read(offset int64, maxBytes int, upTo int64, minOne bool) (ReadResult, error) {
	for attempt := 1; ; attempt++ {
		// The start is loaded first and the end before the list: both only grow, but for truncation, and
		// the list is never behind the end.
		r := ReadResult{LogStart: l.start.Load(), LogEnd: l.end.Load()}
		if offset < r.LogStart || offset > r.LogEnd {
			return r, l.outOfRange(offset, r.LogStart, r.LogEnd)
		}
		if err := l.readable(); err != nil {
			return r, err
		}
		upTo := min(upTo, r.LogEnd)
		if offset >= upTo {
			return r, nil
		}
		err := l.readFrom(offset, maxBytes, upTo, minOne, &r)
		if err == nil {
			return r, nil
		}
		if !removed(err) || attempt == readAttempts {
			return r, l.readFailed("read", err)
		}
	}
}

// readFrom fills in r.Section from the first segment that holds something in [offset, upTo).
func (l *Log) readFrom(offset int64, maxBytes int, upTo int64, minOne bool, r *ReadResult) error {
	segments := *l.segments.Load()
	for _, s := range segments[max(0, floor(segments, offset)):] {
		if s.Base() >= upTo {
			break
		}
		found, err := s.Read(offset, upTo, maxBytes, minOne)
		if err != nil {
			return err
		}
		// Compaction may have left nothing from offset on in this segment: then the next one begins it.
		if found.Section != nil || found.Partial {
			r.Section, r.Found, r.Incomplete = found.Section, found.Found, found.Partial
			missing := max(s.Base(), found.Missing)
			l.noteHole(offset, missing, missing)
			return nil
		}
	}
	if end := l.end.Load(); upTo <= end { // or else it has been truncated meanwhile
		l.noteHole(offset, upTo, end) // consumers and followers may read up to different offsets
	}
	return nil
}

// noteHole logs, once for each offset behind it, that the records from offset to upTo are not there. Readers go on behind the
// hole, or wait at it if it is the end, as in Kafka.
func (l *Log) noteHole(offset, upTo, behind int64) {
	if offset >= upTo || l.compacted() || l.lastHole.Swap(behind) == behind {
		return
	}
	l.logger().WithFields(logrus.Fields{"from": offset, "to": upTo}).
		Warn("Records are missing: if the topic was never compacted, a file of this log is damaged")
}

func (l *Log) outOfRange(offset, start, end int64) error {
	return fmt.Errorf("%w: offset %d is not in %d to %d of log %s", ErrOffsetOutOfRange, offset, start, end, l.partition)
}

// Available returns about how many bytes Read could return from offset up to upTo, over all segments,
// without allocating; 0 if there is nothing or offset is out of range. It is what a delayed fetch
// counts.
func (l *Log) Available(offset, upTo int64) int64 {
	upTo = min(upTo, l.end.Load())
	if offset < l.start.Load() || offset >= upTo {
		return 0
	}
	segments := *l.segments.Load()
	var n int64
	for _, s := range segments[max(0, floor(segments, offset)):] {
		if s.Base() >= upTo {
			break
		}
		from, err := s.Position(offset)
		if err != nil {
			return n // the fetch that follows meets the error
		}
		to, err := s.Position(upTo)
		if err != nil {
			return n
		}
		n += max(0, to-from)
	}
	return n
}

// AbortedTransactions returns the aborted transactions that a read_committed consumer must skip when
// it was given size bytes of the log from offset on (at most up to upTo).
func (l *Log) AbortedTransactions(offset, size, upTo int64) (aborted []AbortedTransaction, err error) {
	var found []segment.AbortedTxn
	err = l.reading("read the transaction index", func(segments []*segment.Segment) error {
		segments = segments[max(0, floor(segments, offset)):]
		bound, err := l.upperBound(segments, offset, size)
		if err != nil {
			return err
		}
		bound = min(bound, upTo)
		found = found[:0]
		for _, s := range segments {
			var done bool
			if found, done, err = s.Aborted(found, offset, bound); done || err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	aborted = make([]AbortedTransaction, len(found))
	for i, t := range found {
		aborted[i] = AbortedTransaction{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset}
	}
	return aborted, nil
}

// upperBound returns an offset at or beyond the end of a read of size bytes from offset on. Such a
// read begins in the first of segments that holds something from offset on.
func (l *Log) upperBound(segments []*segment.Segment, offset, size int64) (int64, error) {
	for i, s := range segments {
		position, err := s.Position(offset)
		if err != nil {
			return 0, err
		}
		if position >= s.Size() {
			continue
		}
		bound, ok, err := s.UpperBound(position, size)
		switch {
		case err != nil || ok:
			return bound, err
		case i+1 < len(segments):
			return segments[i+1].Base(), nil
		}
	}
	return l.end.Load(), nil
}
