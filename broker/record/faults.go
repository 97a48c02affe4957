package record

import "fmt"

// faults are the records of a batch that are refused. All of them fail the batch.
type faults struct {
	total  int
	noKey  int
	magic  int
	time   bool // some for their timestamp
	listed []RecordError
}

// add notes the record at index, which r refuses; describe gives Kafka's text for it.
func (f *faults) add(r *rules, index int32, noKey bool, time, offset int64, describe func() string) {
	f.total++
	missing := noKey && r.compacted
	if missing {
		f.noKey++
	} else {
		f.time = true
	}
	if len(f.listed) >= MaxRecordErrors {
		return
	}
	var message string
	switch {
	case missing:
		message = fmt.Sprintf("Compacted topic cannot accept message without key in topic partition %s", r.partition)
	case r.createTime && time != NoTimestamp:
		message = fmt.Sprintf("Timestamp %d of message with offset %d is out of range. The timestamp should be within [%d, %d]",
			time, offset, r.now-r.beforeMax, r.now+r.afterMax)
	default:
		message = fmt.Sprintf("Invalid timestamp type in message %s. Producer should not set timestamp type to LogAppendTime.", describe())
	}
	f.list(index, message)
}

// addMagic notes a record that is of another format than its batch.
func (f *faults) addMagic(r *rules, index int32, magic int8, describe func() string) {
	f.total++
	f.magic++
	if len(f.listed) < MaxRecordErrors {
		f.list(index, fmt.Sprintf("Record %s's magic does not match outer magic %d in topic partition %s", describe(), magic, r.partition))
	}
}

func (f *faults) list(index int32, message string) {
	f.listed = append(f.listed, RecordError{Index: index, Message: message})
}

// err returns the *Error for the batch, nil if there are no faults (RecordValidationException).
func (f *faults) err() error {
	if f.total == 0 {
		return nil
	}
	if f.time {
		e := errorf(ErrInvalidTimestamp, "One or more records have been rejected due to invalid timestamp")
		e.Records = f.listed
		return f.mark(e)
	}
	first := ""
	for i, r := range f.listed[:min(len(f.listed), 3)] {
		if i > 0 {
			first += ", "
		}
		first += r.String()
	}
	e := errorf(ErrInvalidRecord, "One or more records have been rejected due to %d record errors in total, and only showing the first three errors at most: [%s]",
		f.total, first)
	e.Records = f.listed
	return f.mark(e)
}

func (f *faults) mark(e *Error) error {
	switch {
	case f.noKey > 0:
		e.Cause, e.Marks = CauseNoKey, f.noKey
	case f.magic > 0:
		e.Cause, e.Marks = CauseMagic, f.magic
	}
	return e
}

// describeRecord returns Kafka's text for a v2 record; partial is the kind that its iterator without
// keys and values makes.
func describeRecord(partial bool, offset, time int64, key, value int32) string {
	if partial {
		return fmt.Sprintf("PartialDefaultRecord(offset=%d, timestamp=%d, key=%d bytes, value=%d bytes)", offset, time, key, value)
	}
	return fmt.Sprintf("DefaultRecord(offset=%d, timestamp=%d, key=%d bytes, value=%d bytes)", offset, time, max(key, 0), max(value, 0))
}
