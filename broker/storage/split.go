package storage

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gregor-mq/gregor/broker/storage/segment"
)

// splitOverflowed splits the segments that hold offsets which are too far from their base for an index
// (LogLoader.retryOnOffsetOverflow, KAFKA-6264). Kafka does so when recovery meets such an offset, and otherwise serves
// by an index that is wrong; here a start looks at all segments that can be concerned: those that reach as far, by
// their neighbour's base, and the last one, the end of which is asked for anyway.
func (ld *loader) splitOverflowed() error {
	for i := 0; i < len(ld.segments); i++ {
		s := ld.segments[i]
		if i+1 < len(ld.segments) && ld.segments[i+1].Base()-s.Base() <= math.MaxInt32 {
			continue
		}
		over, err := s.Overflows()
		if err != nil {
			return err
		}
		if !over {
			continue
		}
		pieces, err := ld.split(s)
		if err != nil {
			return fmt.Errorf("split segment %d: %w", s.Base(), err)
		}
		ld.segments = slices.Replace(ld.segments, i, i+1, pieces...)
		i += len(pieces) - 1
	}
	return nil
}

// split puts several segments in the place of s, and returns them. A crash leaves s, or all of them:
//
//	                              a crash after it leaves
//	1. pieces, ending in .cleaned  .cleaned files: removed at the next start, which splits again
//	2. .cleaned -> .swap, the      the same, as long as there is a .cleaned file: finishReplacements undoes
//	   last one first, each synced  its base and those above, and the lowest one comes last
//	3. finishReplacements          .swap files, none of them .cleaned: the next start does it
//
// Kafka syncs none of that, and gives the pieces their final names from the lowest up. If it is killed in between, its
// next start takes those in the middle for what was replaced, and deletes them.
//
// If s does not end with a whole batch, the last start was no clean one or somebody has damaged the file; if it is
// in doubt anyway, as recovery would, the split ends there; otherwise s is left as it is.
func (ld *loader) split(s *segment.Segment) ([]*segment.Segment, error) {
	pieces, copied, txns, err := s.Split(func(base int64) (*segment.Segment, error) {
		o := ld.segmentOptions(base)
		o.Suffix, o.Preallocate = segment.CleanedSuffix, 0
		return segment.Create(o)
	})
	inDoubt := copied > 0 && !ld.clean && s == ld.segments[len(ld.segments)-1]
	if err != nil || copied < s.Size() && !inDoubt {
		for _, piece := range pieces {
			err = errors.Join(err, piece.Delete())
		}
		ld.logger().WithField("segment", s.Base()).WithField("position", copied).
			Warn("Not splitting a segment with offsets too far from its base: it is corrupt")
		return []*segment.Segment{s}, err
	}
	bases := make([]int64, len(pieces))
	for i, piece := range pieces {
		bases[i] = piece.Base()
	}
	ld.logger().WithField("segment", s.Base()).WithField("into", bases).WithField("cut", s.Size()-copied).
		Warn("Splitting a segment that holds offsets too far from its base")
	if !txns { // recovery finds them
		ld.txnsLost = append(ld.txnsLost, bases...)
	}
	if err := ld.swapIn(s, pieces); err != nil {
		return nil, err
	}
	return ld.openSegments(bases)
}

// swapIn makes pieces durable and takes them to step 3.
func (ld *loader) swapIn(s *segment.Segment, pieces []*segment.Segment) error {
	modified, err := s.LastModified()
	if err != nil {
		return err
	}
	s.Abandon()
	for _, piece := range pieces {
		if err := errors.Join(piece.Seal(), piece.Flush(), piece.SetLastModified(modified)); err != nil {
			return err
		}
	}
	if err := ld.files.Sync(); err != nil {
		return err
	}
	for _, piece := range slices.Backward(pieces) {
		if err := errors.Join(piece.Rename(segment.SwapSuffix), ld.files.Sync()); err != nil {
			return err
		}
		piece.Abandon()
	}
	names, err := ld.list()
	if err != nil {
		return err
	}
	return finishReplacements(ld.env.fs, ld.files.Path(), names)
}

func (ld *loader) openSegments(bases []int64) ([]*segment.Segment, error) {
	segments := make([]*segment.Segment, 0, len(bases))
	for _, base := range bases {
		s, err := segment.Open(ld.segmentOptions(base))
		if err != nil {
			return nil, err
		}
		segments = append(segments, s)
	}
	return segments, nil
}
