package dumplog

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/gregor-mq/gregor/broker/record"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// log prints the batches of a log, and their records if that was asked for.
func (d *dump) log(f file) error {
	printer, err := d.newPrinter()
	if err != nil {
		return err
	}
	limit, _, err := d.options.Int32(maxBytes)
	if err != nil {
		return err
	}
	base, err := f.offset()
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Log starting offset: %d\n", base)
	all, err := openLog(f)
	if err != nil {
		return err
	}
	defer all.close()
	part, err := all.slice(0, int64(limit))
	if err != nil {
		return err
	}
	reader, last := newBatches(part), int64(-1)
	for {
		b, err := reader.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = d.batch(f, b, printer, &last)
		}
		if err != nil {
			return err
		}
	}
	if rest := part.end - reader.position; rest > 0 && limit == math.MaxInt32 {
		fmt.Fprintf(d.out, "Found %d invalid bytes at the end of %s\n", rest, f.name())
	}
	return nil
}

// batch prints a batch. last is the offset of the last record before it, -1 if there is none, and set to its own.
func (d *dump) batch(f file, b *batch, printer *printer, last *int64) error {
	line, err := b.describe(nil)
	if _, failed := d.out.Write(line); err != nil || failed != nil {
		return firstOf(err, failed)
	}
	if !printer.deep {
		return nil
	}
	return b.each(func(r *recordOf) error {
		if *last != -1 && r.Offset != *last+1 {
			d.found.nonConsecutive.add(f, *last, r.Offset)
		}
		*last = r.Offset
		line, err := printer.format(line[:0], b, r)
		_, failed := d.out.Write(line)
		return firstOf(err, failed)
	})
}

func firstOf(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// describe appends the line about the batch. If there is an error, the line ends where Kafka's does.
func (b *batch) describe(dst []byte) ([]byte, error) {
	if b.magic >= record.MagicV2 {
		dst = fmt.Appendf(dst, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
			"partitionLeaderEpoch: %d isTransactional: %t isControl: %t deleteHorizonMs: %s", b.BaseOffset(), b.LastOffset(), b.Count(),
			b.BaseSequence(), b.LastSequence(), b.ProducerID(), b.ProducerEpoch(), b.LeaderEpoch(), b.IsTransactional(), b.IsControl(),
			optional(b.DeleteHorizon()))
	} else {
		dst = fmt.Appendf(dst, "offset: %d", b.LastOffset())
	}
	if b.magic < record.MagicV0 {
		return dst, throwable.Newf(throwable.IllegalArgument, "Invalid magic used in LegacyRecord: %d", b.magic)
	}
	codec := b.Codec()
	if !codec.Valid() {
		return dst, throwable.Newf(throwable.IllegalArgument, "Unknown compression type id: %d", int8(codec))
	}
	_, valid, err := b.load()
	if err != nil {
		return dst, err
	}
	return fmt.Appendf(dst, " position: %d %s: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n", b.position, b.TimestampType(),
		b.MaxTimestamp(), b.size, b.magic, codec, b.CRC(), valid), nil
}

// recordOf is a record with what only some formats know of it.
type recordOf struct {
	record.Record              // without key and value, if it is legacy
	legacy        record.Batch // the message of format v0 or v1; nil for others
}

// each calls f with the records of the batch. As Kafka does, it goes through all that are compressed first, so that f
// sees none if one of them is broken.
func (b *batch) each(f func(*recordOf) error) error {
	whole, _, err := b.load()
	switch {
	case err != nil:
		return err
	case b.magic >= record.MagicV2 && len(whole) < record.HeaderSize:
		return throwable.New(throwable.IndexOutOfBounds, "")
	case !whole.Codec().Valid():
		return throwable.Newf(throwable.IllegalArgument, "Unknown compression type id: %d", int8(whole.Codec()))
	}
	if whole.Codec() != record.None {
		if whole.Magic() < record.MagicV2 {
			if _, err := legacyValue(whole); err != nil {
				return err
			}
		}
		if err := records(whole, func(*recordOf) error { return nil }); err != nil {
			return err
		}
	}
	return records(whole, f)
}

// records calls f with the records of a batch.
func records(b record.Batch, f func(*recordOf) error) error {
	if b.Magic() >= record.MagicV2 {
		for r, err := range b.Records() {
			if err == nil {
				err = f(&recordOf{Record: r})
			}
			if err != nil {
				return exception(err)
			}
		}
		return nil
	}
	for m, err := range b.Messages() {
		if err == nil {
			err = f(&recordOf{Record: record.Record{Offset: m.Offset, Timestamp: m.Timestamp}, legacy: m.Raw})
		}
		if err != nil {
			return exception(err)
		}
	}
	return nil
}
