package storage

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// fileName is a segment's or snapshot's file name, taken apart.
type fileName struct {
	full, ext, suffix string
	base              int64
}

func (ld *loader) list() ([]fileName, error) {
	entries, err := ld.env.fs.ReadDir(ld.files.Path())
	if err != nil {
		return nil, err
	}
	names := make([]fileName, 0, len(entries))
	for _, e := range entries {
		if base, ext, suffix, ok := segment.ParseFileName(e.Name); ok && !e.Dir {
			names = append(names, fileName{full: e.Name, ext: ext, suffix: suffix, base: base})
		}
	}
	return names, nil
}

// finishReplacements completes or undoes what compaction had begun. It may be interrupted by a crash
// and run again at any point.
//
// A file that ends in .swap is the complete successor of others; it goes live, and what it replaces
// goes. But if a .cleaned file is left, the replacement had not begun for its base and those above
// (they are renamed from the highest down), so that those .swap files go and what they were made
// from stays.
func finishReplacements(fsys vfs.FS, dir string, names []fileName) error {
	minCleaned := int64(math.MaxInt64)
	for _, n := range names {
		if n.suffix == segment.CleanedSuffix {
			minCleaned = min(minCleaned, n.base)
		}
	}
	from, to := int64(math.MaxInt64), int64(-1)
	var remove, swaps []fileName
	for _, n := range names {
		switch {
		case n.suffix == segment.CleanedSuffix, n.suffix == segment.SwapSuffix && n.base >= minCleaned:
			remove = append(remove, n)
		case n.suffix == segment.SwapSuffix:
			swaps = append(swaps, n)
			if n.ext != segment.LogExt {
				continue
			}
			next, err := swapEnd(fsys, dir, n.base)
			if err != nil {
				return err
			}
			from, to = min(from, n.base), max(to, next)
		}
	}
	for _, n := range names {
		if n.suffix == "" && n.base >= from && n.base < to {
			remove = append(remove, n)
		}
	}
	for _, n := range remove {
		if err := fsys.Remove(filepath.Join(dir, n.full)); err != nil {
			return err
		}
	}
	if len(swaps) == 0 {
		return nil
	}
	if err := fsys.SyncDir(dir); err != nil { // what is replaced must not come back beside its successor
		return err
	}
	// Indexes first: once the .log has its name, a missing index would have the segment recovered, and
	// one that is in the way is removed with the next load.
	slices.SortFunc(swaps, func(a, b fileName) int { return strings.Compare(b.full, a.full) })
	for _, n := range swaps {
		final := strings.TrimSuffix(n.full, segment.SwapSuffix)
		if err := fsys.Rename(filepath.Join(dir, n.full), filepath.Join(dir, final)); err != nil {
			return err
		}
	}
	return fsys.SyncDir(dir)
}

// swapEnd returns the offset after the last record of the .log.swap file at base.
func swapEnd(fsys vfs.FS, dir string, base int64) (int64, error) {
	s, err := segment.Open(segment.Options{
		Dir: segment.NewDir(fsys, dir), Files: vfs.NewCache(1), Base: base, Suffix: segment.SwapSuffix,
		MaxIndexBytes: math.MaxInt32,
	})
	if err != nil {
		return 0, err
	}
	defer s.Abandon()
	next := base
	err = s.EachBatch(base, func(b record.Batch) error {
		next = b.NextOffset()
		return nil
	})
	return next, err
}

// removeLeftovers removes the segments that retention had removed before a power loss brought them
// back, if one behind them stayed away: its file ends in .deleted, so that the log begins after it.
// Only a log that is not compacted can tell, since compaction leaves such files as well.
func (ld *loader) removeLeftovers() error {
	if ld.config.Load().Compact {
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
