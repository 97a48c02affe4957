package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

// Kinds of a segment's files, for the cache of open files.
const (
	kindLog uint8 = iota
	kindOffsets
	kindTimes
	kindTxns
	kinds
)

var kindExt = [kinds]string{LogExt, IndexExt, TimeExt, TxnExt}

func newSegment(opts Options) *Segment {
	s := &Segment{
		dir: opts.Dir, base: opts.Base, suffix: opts.Suffix,
		interval: opts.IndexIntervalBytes, maxIndex: opts.MaxIndexBytes,
		created: opts.NowMs, next: opts.Base, first: -1,
		maxTime: TimestampOffset{Timestamp: -1, Offset: opts.Base},
	}
	s.log.Init(opts.Files, s, kindLog)
	s.offsets.kind, s.offsets.width = kindOffsets, offsetWidth
	s.offsets.slot.Init(opts.Files, s, kindOffsets)
	s.times.kind, s.times.width = kindTimes, timeWidth
	s.times.slot.Init(opts.Files, s, kindTimes)
	s.txns.slot.Init(opts.Files, s, kindTxns)
	return s
}

// OpenSlot implements vfs.Opener. Files are never created here, so that a late reader cannot bring
// back those of a deleted segment.
func (s *Segment) OpenSlot(kind uint8) (vfs.File, error) {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	if s.dir.isOffline() {
		return nil, ErrClosed
	}
	f, err := s.dir.fs.OpenFile(s.pathLocked(kind), vfs.ReadWrite)
	if err == nil && s.dir.isOffline() { // a disk that fails takes its time; by now its files may have been closed
		_ = f.Close() // it has just been opened
		return nil, ErrClosed
	}
	return f, err
}

// pathLocked requires dir.mu.
func (s *Segment) pathLocked(kind uint8) string {
	return s.dir.fileLocked(s.base, kindExt[kind], s.suffix)
}

// Create makes a new, empty segment in place of what may be left of one with the same base. The
// names are durable once the directory is synced (Dir.Sync).
func Create(opts Options) (*Segment, error) {
	s := newSegment(opts)
	if err := s.createFiles(opts.Preallocate); err != nil {
		return nil, s.wrap("create", err)
	}
	s.loaded, s.maxKnown, s.maxProven, s.firstKnown, s.dirty = true, true, true, true, true
	s.offsets.lastKnown, s.times.lastKnown = true, true
	return s, nil
}

func (s *Segment) createFiles(preallocate int64) error {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	if _, err := vfs.RemoveIfExists(s.dir.fs, s.pathLocked(kindTxns)); err != nil {
		return err
	}
	s.txns.known = true
	for _, kind := range [...]uint8{kindLog, kindOffsets, kindTimes} {
		f, err := s.dir.fs.OpenFile(s.pathLocked(kind), vfs.ReadWrite|vfs.Create|vfs.Truncate)
		if err != nil {
			return err
		}
		if kind == kindLog && preallocate > 0 {
			s.prealloc = true
			err = f.Truncate(preallocate)
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Open takes a segment that exists. It only looks at the sizes of its files; see Damage for what that
// may show. Everything else is read when it is needed.
func Open(opts Options) (*Segment, error) {
	s := newSegment(opts)
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	info, err := s.dir.fs.Stat(s.pathLocked(kindLog))
	if err != nil {
		return nil, fmt.Errorf("open %w", err)
	}
	s.size = info.Size
	if info.Size > maxSize {
		s.damage = fmt.Errorf("%w: %d bytes", ErrCorrupt, info.Size)
	}
	for _, ix := range [...]*index{&s.offsets, &s.times} {
		info, err := s.dir.fs.Stat(s.pathLocked(ix.kind))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.damage = fmt.Errorf("%w: %s is missing", ErrCorrupt, FileName(s.base, kindExt[ix.kind]))
		case err != nil:
			return nil, fmt.Errorf("open %w", err)
		case info.Size%int64(ix.width) != 0:
			s.damage = fmt.Errorf("%w: %s has %d bytes, no multiple of %d",
				ErrCorrupt, FileName(s.base, kindExt[ix.kind]), info.Size, ix.width)
		default:
			ix.filed = int(info.Size / int64(ix.width))
		}
	}
	return s, nil
}

// NextOffset returns the offset after the segment's last record, and the base if it is empty. An
// opened segment reads for it, once, what lies behind its last index entry; ErrCorrupt then means
// that the file does not end with a whole batch and has to be recovered.
func (s *Segment) NextOffset() (int64, error) {
	if err := s.load(); err != nil {
		return 0, s.wrap("load", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.next, nil
}

// load learns what an append needs to know of an opened segment.
func (s *Segment) load() error {
	s.mu.RLock()
	loaded, gen, size := s.loaded, s.gen, s.size
	s.mu.RUnlock()
	if loaded {
		return nil
	}
	if err := errors.Join(s.loadLast(&s.offsets), s.loadLast(&s.times)); err != nil {
		return err
	}
	s.mu.RLock()
	from, newest, entries := int64(0), s.lastTimeLocked(), s.offsets.countLocked()
	if entries > 0 {
		from = entryPosition(s.offsets.last[:])
	}
	s.mu.RUnlock()
	if entries > 0 && (from < 0 || from >= size) {
		return fmt.Errorf("%w: offset index points to %d of %d bytes", ErrCorrupt, from, size)
	}
	next, newest, err := s.walkEnd(from, size, newest)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == gen && !s.loaded {
		s.next, s.loaded = next, true
		s.maxTime, s.maxKnown = newest, true
	}
	return nil
}

// walkEnd walks the batches of [from, size), which must be whole. It returns the offset after the
// last one and the largest timestamp, newest included.
func (s *Segment) walkEnd(from, size int64, newest TimestampOffset) (int64, TimestampOffset, error) {
	next := s.base
	if from == size {
		return next, newest, nil
	}
	h, err := s.log.Acquire()
	if err != nil {
		return 0, newest, err
	}
	defer h.Release()
	w := newWalker(h, from, size)
	defer w.done()
	for {
		head, n, err := w.head()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, newest, err
		}
		next = head.LastOffset() + 1
		if ts := head.MaxTimestamp(); ts > newest.Timestamp {
			newest = TimestampOffset{Timestamp: ts, Offset: head.LastOffset()}
		}
		w.pos += n
	}
	if w.pos != size {
		return 0, newest, corruptAt(w.pos, io.ErrUnexpectedEOF)
	}
	return next, newest, nil
}
