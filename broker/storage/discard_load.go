package storage

import (
	"errors"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// removeLeftovers removes the segments that retention had removed before a power loss brought them
// back, if one behind them stayed away: its file ends in .deleted, so that the log begins after it.
// Only a log that is not compacted can tell, since compaction leaves such files as well.
func (ld *loader) removeLeftovers() error {
	if ld.compacted() {
		return nil
	}
	for i := len(ld.segments) - 2; i >= 0; i-- {
		if away, err := ld.awayBehind(i); err != nil {
			return err
		} else if !away {
			continue
		}
		for _, s := range ld.segments[:i+1] {
			ld.logger().WithField("segment", s.Base()).Warn("Removing a segment that was deleted before")
			if err := s.Delete(); err != nil {
				return err
			}
		}
		ld.segments = ld.segments[i+1:]
		return ld.files.Sync() // before the evidence goes
	}
	return nil
}

// awayBehind reports whether retention had removed what lay between segment i and the next one.
//
// If segment i is damaged nobody knows where it ended, and a .deleted file need not be from behind it: Kafka leaves
// one of a segment that it had removed behind a torn tail, where segment i has gone on since. One that ends where
// the next segment begins has been its neighbour.
func (ld *loader) awayBehind(i int) (bool, error) {
	next, err := ld.segments[i].NextOffset()
	damaged := errors.Is(err, segment.ErrCorrupt)
	if err != nil && !damaged {
		return false, err
	}
	end := ld.segments[i+1].Base()
	for _, n := range ld.deleted {
		if n.ext != segment.LogExt || n.base <= ld.segments[i].Base() || n.base >= end {
			continue
		}
		if !damaged {
			if next <= n.base {
				return true, nil
			}
			continue
		}
		switch to, err := endOf(ld.env.fs, ld.files.Path(), n.base, segment.DeletedSuffix); {
		case err != nil && !errors.Is(err, segment.ErrCorrupt):
			return false, err
		case err == nil && to == end:
			return true, nil
		}
	}
	return false, nil
}

// removeDeleted removes the files whose removal was pending.
func (ld *loader) removeDeleted() error {
	for _, n := range ld.deleted {
		if err := ld.env.fs.Remove(ld.file(n.full)); err != nil {
			return err
		}
	}
	return nil
}
