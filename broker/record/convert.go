package record

import (
	"errors"
	"fmt"
	"math"
)

// Conversion makes batches fit for clients that know only older message formats (down-conversion,
// RecordsUtil.downConvert). Batches of format Magic or an older one stay as they are. Control batches are left
// out, and so are headers. Batches compressed with zstd are refused with ErrUnsupportedCompression.
type Conversion struct {
	// Magic is the newest format that the client knows.
	Magic int8
	// From is the offset of the first record that the client wants. Records before it are left out of
	// uncompressed batches, as some versions of librdkafka rely on; compressed ones stay whole.
	From int64
}

// AllConverted is what Append returns in place of an offset at the end of a batch.
const AllConverted int64 = math.MaxInt64

// RoomError says that there is no room for a message, which is kept whole, of Size bytes.
type RoomError struct{ Size int }

// Error implements error.
func (e *RoomError) Error() string {
	return fmt.Sprintf("record: a converted message of %d bytes does not fit", e.Size)
}

// Append appends b, converted, to dst. It appends at most room bytes: of an uncompressed batch as many messages as
// fit, and returns the offset to go on From; otherwise the whole batch, and AllConverted. If not even one message
// fits it returns a *RoomError, having needed no more memory than room and the largest record. On an error dst is
// returned as it was.
func (c Conversion) Append(dst []byte, b Batch, room int) (out []byte, next int64, err error) {
	kind, err := c.kind(b)
	switch {
	case err != nil:
		return dst, 0, err
	case kind == left:
		return dst, AllConverted, nil
	case kind == copied && len(b) > room:
		return dst, 0, &RoomError{len(b)}
	case kind == copied:
		return append(dst, b...), AllConverted, nil
	case kind == split:
		return c.split(dst, b, room)
	}
	message, err := c.pack(b, room)
	return append(dst, message...), AllConverted, err
}

// Size returns how many bytes Append makes of b if there is room.
func (c Conversion) Size(b Batch) (size int, err error) {
	kind, err := c.kind(b)
	switch {
	case err != nil || kind == left:
		return 0, err
	case kind == copied:
		return len(b), nil
	case kind == split:
		for r, err := range b.Records() {
			if err != nil {
				return 0, err
			}
			if r.Offset >= c.From {
				size += c.messageSize(&r)
			}
		}
		return size, nil
	}
	message, err := c.pack(b, 1)
	if room, ok := errors.AsType[*RoomError](err); ok {
		return room.Size, nil
	}
	return len(message), err
}

// Bound returns a size that Append does not exceed with b, which is not compressed, without a look at its records.
func (c Conversion) Bound(b Batch) int {
	if b.Magic() < MagicV2 {
		return len(b)
	}
	const smallest = 7 // bytes of a record without key and value
	return len(b) - HeaderSize + int(b.Count())*(c.messageSize(&Record{})-smallest)
}

// conversionKind is what becomes of a batch.
type conversionKind int

const (
	left   conversionKind = iota // it is left out
	copied                       // it stays as it is
	split                        // each record becomes a message
	packed                       // it becomes one compressed message
)

func (c Conversion) kind(b Batch) (conversionKind, error) {
	switch {
	case c.Magic < MagicV2 && b.IsControl():
		return left, nil
	case c.Magic < MagicV2 && b.Codec() == Zstd:
		return left, errorf(ErrUnsupportedCompression, "Down-conversion of zstandard-compressed batches is not supported")
	case b.Magic() <= c.Magic:
		return copied, nil
	case b.Codec() == None:
		return split, nil
	}
	return packed, nil
}

// messageSize returns the size of the message that r becomes.
func (c Conversion) messageSize(r *Record) int {
	fields := minSizeV0
	if c.Magic == MagicV1 {
		fields = minSizeV1
	}
	return OverheadSize + fields + len(r.Key) + len(r.Value)
}

// split appends a plain message for each record of b.
func (c Conversion) split(dst []byte, b Batch, room int) (out []byte, next int64, err error) {
	out, limit := dst, len(dst)+room
	for r, err := range b.Records() {
		if err != nil {
			return dst, 0, err
		}
		if r.Offset < c.From {
			continue
		}
		if size := c.messageSize(&r); len(out)+size > limit {
			if len(out) == len(dst) {
				return dst, 0, &RoomError{size}
			}
			return out, r.Offset, nil
		}
		out = appendMessage(out, c.Magic, r.Offset, b.TimestampType(), oldTimestamp(&r), r.Key, r.Value)
	}
	return out, AllConverted, nil
}

// oldTimestamp returns r's timestamp: old formats have no negative ones but for "none".
func oldTimestamp(r *Record) int64 { return max(r.Timestamp, NoTimestamp) }

// pack makes one compressed message of b, unless it were larger than room.
func (c Conversion) pack(b Batch, room int) ([]byte, error) {
	opts := BuilderOptions{Codec: b.Codec(), TimestampType: b.TimestampType(), SizeHint: min(len(b)+len(b)/8, room), Room: room}
	if opts.TimestampType == LogAppendTime {
		opts.AppendTime = max(b.MaxTimestamp(), NoTimestamp)
	}
	var builder *Builder
	for r, err := range b.Records() {
		if builder == nil && err == nil {
			opts.BaseOffset = r.Offset // what inner offsets of format v1 are relative to
			builder = NewBuilder(c.Magic, opts)
		}
		if err == nil {
			r.Headers = Headers{}
			r.Timestamp = oldTimestamp(&r)
			err = builder.AppendAt(r)
		}
		if err != nil {
			if builder != nil {
				builder.Discard()
			}
			return nil, err
		}
	}
	if builder == nil {
		return nil, nil
	}
	return builder.finish()
}
