package dumplog

import (
	"errors"
	"fmt"
	"io"
	"os"

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

// openIndexed opens the log that an index is about, and returns the base offset of both.
func openIndexed(f file) (log *section, base int64, err error) {
	if base, err = f.offset(); err != nil {
		return nil, 0, err
	}
	log, err = openLog(f.beside(segment.LogExt))
	return log, base, err
}

func (ix *index) entries() int { return len(ix.data) / ix.width }

func (ix *index) entry(i int) []byte { return ix.data[i*ix.width : (i+1)*ix.width] }

// offsetIndex prints an offset index and compares it with the log.
func (d *dump) offsetIndex(f file) error {
	log, base, err := openIndexed(f)
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
