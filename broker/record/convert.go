package record

// Convert appends records to dst in the format magic, for clients that know no newer one (down-
// conversion, RecordsUtil.downConvert). Batches of that format or an older one are copied as they are;
// control batches are left out, and so are headers. Records before startOffset are left out of
// uncompressed batches, as some versions of librdkafka rely on. A batch at the end that is not whole
// is left out. Batches compressed with zstd are refused with ErrUnsupportedCompression.
//
// On an error dst holds what was converted before.
func Convert(dst []byte, records []byte, magic int8, startOffset int64) ([]byte, error) {
	err := Each(records, func(b Batch) (err error) {
		switch {
		case magic < MagicV2 && b.IsControl():
			return nil
		case magic < MagicV2 && b.Codec() == Zstd:
			return errorf(ErrUnsupportedCompression, "Down-conversion of zstandard-compressed batches is not supported")
		case b.Magic() <= magic:
			dst = append(dst, b...)
			return nil
		}
		dst, err = convert(dst, b, magic, startOffset)
		return err
	})
	return dst, err
}

// convert appends one batch, which is of a newer format than magic.
func convert(dst []byte, b Batch, magic int8, startOffset int64) ([]byte, error) {
	opts := BuilderOptions{Codec: b.Codec(), TimestampType: b.TimestampType(), SizeHint: len(b) + len(b)/8}
	if opts.TimestampType == LogAppendTime {
		opts.AppendTime = max(b.MaxTimestamp(), NoTimestamp)
	}
	var builder *Builder
	for r, err := range b.Records() {
		if err == nil && b.Codec() == None && r.Offset < startOffset {
			continue
		}
		if builder == nil && err == nil {
			opts.BaseOffset = r.Offset // what inner offsets of format v1 are relative to
			builder = NewBuilder(magic, opts)
		}
		if err == nil {
			r.Headers = Headers{}
			r.Timestamp = max(r.Timestamp, NoTimestamp) // old formats have no others
			err = builder.AppendAt(r)
		}
		if err != nil {
			if builder != nil {
				builder.Discard()
			}
			return dst, err
		}
	}
	if builder == nil {
		return dst, nil
	}
	out, err := builder.finish()
	return append(dst, out...), err
}
