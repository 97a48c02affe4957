package segment

import (
	"errors"
	"io/fs"
	"time"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Seal ends the time in which the segment is appended to: the time index gets its last entry, both
// indexes are written out, and what was preallocated or reserved for the log is cut. Nothing is synced; see Flush.
// A sealed segment may be appended to again, as happens after a truncation.
func (s *Segment) Seal() error {
	s.mu.RLock()
	untouched := !s.loaded && !s.dirty
	s.mu.RUnlock()
	if untouched {
		return nil
	}
	if err := s.load(); err != nil {
		return s.wrap("seal", err)
	}
	return s.wrap("seal", errors.Join(s.sealIndexes(), s.trim()))
}

// trim cuts preallocated and reserved space, and gives up what only the active segment needs.
func (s *Segment) trim() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent.reset()
	if !s.prealloc && s.reserved <= s.size {
		return nil
	}
	h, err := s.log.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	if err := h.Truncate(s.size); err != nil {
		return err
	}
	s.prealloc, s.reserved = false, 0
	return nil
}

// Spill writes the index entries in memory to the files, without a sync.
func (s *Segment) Spill() error {
	return s.wrap("spill", errors.Join(s.spill(&s.offsets), s.spill(&s.times)))
}

// MarkUnsynced has the next Flush sync the files although nothing has been written: what an opened segment holds may be
// in the memory of the system only, from a process that was killed.
func (s *Segment) MarkUnsynced() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced, s.unnamed = true, true
}

// TakeUnnamed reports whether a name of a file that came after the segment may not be durable: that of the transaction
// index, which comes with the first aborted transaction, or of an index that was made anew. The caller is going to sync
// the directory.
func (s *Segment) TakeUnnamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	unnamed := s.unnamed
	s.unnamed = false
	return unnamed
}

// Flush makes everything appended before durable, indexes included, except the files' names. It does
// nothing if nothing has changed since the last Flush. It may run beside an append.
func (s *Segment) Flush() error {
	if err := errors.Join(s.spill(&s.offsets), s.spill(&s.times)); err != nil {
		return s.wrap("flush", err)
	}
	s.mu.Lock()
	dirty := s.dirty || s.unsynced
	s.dirty, s.unsynced = false, false
	s.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := s.syncFiles(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unsynced = true
		return s.wrap("flush", err)
	}
	return nil
}

// syncFiles syncs the files that there are.
func (s *Segment) syncFiles() error {
	if err := s.loadTxns(); err != nil {
		return err
	}
	s.mu.RLock()
	txns := s.txns.exists
	s.mu.RUnlock()
	slots := []*vfs.Slot{&s.log, &s.offsets.slot, &s.times.slot}
	if txns {
		slots = append(slots, &s.txns.slot)
	}
	for _, slot := range slots {
		if err := syncSlot(slot); err != nil {
			return err
		}
	}
	return nil
}

func syncSlot(slot *vfs.Slot) error {
	h, err := slot.Acquire()
	if err != nil {
		return err
	}
	defer h.Release()
	return h.Sync()
}

// Close seals the segment and gives up its files. Readers keep what they hold.
func (s *Segment) Close() error {
	err := s.Seal()
	s.Abandon()
	return err
}

// Abandon gives up the files without writing anything, which is all one can do with a failed disk.
func (s *Segment) Abandon() {
	s.log.Close()
	s.offsets.slot.Close()
	s.times.slot.Close()
	s.txns.slot.Close()
}

// Rename puts suffix behind the names of the segment's files in place of the present one. The caller
// syncs the directory. Indexes that do not exist are passed over.
//
// A segment that goes live gets the name of its log durably before that of a transaction index: a start after a crash
// that finds such an index without its log takes it for that of a segment which was replaced. Other indexes would be
// missed then and built again, this one need not exist.
func (s *Segment) Rename(suffix string) error {
	logFirst := suffix == "" && s.hasTxns()
	s.dir.mu.Lock()
	defer s.dir.mu.Unlock()
	for kind := range kinds {
		from := s.pathLocked(kind)
		to := s.dir.fileLocked(s.base, kindExt[kind], suffix)
		err := s.dir.fs.Rename(from, to)
		if err != nil && (kind == kindLog || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
		if kind == kindLog && logFirst {
			if err := s.dir.fs.SyncDir(s.dir.path); err != nil {
				return err
			}
		}
	}
	s.suffix = suffix
	return nil
}

func (s *Segment) hasTxns() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.txns.exists
}

// Delete removes the segment's files and closes it. Files that do not exist are no error. Readers
// keep what they hold. Once only: what another segment has by the same names afterwards is not touched.
func (s *Segment) Delete() error {
	s.Abandon()
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	if s.deleted.Swap(true) {
		return nil // whoever does it holds dir.mu, which keeps those names from being given away
	}
	var errs error
	for kind := range kinds {
		_, err := vfs.RemoveIfExists(s.dir.fs, s.pathLocked(kind))
		errs = errors.Join(errs, err)
	}
	return errs
}

// LastModified returns the log file's modification time.
func (s *Segment) LastModified() (time.Time, error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	info, err := s.dir.fs.Stat(s.pathLocked(kindLog))
	return info.ModTime, err
}

// SetLastModified sets the modification time of the log and its indexes, which compaction carries
// over from what it has replaced.
func (s *Segment) SetLastModified(t time.Time) error {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return errors.Join(
		s.dir.fs.SetModTime(s.pathLocked(kindLog), t),
		s.dir.fs.SetModTime(s.pathLocked(kindOffsets), t),
		s.dir.fs.SetModTime(s.pathLocked(kindTimes), t),
	)
}
