package record

// CheckRequest checks the records of one partition in a produce request of the given version, before
// anything else is done with them (ProduceRequest.validateRecords): from version 3 on there must be
// one batch of format v2, and zstd needs version 7. Older requests may hold anything. What stands
// after the first batch is only looked at as far as to see whether it is another one.
//
// Kafka answers these errors for the partition, without a message, except ErrDecompress, which fails
// the whole request with UNKNOWN_SERVER_ERROR. That the first batch of each partition has a header
// that makes sense (Next) it has checked before, when it looked for transactional batches: if not, all
// partitions get CORRUPT_MESSAGE with Error.Message.
func CheckRequest(version int16, records []byte) error {
	if version < 3 {
		return nil
	}
	b, rest, err := Next(records)
	if err == ErrShort {
		return errorf(ErrInvalidRecord, "Produce requests with version %d must have at least one record batch per partition", version)
	}
	if err != nil {
		return err
	}
	if b.Magic() != MagicV2 {
		return errorf(ErrInvalidRecord, "Produce requests with version %d are only allowed to contain record batches with magic version 2", version)
	}
	if version < 7 {
		if !b.Codec().Valid() {
			return errorf(ErrDecompress, "Unknown compression type id: %d", int8(b.Codec()))
		}
		if b.Codec() == Zstd {
			return errorf(ErrUnsupportedCompression, "Produce requests with version %d are not allowed to use ZStandard compression", version)
		}
	}
	if _, _, err = Next(rest); err == ErrShort {
		return nil
	} else if err != nil {
		return err
	}
	return errorf(ErrInvalidRecord, "Produce requests with version %d are only allowed to contain exactly one record batch per partition", version)
}
