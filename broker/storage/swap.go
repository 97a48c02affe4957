package storage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// errSegmentsChanged says that a cleaning and something else were at the same segments, which cleanerStates prevents.
var errSegmentsChanged = errors.New("segments changed while they were cleaned")

// replaceSegments puts one segment, made from old ones that follow each other, in their place
// (LocalLog.replaceSegments). The new one's files end in .cleaned, and are synced.
//
//	                             a crash after it leaves
//	1. sync the directory        .cleaned files: removed at the next start, the old segments are the log
//	2. .cleaned -> .swap, sync   the same, until all files have the new name, whatever of that is durable
//	3. the list of segments      .swap files, none of them .cleaned: the next start goes on with 4
//	4. old ones -> .deleted, sync
//	5. .swap -> final, sync      the new segment; .swap files are renamed, .deleted ones removed
//
// Each sync is there because a file system may keep the later of two changes of names and lose the earlier: with old
// segments beside a new one by its final name the next start would find records twice. Groups of a cleaning follow
// each other, so that a tombstone does not go before all that it deletes has gone durably.
//
// Readers see the old or the new list, and find the same records: those of the old ones that are not in the new one
// are not missed by anybody, for that is what compaction is.
//
// The caller is between begin and end of the partition. mu is not held while anything is synced.
func (l *Log) replaceSegments(cleaned *segment.Segment, old []*segment.Segment) error {
	err := l.files.Sync()
	if err == nil {
		err = cleaned.Rename(segment.SwapSuffix)
	}
	if err == nil {
		err = l.files.Sync()
	}
	if err != nil {
		return l.failed("swap in a cleaned segment", err)
	}
	if err := l.listCleaned(cleaned, old); err != nil {
		return errors.Join(err, cleaned.Delete())
	}
	if err = l.discardReplaced(old); err == nil {
		err = l.files.Sync()
	}
	if err == nil {
		l.removeLater(old)
		err = cleaned.Rename("")
	}
	if err == nil {
		err = l.files.Sync()
	}
	if err != nil {
		return l.failed("swap in a cleaned segment", err)
	}
	return nil
}

// listCleaned puts the new segment into the list.
func (l *Log) listCleaned(cleaned *segment.Segment, old []*segment.Segment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	segments := *l.segments.Load()
	i := slices.Index(segments, old[0])
	if i < 0 || i+len(old) >= len(segments) || !slices.Equal(segments[i:i+len(old)], old) {
		return fmt.Errorf("log %s: %w", l.partition, errSegmentsChanged)
	}
	now := slices.Concat(segments[:i], []*segment.Segment{cleaned}, segments[i+len(old):])
	l.segments.Store(&now)
	return nil
}

// discardReplaced gives up the old segments, and the producer snapshots at those that have no successor of the same
// base.
func (l *Log) discardReplaced(old []*segment.Segment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return err
	}
	if err := l.discardLocked(old); err != nil {
		return err
	}
	gone := old[1:]
	return l.removeSnapshotsLocked(func(offset int64) bool {
		return slices.ContainsFunc(gone, func(s *segment.Segment) bool { return s.Base() == offset })
	})
}
