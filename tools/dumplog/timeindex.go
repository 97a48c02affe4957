package dumplog

import (
	"fmt"
	"io"
	"math"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// timeIndex prints a time index and compares it with the log.
func (d *dump) timeIndex(f file) error {
	log, base, err := openIndexed(f)
	if err != nil {
		return err
	}
	defer log.close()
	offsets, err := openIndex(f.beside(segment.IndexExt), base, segment.OffsetEntrySize)
	if err != nil {
		return err
	}
	ix, err := openIndex(f, base, segment.TimeEntrySize)
	if err != nil {
		return err
	}
	if d.options.Has(indexSanity) {
		return d.passed(f, ix.checkTimes())
	}
	before := record.NoTimestamp
	for i := range ix.entries() {
		entry := segment.ParseTimeEntry(base, ix.entry(i))
		if entry.Offset == base && i > 0 {
			break // the rest is unused
		}
		part, err := log.slice(offsets.position(entry.Offset), math.MaxInt32)
		if err != nil {
			return err
		}
		if err := d.compareTime(f, part, entry, before); err != nil {
			return err
		}
		if !d.options.Has(verifyIndex) {
			fmt.Fprintf(d.out, "timestamp: %d offset: %d\n", entry.Timestamp, entry.Offset)
		}
		before = entry.Timestamp
	}
	return nil
}

// compareTime notes what is wrong with an entry of a time index. part is the log from the batch it is about, or one
// before, on.
func (d *dump) compareTime(f file, part *section, entry segment.TimestampOffset, before int64) error {
	all := newBatches(part)
	b, err := all.next()
	for err == nil && b.LastOffset() < entry.Offset {
		b, err = all.next()
	}
	switch {
	case err == io.EOF:
		d.found.notFound.add(f, entry.Offset, -1)
		return nil
	case err != nil:
		return err
	case b.LastOffset() != entry.Offset:
		d.found.notFound.add(f, entry.Offset, b.LastOffset())
		return nil
	}
	largest := record.NoTimestamp
	err = b.each(func(r *recordOf) error {
		largest = max(largest, r.Timestamp)
		return nil
	})
	if err != nil {
		return err
	}
	if largest != entry.Timestamp {
		d.found.timestamps.add(f, entry.Timestamp, largest)
	}
	if before >= entry.Timestamp {
		d.found.outOfOrder.add(f, entry.Timestamp, before)
	}
	return nil
}

// checkTimes is checkOffsets for a time index (TimeIndex.sanityCheck).
func (ix *index) checkTimes() error {
	if ix.entries() > 0 {
		first, last := segment.ParseTimeEntry(ix.base, ix.entry(0)), segment.ParseTimeEntry(ix.base, ix.entry(ix.entries()-1))
		const found = "Corrupt time index found, time index file (%s) has non-zero size but the last "
		if last.Timestamp < first.Timestamp {
			return throwable.Newf(corruptIndex, found+"timestamp is %d which is less than the first timestamp %d",
				ix.file.absolute(), last.Timestamp, first.Timestamp)
		}
		if last.Offset < ix.base {
			return throwable.Newf(corruptIndex, found+"offset is %d which is less than the first offset %d", ix.file.absolute(), last.Offset, ix.base)
		}
	}
	if ix.length%ix.width != 0 {
		return throwable.Newf(corruptIndex, "Time index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d",
			ix.file.absolute(), ix.length, ix.width)
	}
	return nil
}
