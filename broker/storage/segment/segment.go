package segment

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/gregor-mq/gregor/broker/storage/vfs"
)

var (
	// ErrCorrupt reports bytes in a log file that cannot be a batch, where there should be one.
	ErrCorrupt = errors.New("corrupt log segment")
	// ErrFull reports an append that would exceed what indexes can express: the owner has to roll.
	ErrFull = errors.New("log segment is full")
	// ErrForeign is what Recover's callback answers to a sound batch that is none of the log's.
	ErrForeign = errors.New("batch of another past of the log")
	// ErrClosed reports the use of a segment that was deleted or closed meanwhile. A reader holding an
	// old list of segments starts over with the present one.
	ErrClosed = vfs.ErrSlotClosed
)

// maxSize bounds a segment in bytes, since index entries hold positions as int32.
const maxSize = math.MaxInt32

// Options describe a segment; all but Suffix and Preallocate are required.
type Options struct {
	Dir   *Dir
	Files *vfs.Cache // shared by all logs
	Base  int64      // first offset the segment may hold
	// Suffix is what follows the files' extensions: "" or CleanedSuffix.
	Suffix             string
	IndexIntervalBytes int   // index.interval.bytes
	MaxIndexBytes      int   // segment.index.bytes
	NowMs              int64 // the present time, from which an age without timestamps counts
	Preallocate        int64 // segment.bytes if preallocate=true: size of a new log file until it is sealed
}

// TimestampOffset is a timestamp and the offset where it was found.
type TimestampOffset struct {
	Timestamp int64 // ms since 1970; -1: none
	Offset    int64
}

// Segment is one segment of a log. See the package for who may call what at the same time.
//
// Invariants:
//   - the log file's first size bytes are whole batches; what lies behind is never read
//   - an index's entries ascend, each names a batch boundary below size
//   - index entries on disk come before those in memory
type Segment struct {
	dir      *Dir
	base     int64
	interval int
	maxIndex int
	suffix   string      // under dir.mu
	deleted  atomic.Bool // its files are gone, or being removed; stored under dir.mu, shared
	log      vfs.Slot
	offsets  index
	times    index
	txns     txnIndex
	hints    hints
	spillMu  sync.Mutex // held while entries move from memory to an index file

	mu      sync.RWMutex
	gen     uint64 // counts truncations
	size    int64  // bytes of the log
	next    int64  // last offset + 1; unknown if not loaded
	loaded  bool   // next and the counters of the indexes are known
	created int64  // ms

	prealloc bool // the file is longer than size on purpose
	// reserved is the end of the room on disk that Reserve was asked for, 0 if it was not; the writer's.
	reserved     int64
	unreservable bool // Reserve has failed; the writer's
	dirty        bool // appended since the last Flush
	unsynced     bool // see MarkUnsynced
	unnamed      bool // see TakeUnnamed
	maxTime      TimestampOffset
	maxKnown     bool
	maxProven    bool  // maxTime is what the batches say, not only the index
	first        int64 // largest timestamp of the first append
	// firstKnown is false until the first batch of an opened segment was read.
	firstKnown bool
	unindexed  int // bytes since the last offset index entry
	recent     recent
	damage     error
}

// Base returns the segment's base offset.
func (s *Segment) Base() int64 { return s.base }

// Dir returns the directory that the segment is in.
func (s *Segment) Dir() *Dir { return s.dir }

// Size returns the number of bytes of batches.
func (s *Segment) Size() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.size
}

// IndexBytes returns the sizes of the offset index and the time index.
func (s *Segment) IndexBytes() (offsets, times int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return int64(s.offsets.countLocked()) * offsetWidth, int64(s.times.countLocked()) * timeWidth
}

// Damage returns why an opened segment needs Recover before it is used: an index that is missing or
// cannot be right. It is nil if nothing is known to be wrong.
func (s *Segment) Damage() error { return s.damage }

// IndexFull reports whether an index has no room for another entry, so that the owner rolls.
func (s *Segment) IndexFull() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.fullLocked()
}

// fullLocked requires mu. The time index keeps its last place for the entry that Seal writes.
func (s *Segment) fullLocked() bool {
	return s.offsets.countLocked() >= s.maxIndex/offsetWidth || s.times.countLocked() >= s.maxIndex/timeWidth-1
}

// RollState returns what ShouldRoll needs to know; it reads the first batch if that is not known.
func (s *Segment) RollState() (RollState, error) {
	first, err := s.firstTimestamp()
	if err != nil {
		return RollState{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return RollState{Base: s.base, Size: s.size, CreatedMs: s.created, FirstTimestamp: first, IndexFull: s.fullLocked()}, nil
}

// String names the segment in messages.
func (s *Segment) String() string {
	s.dir.mu.RLock()
	defer s.dir.mu.RUnlock()
	return s.dir.fileLocked(s.base, LogExt, s.suffix)
}

func (s *Segment) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, s, err)
}
