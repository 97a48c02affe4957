package record

// CheckReplicated checks what a follower fetched from its leader (UnifiedLog.appendAsFollower):
// structure, checksums and increasing offsets. Records and offsets stay as they are, and there is no
// limit of a batch's size. A batch at the end that is not whole is left out of Validated.Records.
//
// Assign is not for what it returns.
func CheckReplicated(records []byte) (Validated, error) {
	v := nothing()
	previous := int64(-1)
	for rest := records; ; {
		b, next, err := Next(rest)
		if err == ErrShort {
			v.Records = records[:len(records)-len(rest)]
			return v, nil
		}
		if err == nil {
			err = b.checkReplicated(previous)
		}
		if err != nil {
			return Validated{}, err
		}
		if v.Batches == 0 {
			v.FirstOffset = b.BaseOffset()
		}
		v.Batches++
		v.Count += int64(max(b.Count(), 1))
		v.LastOffset = b.LastOffset()
		if t := b.MaxTimestamp(); t > v.MaxTimestamp {
			v.MaxTimestamp, v.MaxTimestampOffset = t, b.LastOffset()
		}
		previous = b.LastOffset()
		rest = next
	}
}

// checkReplicated checks one batch, which stands after one whose last offset is previous.
func (b Batch) checkReplicated(previous int64) error {
	if err := b.Check(); err != nil {
		return err
	}
	switch {
	case b.LastOffsetDelta() < 0 || b.BaseOffset() < 0 || b.LastOffset() < 0:
		return errorf(ErrCorrupt, "Record batch has an invalid offset range: [%d, %d]", b.BaseOffset(), b.LastOffset())
	case b.BaseOffset() <= previous:
		return errorf(ErrOffsetsOutOfOrder, "Out of order offsets found in append: [%d, %d] follow %d", b.BaseOffset(), b.LastOffset(), previous)
	case !b.Codec().Valid():
		return errorf(ErrCorrupt, "Unknown compression type id: %d", int8(b.Codec()))
	}
	return nil
}
