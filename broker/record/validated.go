package record

// Validated is what Policy.Validate and CheckReplicated return: batches that may be written.
type Validated struct {
	// Records is what to write. It aliases what was validated unless Rebuilt; it is empty if there was
	// no whole batch, which Kafka takes without an error.
	Records []byte
	Batches int
	// Count is the number of records. For replicated messages of an old format that are compressed,
	// which do not say, it is a lower bound.
	Count int64
	// FirstOffset is the offset of the first record, LastOffset that of the last; on the leader they
	// are 0 and Count-1 before Assign. For replicated messages of an old format that are compressed,
	// FirstOffset is the last offset of the first one.
	FirstOffset, LastOffset int64
	// MaxTimestamp is the largest timestamp, NoTimestamp if there is none; MaxTimestampOffset is the
	// last offset of the first batch that has it (shallowOffsetOfMaxTimestamp), -1 if there is none.
	MaxTimestamp, MaxTimestampOffset int64
	// AppendTime is the time in ms that the records got with LogAppendTime, and else NoTimestamp.
	AppendTime int64
	// Rebuilt says that Records are new bytes, because format, codec or inner offsets had to change.
	Rebuilt bool
	// Converted is the number of records whose format was changed
	// (ProduceMessageConversionsPerSec).
	Converted int64
}

// Assign gives the records their place in the log: the first one gets offset base, all batches the
// leader's epoch. Both lie outside the checksum, so that it only patches a few bytes.
func (v *Validated) Assign(base int64, leaderEpoch int32) {
	shift := base - v.FirstOffset
	for rest := v.Records; len(rest) > 0; {
		b, next, err := Next(rest)
		if err != nil {
			return // cannot be: Validate has walked the batches
		}
		b.SetBaseOffset(b.BaseOffset() + shift)
		b.SetLeaderEpoch(leaderEpoch)
		rest = next
	}
	v.FirstOffset += shift
	v.LastOffset += shift
	if v.MaxTimestampOffset >= 0 {
		v.MaxTimestampOffset += shift
	}
}

// Each calls f with every batch in order, and returns the first error that f returns.
func (v *Validated) Each(f func(Batch) error) error { return Each(v.Records, f) }

// Each calls f with every whole batch of records, in order; a last batch that is not whole is left
// out. It returns the first error that f or Next returns.
func Each(records []byte, f func(Batch) error) error {
	for len(records) > 0 {
		b, rest, err := Next(records)
		if err == ErrShort {
			return nil
		}
		if err == nil {
			err = f(b)
		}
		if err != nil {
			return err
		}
		records = rest
	}
	return nil
}
