package storage

import (
	"cmp"
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

// finishReplacements completes or undoes what compaction had begun (see replaceSegments). It may be
// interrupted by a crash and run again at any point.
//
// A file that ends in .swap is part of the complete successor of others; it goes live, and what it replaces
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
	undone := func(n fileName) bool { return n.suffix == segment.SwapSuffix && n.base >= minCleaned }
	// The .cleaned files are the evidence against the .swap files, and go once those cannot come back.
	if err := removeWhere(fsys, dir, names, undone); err != nil {
		return err
	}
	from, to, err := replacedRange(fsys, dir, names, undone)
	if err != nil {
		return err
	}
	// What is replaced must not come back beside its successor.
	err = removeWhere(fsys, dir, names, func(n fileName) bool {
		replaced := n.suffix == "" && n.ext != segment.SnapshotExt && n.base >= from && n.base < to
		return replaced || n.suffix == segment.CleanedSuffix
	})
	if err != nil {
		return err
	}
	// The .log first, durably: an index that has its name while the .log has not would be taken for the old segment's
	// by the next load. Where it is the index that has not, the next load gives it its name.
	var logs, indexes []fileName
	for _, n := range names {
		switch {
		case n.suffix != segment.SwapSuffix || undone(n):
		case n.ext == segment.LogExt:
			logs = append(logs, n)
		default:
			indexes = append(indexes, n)
		}
	}
	// The highest first, one by one: between two that still end in .swap the next load would remove one that does not.
	slices.SortFunc(logs, func(a, b fileName) int { return cmp.Compare(b.base, a.base) })
	for i, n := range append(logs, indexes...) {
		if i > 0 && i <= len(logs) {
			if err := fsys.SyncDir(dir); err != nil {
				return err
			}
		}
		final := strings.TrimSuffix(n.full, segment.SwapSuffix)
		if err := fsys.Rename(filepath.Join(dir, n.full), filepath.Join(dir, final)); err != nil {
			return err
		}
	}
	return fsys.SyncDir(dir)
}

// removeWhere removes files, if there are any, for good.
func removeWhere(fsys vfs.FS, dir string, names []fileName, which func(fileName) bool) error {
	n := 0
	for _, name := range names {
		if !which(name) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, name.full)); err != nil {
			return err
		}
		n++
	}
	if n == 0 {
		return nil
	}
	return fsys.SyncDir(dir)
}

// replacedRange returns the range of the base offsets that .swap files replace, but for those undone: from the
// first one's base up to the end of the last one's records. A segment behind that has nothing left that is not
// somewhere behind it as well, or it would have been in the range.
func replacedRange(fsys vfs.FS, dir string, names []fileName, undone func(fileName) bool) (from, to int64, err error) {
	from, to = math.MaxInt64, -1
	for _, n := range names {
		if n.suffix != segment.SwapSuffix || n.ext != segment.LogExt || undone(n) {
			continue
		}
		next, err := endOf(fsys, dir, n.base, segment.SwapSuffix)
		if err != nil {
			return 0, 0, err
		}
		// Of an empty one its own base at least: an index of the old segment must not go with it.
		from, to = min(from, n.base), max(to, next, n.base+1)
	}
	return splitFrom(fsys, dir, names, from, to)
}

// splitFrom lowers from to the segment that was split into those of [from, to), if that is still there and the first
// of its records was too far from its base.
func splitFrom(fsys vfs.FS, dir string, names []fileName, from, to int64) (int64, int64, error) {
	below := int64(-1)
	for _, n := range names {
		if n.suffix == "" && n.ext == segment.LogExt && n.base < from {
			below = max(below, n.base)
		}
	}
	if below < 0 || to-1-below <= math.MaxInt32 {
		return from, to, nil
	}
	end, err := endOf(fsys, dir, below, "")
	switch {
	case err != nil && !errors.Is(err, segment.ErrCorrupt):
		return from, to, err
	case end <= from:
		return from, to, nil
	}
	return below, to, nil
}

// endOf returns the offset after the last record of the log file at base that ends in suffix.
func endOf(fsys vfs.FS, dir string, base int64, suffix string) (int64, error) {
	s, err := segment.Open(segment.Options{
		Dir: segment.NewDir(fsys, dir, nil), Files: vfs.NewCache(1), Base: base, Suffix: suffix,
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
