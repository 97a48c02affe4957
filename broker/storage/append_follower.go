package storage

import (
	"errors"
	"fmt"

	"github.com/gregor-mq/gregor/broker/record"
)

// AppendFollower appends what was fetched from the leader: whole batches, offsets and epochs as they
// are; a partial batch at the end is left out. An empty log whose end lies within the first batch
// starts anew at that batch's base offset.
//
// Errors: record's, ErrUnexpectedAppendOffset, ErrRecordListTooLarge, ErrStorage, ErrClosed.
func (l *Log) AppendFollower(records []byte) (Appended, error) {
	c := l.config.Load()
	v, err := record.CheckReplicated(records)
	if err == nil {
		err = l.checkSize(c, &v)
	}
	if err != nil {
		return l.nothing(), err
	}
	a, err := l.appendFollower(c, &v)
	if errors.Is(err, errStartsOver) {
		if err = l.TruncateFullyAndStartAt(v.FirstOffset); err == nil {
			a, err = l.appendFollower(c, &v)
		}
	}
	if err == nil {
		err = l.flushIfDue(c)
	}
	return a, err
}

// errStartsOver says that the log has to be truncated fully before an append, which is not done with mu held.
var errStartsOver = errors.New("storage: the log starts over")

func (l *Log) appendFollower(c *LogConfig, v *record.Validated) (Appended, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil || len(v.Records) == 0 {
		return l.nothing(), err
	}
	if end := l.end.Load(); v.FirstOffset < end {
		// The leader's start may lie within a batch (after DeleteRecords): what it sends for it then
		// begins before the offset asked for. Only a log that holds nothing can take that.
		if l.start.Load() != end || v.LastOffset < end {
			return l.nothing(), fmt.Errorf("%w: first offset %d of the append to %s is below the log's end %d",
				ErrUnexpectedAppendOffset, v.FirstOffset, l.partition, end)
		}
		return l.nothing(), errStartsOver
	}
	pending := l.mu.producers.Prepare(record.Replication, false)
	err := v.Each(func(b record.Batch) error {
		_, _, err := pending.Add(b, 0)
		return err
	})
	if err != nil {
		return l.nothing(), err
	}
	l.mu.group = append(l.mu.group[:0], v.Records)
	if err := l.writeLocked(c, v, v, pending, l.env.nowMs()); err != nil {
		return l.nothing(), err
	}
	return l.appended(v), nil
}
