package storage

import (
	"errors"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// discardLocked gives the files of segments that have left the log the names of files to be removed: readers that began
// before may still be at them. The caller syncs the log's directory, which makes the names durable, and then has the
// files removed (removeLater). It requires mu.
func (l *Log) discardLocked(old []*segment.Segment) error {
	for _, s := range old {
		if err := l.hastenLocked(s.Base()); err != nil {
			return err
		}
		if err := s.Rename(segment.DeletedSuffix); err != nil {
			return err
		}
		l.mu.discarded = append(l.mu.discarded, s)
	}
	return nil
}

// removeLater removes the files of discarded segments after file.delete.delay.ms, which may be 0. It is called once
// their names are durable: of files that were removed before, a power loss could keep some away and bring others back
// by their old names, and nothing would tell that these were discarded (see removeLeftovers).
func (l *Log) removeLater(old []*segment.Segment) {
	l.env.sched.after(milliseconds(l.config.Load().FileDeleteDelayMs), func() { l.removeFiles(old) })
}

// compacted reports whether there may be gaps between offsets because the log is, or was, compacted.
func (l *Log) compacted() bool { return l.config.Load().Compact || l.cleaned.Load() >= 0 }

// hastenLocked removes the files of a segment with that base offset that was discarded before: a segment that
// compaction has made has the base offset of one that it has replaced, and when it is discarded in its turn, a
// reader at the old one must not find the files of the new one by the same names. Such a reader starts over. It
// requires mu.
func (l *Log) hastenLocked(base int64) error {
	i := slices.IndexFunc(l.mu.discarded, func(s *segment.Segment) bool { return s.Base() == base })
	if i < 0 {
		return nil
	}
	s := l.mu.discarded[i]
	l.mu.discarded = slices.Delete(l.mu.discarded, i, i+1)
	return s.Delete()
}

// removeFiles removes the files of segments that were discarded some time ago, if they are still there.
func (l *Log) removeFiles(old []*segment.Segment) {
	if l.online() != nil {
		return
	}
	for _, s := range old {
		if err := s.Delete(); err != nil && !errors.Is(err, segment.ErrClosed) {
			_ = l.failed("delete a segment", err) // logged there
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.discarded = slices.DeleteFunc(l.mu.discarded, func(s *segment.Segment) bool { return slices.Contains(old, s) })
}
