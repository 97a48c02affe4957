package record

// Convert appends records to dst in the format magic, for clients that know no newer one (down-
// conversion, RecordsUtil.downConvert). Batches of that format or an older one are copied as they are;
// control batches are left out; headers are dropped. Records before startOffset are left out of
// uncompressed batches, as some versions of librdkafka rely on. A batch at the end that is not whole
// is left out. Batches compressed with zstd are refused with ErrUnsupportedCompression.
func Convert(dst []byte, records []byte, magic int8, startOffset int64) ([]byte, error) {
	return dst, ErrShort
}
