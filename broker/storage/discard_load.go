package storage

import (
	"errors"
	"slices"

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
		next, err := ld.segments[i].NextOffset()
		if err != nil && !errors.Is(err, segment.ErrCorrupt) {
			return err
		}
		end := ld.segments[i+1].Base()
		between := func(n fileName) bool {
			return n.ext == segment.LogExt && n.base > ld.segments[i].Base() && n.base < end && (err != nil || next <= n.base)
		}
		if !slices.ContainsFunc(ld.deleted, between) {
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

// removeDeleted removes the files whose removal was pending.
func (ld *loader) removeDeleted() error {
	for _, n := range ld.deleted {
		if err := ld.env.fs.Remove(ld.file(n.full)); err != nil {
			return err
		}
	}
	return nil
}
