package segment

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Recover makes an opened segment sound after a crash (LogSegment.recover): it checks every batch,
// cuts the file before the first one that is broken, torn or out of order, and builds the indexes
// anew. f is called for each batch that stays, in order, so that the log can rebuild producer state
// and leader epochs; it may call AppendAborted. A batch is valid during the call only. ErrForeign of f has the batch count
// as broken; any other error ends the recovery and is returned as it is. beforeCut, unless nil, is called before the file is
// cut, if it has to be: what else follows from the cut is done first, since nobody sees afterwards that there was one. Its
// error, too, is returned as it is.
//
// It returns how many bytes were cut. Nobody else may use the segment meanwhile.
func (s *Segment) Recover(f func(record.Batch) error, beforeCut func() error) (cut int64, err error) {
	if err := s.resetIndexes(); err != nil {
		return 0, s.wrap("recover", err)
	}
	h, err := s.log.Acquire()
	if err != nil {
		return 0, s.wrap("recover", err)
	}
	defer h.Release()
	size, err := h.Size()
	if err != nil {
		return 0, s.wrap("recover", err)
	}
	valid, err := s.recoverBatches(h, size, f)
	if err != nil {
		return 0, err
	}
	if valid < size && beforeCut != nil {
		if err := beforeCut(); err != nil {
			return 0, err
		}
	}
	// To the same size, too: that gives back what was reserved behind the end.
	if err := h.Truncate(valid); err != nil {
		return 0, s.wrap("recover", err)
	}
	return size - valid, s.wrap("recover", s.sealIndexes())
}

// recoverBatches goes through the file's first size bytes and returns how many of them are sound.
func (s *Segment) recoverBatches(file io.ReaderAt, size int64, f func(record.Batch) error) (int64, error) {
	r := batchReader{f: file, end: min(size, maxSize), checkLarge: true}
	for {
		pos := r.pos
		b, err := r.next()
		switch {
		case err == io.EOF || errors.Is(err, ErrCorrupt):
			return pos, nil
		case err != nil:
			return 0, s.wrap("recover", err)
		}
		if b.Check() != nil || !fitsRelative(s.base, b.LastOffset()) || b.LastOffset() < s.next {
			return pos, nil
		}
		if f != nil {
			switch err := f(b); {
			case errors.Is(err, ErrForeign):
				return pos, nil
			case err != nil:
				return 0, err
			}
		}
		s.mu.Lock()
		if pos == 0 {
			s.first, s.firstKnown = b.MaxTimestamp(), true
		}
		s.noteLocked(b, int64(len(b)), pos)
		s.mu.Unlock()
		if err := s.makeRoom(); err != nil {
			return 0, s.wrap("recover", err)
		}
	}
}

// resetIndexes empties the three indexes, creating the files that are missing, and forgets all that
// is known of the log.
func (s *Segment) resetIndexes() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sized := s.damage == nil // Open has found both index files, and their sizes
	s.gen++
	s.size, s.next, s.loaded = 0, s.base, true
	s.maxTime, s.maxKnown, s.maxProven = TimestampOffset{Timestamp: -1, Offset: s.base}, true, true
	s.first, s.firstKnown = -1, true
	s.unindexed, s.damage, s.prealloc, s.reserved = 0, nil, false, 0
	s.dirty, s.unnamed = true, true
	s.recent.reset()

	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	for _, ix := range [...]*index{&s.offsets, &s.times} {
		if !sized || ix.filed > 0 {
			if err := truncateFile(s.dir.fs, s.pathLocked(ix.kind)); err != nil {
				return err
			}
		}
		ix.filed, ix.tail, ix.lastKnown = 0, nil, true
	}
	exists, err := vfs.Exists(s.dir.fs, s.pathLocked(kindTxns))
	if err != nil {
		return err
	}
	if exists {
		err = truncateFile(s.dir.fs, s.pathLocked(kindTxns))
	}
	s.txns.exists, s.txns.count, s.txns.known = exists, 0, true
	return err
}

// truncateFile leaves an empty file at path.
func truncateFile(fsys vfs.FS, path string) error {
	f, err := fsys.OpenFile(path, vfs.ReadWrite|vfs.Create|vfs.Truncate)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return f.Close()
}

// sealIndexes adds the last time index entry and writes both indexes out.
func (s *Segment) sealIndexes() error {
	s.mu.Lock()
	s.addTimeLocked(true)
	s.mu.Unlock()
	return errors.Join(s.spill(&s.offsets), s.spill(&s.times))
}
