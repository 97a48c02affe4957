package dumplog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/broker/storage/segment"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const (
	corruptIndex  = "org.apache.kafka.storage.internals.log.CorruptIndexException"
	noSuchElement = "java.util.NoSuchElementException"
)

// index is an offset or time index. A file that a broker has open may end in entries that are all zero.
type index struct {
	file   file
	base   int64
	length int    // of the file in bytes
	data   []byte // whole entries
	width  int
}

func openIndex(f file, base int64, width int) (*index, error) {
	data, err := f.readAll()
	if errors.Is(err, os.ErrNotExist) {
		return nil, throwable.New(throwable.IllegalArgument, "Invalid max index size: -1") // Kafka tries to make one
	}
	return &index{file: f, base: base, length: len(data), data: data[:len(data)/width*width], width: width}, err
}

func (ix *index) entries() int { return len(ix.data) / ix.width }

func (ix *index) entry(i int) []byte { return ix.data[i*ix.width : (i+1)*ix.width] }

// offsetIndex prints an offset index and compares it with the log.
func (d *dump) offsetIndex(f file) error {
	base, err := f.offset()
	if err != nil {
		return err
	}
	log, err := openLog(f.beside(segment.LogExt))
	if err != nil {
		return err
	}
	defer log.close()
	ix, err := openIndex(f, base, segment.OffsetEntrySize)
	if err != nil {
		return err
	}
	if ix.entries() == 0 {
		fmt.Fprintf(d.out, "%s is empty.\n", f)
		return nil
	}
	limit, _, err := d.options.Int32(maxMessageSize)
	switch {
	case err != nil:
		return err
	case d.options.Has(indexSanity):
		return d.passed(f, ix.checkOffsets())
	}
	for i := range ix.entries() {
		offset, position := segment.ParseOffsetEntry(base, ix.entry(i))
		if offset == base && i > 0 {
			break // the rest is unused
		}
		if err := d.compareOffset(f, log, offset, position, int64(limit)); err != nil {
			return err
		}
		if !d.options.Has(verifyIndex) {
			fmt.Fprintf(d.out, "offset: %d position: %d\n", offset, position)
		}
	}
	return nil
}

// compareOffset notes if the batch at position does not end with offset.
func (d *dump) compareOffset(f file, log *section, offset, position, limit int64) error {
	part, err := log.slice(position, limit)
	if err != nil {
		return err
	}
	b, err := newBatches(part).next()
	if err == io.EOF {
		return throwable.New(noSuchElement, "")
	}
	if err == nil && b.LastOffset() != offset {
		d.found.offsets.add(f, offset, b.LastOffset())
	}
	return err
}

// passed prints that a file has passed the sanity check unless err says that it has not.
func (d *dump) passed(f file, err error) error {
	if err == nil {
		_, err = fmt.Fprintf(d.out, "%s passed sanity check.\n", f)
	}
	return err
}

// checkOffsets is the check of an offset index that a broker makes when it starts (OffsetIndex.sanityCheck).
func (ix *index) checkOffsets() error {
	if last, _ := segment.ParseOffsetEntry(ix.base, ix.entry(ix.entries()-1)); last < ix.base {
		return throwable.Newf(corruptIndex, "Corrupt index found, index file %s has non-zero size but the last offset is %d which is less "+
			"than the base offset %d", ix.file.absolute(), last, ix.base)
	}
	if ix.length%ix.width != 0 {
		return throwable.Newf(corruptIndex, "Index file %s is corrupt, found %d bytes which is neither positive nor a multiple of %d",
			ix.file.absolute(), ix.length, ix.width)
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

// warmBytes is the end of an index that Kafka's search looks at first.
const warmBytes = 8192

// position returns where in the log a search for offset begins (OffsetIndex.lookup). The search is Kafka's, so that it
// finds the same in an index whose entries are in no order.
func (ix *index) position(offset int64) int64 {
	count := ix.entries()
	at := func(i int) int64 {
		entry, _ := segment.ParseOffsetEntry(ix.base, ix.entry(i))
		return entry
	}
	if count == 0 {
		return 0
	}
	lo, hi := 0, count-1
	if warm := max(0, count-1-warmBytes/ix.width); at(warm) < offset {
		lo = warm
	} else {
		if at(0) > offset {
			return 0
		}
		hi = warm
	}
	for lo < hi {
		mid := (lo + hi + 1) / 2
		switch found := at(mid); {
		case found > offset:
			hi = mid - 1
		case found < offset:
			lo = mid
		default:
			lo, hi = mid, mid
		}
	}
	_, position := segment.ParseOffsetEntry(ix.base, ix.entry(lo))
	return position
}

// timeIndex prints a time index and compares it with the log.
func (d *dump) timeIndex(f file) error {
	base, err := f.offset()
	if err != nil {
		return err
	}
	log, err := openLog(f.beside(segment.LogExt))
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
